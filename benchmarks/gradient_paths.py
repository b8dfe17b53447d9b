"""Does the engine's cost model choose the fastest way to the tasks' gradients?

For one linear layer after another: its share of the Gramian and its update from what it saw, against a gradient a task;
the model's constants (`polytask.gradients.cost`) are those of least regret on this grid. Then whole backward passes (a
multi-layer perceptron, a convolutional and a recurrent network): every way, against the way the engine takes.

    python benchmarks/gradient_paths.py [--repeats 5]
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import record
from polytask.balance import Engine
from polytask.gradients import cost
from polytask.gradients.by_layers import by_layers
from polytask.gradients.loop import by_loop
from polytask.gradients.parts import Explicit, Product

LAYERS = ((64, 64), (256, 256), (512, 1024), (1024, 128), (2048, 512))
WAYS: dict[str, dict[str, bool]] = {
    "explicit, one by one": {"batched": False, "by_products": False},
    "explicit, side by side": {"batched": True, "by_products": False},
    "layers, one by one": {"batched": False, "by_products": True},
    "layers, side by side": {"batched": True, "by_products": True},
}


def seconds(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Medians of interleaved runs."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in times.items()}


@torch.no_grad()
def layer_rows(repeats: int) -> Iterator[dict[str, Any]]:
    for tasks, examples, (inputs, outputs) in itertools.product((2, 4, 8, 32), (16, 64, 256, 1024), LAYERS):
        if tasks * examples * inputs * outputs > 5e9:
            continue
        seen, given = torch.randn(examples, inputs), torch.randn(tasks, examples, outputs)
        weights = torch.ones(tasks, dtype=torch.float64)

        def explicit(seen: Tensor = seen, given: Tensor = given, weights: Tensor = weights) -> None:
            part = Explicit(torch.stack([one.T @ seen for one in given]))
            part.gramian(), part.combined(weights)

        def products(seen: Tensor = seen, given: Tensor = given, weights: Tensor = weights) -> None:
            part = Product(seen, given, is_transposed=True)
            part.gramian(), part.combined(weights)

        found = seconds({"explicit": explicit, "layers": products}, repeats)
        size = {"tasks": tasks, "examples": examples, "inputs": inputs, "outputs": outputs}
        chosen = "layers" if cost.keeps_outputs(**size) else "explicit"
        times = {f"milliseconds_{k}": round(1000 * v, 3) for k, v in found.items()}
        yield size | times | {"chosen": chosen, "regret": round(found[chosen] / min(found.values()), 3)}


def fitted(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The constants of least mean regret."""
    before = cost.MOVED, cost.SQUARE
    best: dict[str, float] = {}
    for moved, square in itertools.product((2, 4, 8, 16, 32), (1.0, 1.3, 1.6, 2.0)):
        cost.MOVED, cost.SQUARE = moved, square
        regret = statistics.mean(_regret(row) for row in rows)
        if not best or regret < best["mean_regret"] - 1e-3:
            best = {"MOVED": moved, "SQUARE": square, "mean_regret": round(regret, 4)}
    cost.MOVED, cost.SQUARE = before
    return best


def _regret(row: dict[str, Any]) -> float:
    size = {k: row[k] for k in ("tasks", "examples", "inputs", "outputs")}
    times = {"layers": row["milliseconds_layers"], "explicit": row["milliseconds_explicit"]}
    return float(times["layers" if cost.keeps_outputs(**size) else "explicit"] / min(times.values()))


class Last(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(32, 64, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """[batch, 64]."""
        return self.layer(inputs)[0][:, -1]


def trunks(examples: int) -> dict[str, tuple[nn.Module, Tensor, int]]:
    perceptron = nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 384), nn.ReLU())
    pictures = nn.Sequential(
        nn.Conv2d(1, 10, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(10, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(320, 50), nn.ReLU(),
    )  # fmt: skip
    return {
        "mlp": (perceptron, torch.randn(examples, 512), 384),
        "cnn": (pictures, torch.randn(examples, 1, 28, 28), 50),
        "gru": (Last(), torch.randn(examples, 16, 32), 64),
    }


def pass_rows(repeats: int) -> Iterator[dict[str, Any]]:
    for tasks, examples in itertools.product((2, 8, 32), (32, 256)):
        for model, (trunk, inputs, width) in trunks(examples).items():
            if model == "gru" and examples > 32:  # 16 steps of 256 rows by products: seconds a pass
                continue
            heads, shared = nn.ModuleList(nn.Linear(width, 1) for _ in range(tasks)), list(trunk.parameters())

            def losses(trunk: nn.Module = trunk, inputs: Tensor = inputs, heads: nn.ModuleList = heads) -> Any:
                features = trunk(inputs)
                return {str(k): head(features).square().mean() for k, head in enumerate(heads)}

            def way(settings: dict[str, bool], losses: Any = losses, shared: Any = shared, n: int = tasks) -> None:
                found = by_layers(losses(), shared, retain_graph=False, with_own=True, chunk=None, **settings)
                found.gramian(), found.combined(torch.ones(n, dtype=torch.float64))

            def loop(losses: Any = losses, shared: Any = shared, n: int = tasks) -> None:
                found = by_loop(losses(), shared, retain_graph=False, with_own=True)
                found.gramian(), found.combined(torch.ones(n, dtype=torch.float64))

            def engine(losses: Any = losses, shared: Any = shared, n: int = tasks) -> None:
                found = Engine().differentiate(losses(), shared)
                found.gramian(), found.combined(torch.ones(n, dtype=torch.float64))

            runs: dict[str, Callable[[], Any]] = {"loop": loop, "engine": engine}
            runs |= {name: (lambda s=settings, way=way: way(s)) for name, settings in WAYS.items()}
            found = seconds(runs, repeats)
            best = min(v for k, v in found.items() if k != "engine")
            row = {k: round(1000 * v, 2) for k, v in found.items()}
            yield {"model": model, "tasks": tasks, "examples": examples, "milliseconds": row,
                   "regret": round(found["engine"] / best, 3)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=record.RESULTS / "gradient_paths.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.time()
    layers = list(layer_rows(options.repeats))
    passes = list(pass_rows(options.repeats))
    for row in passes:
        print(row["model"], row["tasks"], row["examples"], row["milliseconds"], row["regret"])
    values = {
        "a layer: mean time ÷ the faster way's": statistics.mean(row["regret"] for row in layers),
        "a whole pass: median time ÷ the fastest way's": statistics.median(row["regret"] for row in passes),
    }
    targets = [record.target(name, round(value, 3), 1.1) for name, value in values.items()]
    print(best := fitted(layers), targets)
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/gradient_paths.py --repeats {options.repeats}",
        seconds=time.time() - began,
        environment=record.STEADY,
        constants={"MOVED": cost.MOVED, "SQUARE": cost.SQUARE},
        fitted=best,
        layers=layers,
        rows=passes,
        targets=targets,
    )


if __name__ == "__main__":
    record.start_steady()
    main()
