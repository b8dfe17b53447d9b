"""How much longer does a study take than the trainings in it?

A study's wall time with one job ÷ the sum of its Runs' own training times (epochs with their validation, as each Run's
history records them). What remains is the study's: the worker's start, preparing each Run, checkpoints between epochs,
opening the test rows, judging. Without baselines, which are no Runs. Multi-Digits (pictures) and a tenth of the flights
(a table), from Python packages.

    python benchmarks/study_overhead.py [--repeats 3] [--seeds 3]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import polytask as pt
from polytask.demos import DEMOS

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1.1


def measure(name: str, seeds: int, folder: Path) -> dict[str, float]:
    """One study from its call to its results."""
    demo = DEMOS[name]
    table = demo.table()
    if name == "flights":
        table = table.iloc[::10]
    began = time.perf_counter()
    study = pt.study(
        table,
        demo.tasks(),
        list(demo.candidates),
        seeds=seeds,
        baselines=(),
        jobs=1,
        folder=folder,
        quiet=True,
        device="cpu",
        group=demo.group,
        **demo.settings(),
    )
    wall = time.perf_counter() - began
    training = study.results["cost"]["training_seconds"]
    return {"seconds": wall, "training_seconds": training, "ratio": wall / training, "runs": len(study.results["runs"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "study_overhead.json")
    options = parser.parse_args()
    began, rows = time.time(), list[dict[str, Any]]()
    for repeat in range(options.repeats):
        for name in ("digits", "flights"):  # in turn, so that a slow minute meets both
            with tempfile.TemporaryDirectory() as scratch:
                rows.append({"data": name, "repeat": repeat, **measure(name, options.seeds, Path(scratch) / "study")})
            print(rows[-1])
    targets = []
    for name in ("digits", "flights"):
        ratio = round(statistics.median(row["ratio"] for row in rows if row["data"] == name), 4)
        said = f"{name}: study ÷ trainings, one job, median of {options.repeats}"
        targets.append({"name": said, "value": ratio, "target": TARGET, "better": "lower", "met": ratio <= TARGET})
        print(f"{said}: {ratio}")
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "command": f"python benchmarks/study_overhead.py --repeats {options.repeats} --seeds {options.seeds}",
        "versions": {"polytask": pt.__version__, "torch": torch.__version__},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": 1,
        "seconds": round(time.time() - began, 1),
        "rows": rows,
        "targets": targets,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
