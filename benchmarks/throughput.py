"""How many training rows a second, beside the same model in plain PyTorch loops?

The census table (99,762 rows, two binary tasks), MLP 256-128, batch 1024, Adam, CPU. Compared, interleaved in one run:

- polytask: rows/s of a Run's own history (steps, balancer, running totals and one gradient-cosine probe an epoch);
- DataLoader: the same model, losses and optimiser, rows through torch.utils.data.DataLoader over a TensorDataset that
  holds all number columns as one tensor and all category columns as another: the leanest there is;
- DataLoader of columns: the same over a Dataset whose rows are a dict of columns, as tables are usually wrapped;
- indexed: a hand-written loop that indexes tensors by a permutation.

    python benchmarks/throughput.py [--data census.parquet] [--repeats 5] [--threads 1]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import polytask as pt
from polytask.experiment.encode import encode
from polytask.experiment.given import load_sources
from polytask.experiment.prepare import read_prepared
from polytask.feature import CATEGORIES, NUMBERS
from polytask.runs import RunFolder
from polytask.train import Joint

BATCH = 1024
TASKS = ("income", "never_married")
ROOT = Path(__file__).resolve().parent.parent


def census(path: Path) -> pt.Table:
    kinds = dict.fromkeys(("year", "own_business", "veterans_benefits"), "category")
    table = pt.read(path)
    codes = {name: "category" for name in table.columns if name.endswith("_code")}
    return pt.read(path, kinds={k: v for k, v in {**kinds, **codes}.items() if k in table.columns})


def fit(table: pt.Table, folder: Path, threads: int) -> pt.Run:
    return pt.fit(
        table,
        [
            pt.Classification("income", column="task_income_gt_50k"),
            pt.Classification("never_married", column="task_never_married"),
        ],
        encoder={"mlp": {"widths": [256, 128]}},
        ignore=["income", "marital_status", "instance_weight", "split"],
        split={"validation": 0.01, "test": 0.01},
        epochs=1,
        batch_size=BATCH,
        optimizer="adam",
        threads=threads,
        device="cpu",
        folder=folder,
        quiet=True,
    )


def plain_epoch(run: pt.Run, batches: object) -> float:
    """Rows a second of one epoch of a hand-written loop over `batches` of (numbers, categories, target, target)."""
    model = run.blueprint.build().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rows, began = 0, time.perf_counter()
    for numbers, categories, income, never_married in batches:
        optimizer.zero_grad()
        outputs = model({NUMBERS: numbers, CATEGORIES: categories})
        loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs["income"], income)
        loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(outputs["never_married"], never_married)
        loss.backward()
        optimizer.step()
        rows += len(income)
    return rows / (time.perf_counter() - began)


class Columns(Dataset):
    """Rows as a dict of columns and two targets."""

    def __init__(self, tensors: tuple[torch.Tensor, ...]) -> None:
        self.numbers, self.categories, *self.targets = tensors

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int):
        columns = {f"number {k}": value for k, value in enumerate(self.numbers[row])}
        columns |= {f"category {k}": value for k, value in enumerate(self.categories[row])}
        return columns, [target[row] for target in self.targets]


def joined(loader: DataLoader, num_numbers: int):
    """The batches of a loader of columns, as the model reads them."""
    for columns, targets in loader:
        values = list(columns.values())
        yield torch.stack(values[:num_numbers], dim=1), torch.stack(values[num_numbers:], dim=1), *targets


def indexed(tensors: tuple[torch.Tensor, ...]):
    order = torch.randperm(len(tensors[0]))
    for start in range(0, len(order), BATCH):
        index = order[start : start + BATCH]
        yield tuple(tensor[index] for tensor in tensors)


def loader_share(run: pt.Run, table: pt.Table, threads: int) -> float:
    """Seconds an epoch of batches takes on its own, as a share of an epoch of training."""
    training = tensors_of(run, table)[0]
    agenda = Joint({"all": training}, BATCH, 0)
    began = time.perf_counter()
    for _ in agenda.steps(0):
        pass
    batches = time.perf_counter() - began
    history = run.history.iloc[-1]
    return float(batches / (history["rows"] / history["timing.rows_per_second"]))


def tensors_of(run: pt.Run, table: pt.Table):
    folder = RunFolder(run.path)
    experiment = pt.Experiment(tasks=run.tasks)
    data = encode(experiment, read_prepared(folder), load_sources(experiment, table), torch.device("cpu"))
    training = data.training["all"]
    targets = [training.targets[name].float() for name in TASKS]
    return training, (training.inputs[NUMBERS], training.inputs[CATEGORIES], *targets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("POLYTASK_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data / "census_income_kdd_test" / "census_income_kdd_test.parquet")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: {options.data} is not here; name the census table with --data")
        return
    torch.set_num_threads(options.threads)
    began = time.time()
    table = census(options.data)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(options.repeats + 1):  # the first one warms up
            run = fit(table, Path(scratch) / str(repeat), options.threads)
            _, tensors = tensors_of(run, table)
            loader = DataLoader(TensorDataset(*tensors), batch_size=BATCH, shuffle=True)
            few = tuple(
                tensor[:20_000] for tensor in tensors
            )  # it is slow; rows a second do not depend on their number
            columns = DataLoader(Columns(few), batch_size=BATCH, shuffle=True)
            rows.append(
                {
                    "polytask": float(run.history.iloc[-1]["timing.rows_per_second"]),
                    "dataloader": plain_epoch(run, loader),
                    "dataloader_columns": plain_epoch(run, joined(columns, tensors[0].shape[1])),
                    "indexed": plain_epoch(run, indexed(tensors)),
                    "loader_share": loader_share(run, table, options.threads),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr)
    report(rows[1:], options, time.time() - began)


def report(rows: list[dict[str, float]], options: argparse.Namespace, seconds: float) -> None:
    def median(function) -> float:
        return round(statistics.median(function(row) for row in rows), 3)

    def ratio(name: str) -> float:
        return median(lambda row: row["polytask"] / row[name])

    targets = [
        ("rows/s, polytask / DataLoader over two blocks", ratio("dataloader"), 3.0, "higher"),
        ("rows/s, polytask / DataLoader over rows of columns", ratio("dataloader_columns"), 3.0, "higher"),
        ("rows/s, polytask / hand-written indexed loop", ratio("indexed"), 0.9, "higher"),
        ("loader's share of an epoch", median(lambda row: row["loader_share"]), 0.1, "lower"),
    ]
    result = {
        "question": __doc__.splitlines()[0],
        "command": f"python benchmarks/throughput.py --repeats {options.repeats} --threads {options.threads}",
        "versions": {"polytask": pt.__version__, "torch": torch.__version__},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": options.threads,
        "seconds": round(seconds, 1),
        "rows": rows,
        "targets": [
            {"name": n, "value": v, "target": t, "better": b, "met": v >= t if b == "higher" else v <= t}
            for n, v, t, b in targets
        ],
    }
    out = ROOT / "benchmarks" / "results" / "throughput.json"
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for target in result["targets"]:
        print(
            f"{target['name']}: {target['value']} (target {target['target']}, {'met' if target['met'] else 'missed'})"
        )


if __name__ == "__main__":
    main()
