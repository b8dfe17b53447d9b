"""How many rows a second do data come, in memory and streamed, and how much memory does a streamed table take?

- memory: `pt.fit(path, …, stream=True)` on 20 million rows of 12 columns (8 numbers, 2 categories, 2 targets; row
  groups of 250,000), written for this and deleted after it: the most memory that its process had in a whole training;
- training: rows/s of one epoch (mlp 256-128, batch 1024, one thread) on 1 million of such rows, streamed and in
  memory, interleaved;
- walk: rows/s of the batches alone, without a model, streamed and in memory.

    python benchmarks/data.py [--rows 20000000] [--small 1000000] [--repeats 3]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import polytask as pt
from polytask.data import Examples
from polytask.experiment.encode import encode
from polytask.experiment.given import load_sources
from polytask.experiment.prepare import read_prepared
from polytask.runs import RunFolder
from record import RESULTS, target, write

GROUP_ROWS, BATCH = 250_000, 1024
WIDTHS = [256, 128]
CITIES = np.array([f"city {k}" for k in range(200)])
SHOPS = np.array(["web", "shop", "phone", "app"])


def write_rows(path: Path, num_rows: int) -> None:
    """Rows of 12 columns, a row group at a time."""
    writer = None
    for start in range(0, num_rows, GROUP_ROWS):
        count = min(GROUP_ROWS, num_rows - start)
        generator = np.random.default_rng(start)
        numbers = generator.normal(size=(count, 8)).astype(np.float32)
        city, shop = generator.integers(0, 200, count), generator.integers(0, 4, count)
        signal = numbers[:, 0] - 2 * numbers[:, 1] + city / 100 + shop
        columns: dict[str, Any] = {f"number {k}": numbers[:, k] for k in range(8)}
        columns |= {"city": CITIES[city], "shop": SHOPS[shop]}
        columns["price"] = signal + generator.normal(size=count).astype(np.float32)
        columns["sold"] = np.where(signal + generator.normal(size=count) > 1, "yes", "no")
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP_ROWS)
    assert writer is not None
    writer.close()


def fit(path: Path, folder: Path, *, is_streamed: bool, widths: list[int], batch_size: int) -> pt.Run:
    """One epoch."""
    return pt.fit(
        path,
        [pt.Regression("price"), pt.Classification("sold")],
        encoder={"mlp": {"widths": widths}},
        epochs=1,
        batch_size=batch_size,
        threads=1,
        device="cpu",
        folder=folder,
        quiet=True,
        stream=is_streamed,
        split={"stratify": False},
    )


def walked(run: pt.Run, path: Path, *, is_streamed: bool) -> float:
    """Rows a second of one pass over the training rows, without a model."""
    experiment = pt.Experiment(tasks=run.tasks, data=pt.experiment.DataSettings(path=str(path), stream=is_streamed))
    data = encode(experiment, read_prepared(RunFolder(run.path)), load_sources(experiment), torch.device("cpu"))
    examples: Examples = data.training["all"]
    walk = examples.walk(BATCH, 0, "all")
    began = time.perf_counter()
    for _ in range(walk.batches_per_pass):
        walk.next()
    return walk.num_rows / (time.perf_counter() - began)


def speeds(path: Path, scratch: Path, repeats: int) -> list[dict[str, Any]]:
    """Rows a second, streamed and in memory in turns; the first turn warms up and is left out."""
    rows = []
    for repeat in range(repeats + 1):
        found: dict[str, Any] = {}
        for name, is_streamed in (("memory", False), ("streamed", True)):
            run = fit(path, scratch / f"{name} {repeat}", is_streamed=is_streamed, widths=WIDTHS, batch_size=BATCH)
            found[f"training_{name}"] = round(float(run.history.iloc[-1]["timing.rows_per_second"]), 1)
            found[f"walk_{name}"] = round(walked(run, path, is_streamed=is_streamed), 1)
        print(json.dumps(found), file=sys.stderr)
        rows.append(found)
    return rows[1:]


def memory(path: Path, scratch: Path) -> dict[str, Any]:
    """A whole streamed training in a process of its own, and the most memory that this had."""
    command = [sys.executable, __file__, "--train", str(path), str(scratch / "large")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def train_only(path: Path, folder: Path) -> None:
    """What `memory` starts: prints what it came to."""
    began = time.time()
    # A small network, since it is not the network's memory or speed that is asked for.
    run = fit(path, folder, is_streamed=True, widths=[32], batch_size=8 * BATCH)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    record = run.history.iloc[-1]
    found = {
        "rows": int(pq.ParquetFile(path).metadata.num_rows),
        "file_gigabytes": round(path.stat().st_size / 1e9, 2),
        "peak_gigabytes": round(peak / 1e9, 3),
        "training_rows_per_second": float(record["timing.rows_per_second"]),
        "seconds": round(time.time() - began, 1),
    }
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000, help="of the file larger than memory")
    parser.add_argument("--small", type=int, default=1_000_000, help="of the file that fits")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--train", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train_only(*options.train)
        return
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_rows(scratch / "small.parquet", options.small)
        rows = speeds(scratch / "small.parquet", scratch, options.repeats)
        write_rows(scratch / "large.parquet", options.rows)
        large = memory(scratch / "large.parquet", scratch)
    ratios = {
        what: round(statistics.median(row[f"{what}_streamed"] / row[f"{what}_memory"] for row in rows), 3)
        for what in ("training", "walk")
    }
    targets = [
        target("streamed, 20 million rows: peak memory, GB", large["peak_gigabytes"], 1.5),
        target("rows/s of training, streamed / in memory", ratios["training"], 0.7, "higher"),
    ]
    write(
        RESULTS / "data.json",
        question=__doc__ or "",
        command=f"python benchmarks/data.py --rows {options.rows} --small {options.small} --repeats {options.repeats}",
        seconds=time.time() - began,
        rows=[*rows, large],
        targets=targets,
        walk_streamed_over_memory=ratios["walk"],
    )
    for found in targets:
        print(f"{found['name']}: {found['value']} (target {found['target']}, {'met' if found['met'] else 'missed'})")


if __name__ == "__main__":
    main()
