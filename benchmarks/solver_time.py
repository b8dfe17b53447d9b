"""How many milliseconds does each solver of a Gramian take on its own, and how exact is it?

Gaussian gradients of 4·T coordinates (independent), of T/2 + 1 (dependent: most of them have the origin in their
hull, where Nash-MTL and FairGrad have no root), and of 4·T with lengths over six decades. Times are medians over the
matrices of one kind of the median over repeats; solvers take turns. The error is the largest over all matrices, of
gradients scaled to a mean squared norm of 1:

- min_norm, cagrad: the gap between the value found and its dual bound;
- dualproj (one projection), upgrad (one a task): the worst of harm to a task and complementarity;
- nash_mtl, fairgrad: the residual of their equation, where it has a root.

    python benchmarks/solver_time.py [--matrices 20] [--repeats 20]
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
import torch
from threadpoolctl import threadpool_limits

import polytask as pt
from polytask.balance.from_gramian.cagrad import conflict_averse
from polytask.gradients import cone_projection, cone_projections, min_norm, power_root

ROOT = Path(__file__).resolve().parent.parent
SIZES = (2, 8, 32, 128)
KINDS = ("independent", "dependent", "six decades")
EXACT = 1e-8
#: Solver -> milliseconds wanted at 8 and at 32 tasks.
TARGETS = {
    "min_norm": (0.2, 2.0),
    "dualproj": (0.2, 2.0),
    "upgrad": (0.2, 2.0),
    "cagrad": (0.6, 4.0),
    "nash_mtl": (1.0, 5.0),
    "fairgrad": (1.0, 5.0),
}
SOLVERS: dict[str, Callable[[np.ndarray], object]] = {
    "min_norm": min_norm,
    "dualproj": lambda gramian: cone_projection(gramian, mean_of(gramian)),
    "upgrad": lambda gramian: cone_projections(gramian, np.diag(mean_of(gramian))),
    "cagrad": lambda gramian: conflict_averse(gramian, 0.4),
    "nash_mtl": lambda gramian: power_root(gramian, 1.0),
    "fairgrad": lambda gramian: power_root(gramian, 2.0),
}


def mean_of(gramian: np.ndarray) -> np.ndarray:
    return np.full(len(gramian), 1 / len(gramian))


def matrix(kind: str, num_tasks: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(num_tasks, num_tasks // 2 + 1 if kind == "dependent" else 4 * num_tasks))
    if kind == "six decades":
        rows *= 10 ** generator.uniform(-3, 3, (num_tasks, 1))
    gramian = rows @ rows.T
    return gramian / gramian.diagonal().mean()


def error(name: str, gramian: np.ndarray, found) -> float | None:
    """How far from optimal; None where there is no root to find."""
    mean = mean_of(gramian)
    if name == "min_norm":
        progress = gramian @ found
        return float(found @ progress - progress.min())
    if name in ("dualproj", "upgrad"):
        wanted = mean if name == "dualproj" else np.diag(mean)
        progress = found @ gramian
        return float(max(-progress.min(), np.abs(((found - wanted) * progress).sum(axis=-1)).max()))
    if name == "cagrad":
        added = found - mean
        if added.sum() <= 0:
            return 0.0
        dual, length = added / added.sum(), np.sqrt(mean @ gramian @ mean)
        bound = mean @ gramian @ dual + 0.4 * length * np.sqrt(max(dual @ gramian @ dual, 0.0))
        return float(bound - (gramian @ found).min())
    return None if np.isinf(found.residual) else found.residual


def milliseconds(solve: Callable[[np.ndarray], object], gramian: np.ndarray, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        solve(gramian)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def measure(kind: str, num_tasks: int, matrices: int, repeats: int) -> list[dict[str, object]]:
    """A row a solver; they take turns on every matrix."""
    if num_tasks > 32:
        matrices, repeats = max(2, matrices // 5), max(2, repeats // 10)
    times: dict[str, list[float]] = {name: [] for name in SOLVERS}
    errors: dict[str, list[float | None]] = {name: [] for name in SOLVERS}
    for seed in range(matrices):
        gramian = matrix(kind, num_tasks, seed)
        for name, solve in SOLVERS.items():
            errors[name].append(error(name, gramian, solve(gramian)))  # warms up too
            times[name].append(milliseconds(solve, gramian, repeats))
    rows = []
    for name in SOLVERS:
        known = [value for value in errors[name] if value is not None]
        rows.append(
            {
                "solver": name,
                "tasks": num_tasks,
                "gradients": kind,
                "milliseconds": round(statistics.median(times[name]), 4),
                "slowest": round(max(times[name]), 4),
                "error": max(known, default=None),
                "without_root": len(errors[name]) - len(known),
                "matrices": matrices,
            }
        )
    return rows


def targets_of(rows: list[dict]) -> list[dict[str, object]]:
    targets = []
    for name, wanted in TARGETS.items():
        for num_tasks, limit in zip((8, 32), wanted, strict=True):
            found = [r for r in rows if r["solver"] == name and r["tasks"] == num_tasks]
            value = max(r["milliseconds"] for r in found)
            said = f"{name}, {num_tasks} tasks: ms, the slowest kind of gradients"
            targets.append({"name": said, "value": value, "target": limit, "better": "lower", "met": value <= limit})
        value = max(r["error"] for r in rows if r["solver"] == name and r["error"] is not None)
        said = f"{name}: largest error, 2 to 128 tasks"
        targets.append({"name": said, "value": value, "target": EXACT, "better": "lower", "met": value <= EXACT})
    return targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "solver_time.json")
    options = parser.parse_args()
    threadpool_limits(1)
    began = time.time()
    rows = [row for kind in KINDS for size in SIZES for row in measure(kind, size, options.matrices, options.repeats)]
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "command": f"python benchmarks/solver_time.py --matrices {options.matrices} --repeats {options.repeats}",
        "versions": {
            "polytask": pt.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": 1,
        "seconds": round(time.time() - began, 1),
        "rows": rows,
        "targets": targets_of(rows),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for target in result["targets"]:
        print(f"{target['name']}: {target['value']:.3g} ({'met' if target['met'] else 'missed'} {target['target']})")


if __name__ == "__main__":
    main()
