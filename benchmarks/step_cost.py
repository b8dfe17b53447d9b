"""How much does a training step cost beside the same step with the plain sum, and beside LibMTL and TorchJD?

Forward, balance, optimiser (Adam): an MLP trunk of 1.05 M parameters and a small CNN with linear heads; 2, 8 and 32
tasks; 32 and 256 rows; one thread, an allocator that keeps its memory (`record.STEADY`). All implementations are
timed in one process, in turn, round after round; a ratio is one of medians over the rounds, of a whole cycle's mean
where weights are solved anew each 10 steps. "plain loop" takes the tasks' gradients by hand and solves nothing. Every
balancer is timed at MLP, 8 tasks, 256 rows. Time is the process's time on processors, which other programs on the
machine stretch less than the clock's.

`difference` is the distance of the shared gradient's direction from ours of the same method in the first step,
‖a/‖a‖ - b/‖b‖‖, and `length` the ratio of lengths; peers may scale otherwise (Nash-MTL to length 1), stop early (MGDA),
draw other orders (PCGrad) or go on with the weights they had where a solver fails (Nash-MTL). `costs` holds what a step
of each balancer costs, in sums, for the documentation.

    python benchmarks/step_cost.py [--rounds 7] [--quick]        in an environment made by: make bench-peers
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

import peers
import record
from polytask.balance import BALANCERS
from stands import PLAIN, Entry, Setup, Stand, balancers, batches_of, short_ways

SETUPS = [Setup(model, tasks, rows) for model in ("mlp", "cnn") for tasks in (2, 8, 32) for rows in (32, 256)]
#: Where every balancer is timed.
WHOLE = Setup("mlp", 8, 256)
GRAMIAN = ("pcgrad", "mgda", "cagrad", "nash_mtl", "upgrad", "imtl_g", "imtl", "aligned_mtl")
#: A stand is stepped for so long in a round, at least twice and at most 20 times.
ROUND_SECONDS = 0.1
#: (tasks, rows) -> times the faster peer.
BESIDE_PEERS = {(tasks, rows): 0.6 if rows == 32 else 0.95 for tasks in (2, 8, 32) for rows in (32, 256)}
BESIDE_PEERS[32, 256] = 0.75
#: (tasks, rows) -> times sum, of exact methods on the MLP.
TIMES_SUM = {(8, 32): 3.0, (32, 32): 7.0, (8, 256): 5.5, (32, 256): 11.0}


def entries_of(setup: Setup, quick: bool) -> list[Entry]:
    if quick:
        return [*PLAIN, *balancers("sum", "uncertainty", "mgda", "nash_mtl"), *short_ways("nash_mtl"), *peers.entries()]
    names = BALANCERS if setup == WHOLE else ("sum", "uncertainty", "famo", *GRAMIAN)
    return [*PLAIN, *balancers(*names), *short_ways("nash_mtl"), *peers.entries()]


def measure(setup: Setup, rounds: int, quick: bool = False) -> list[dict[str, Any]]:
    """A row an implementation and method."""
    batches_of(setup)
    stands = {entry: entry.make(setup) for entry in entries_of(setup, quick)}
    agreement = first_steps(stands)
    times = timed(stands, rounds)
    plain = times[PLAIN[0]]
    return [
        {
            "implementation": entry.implementation,
            "method": entry.method,
            "way": entry.way,
            "model": setup.model,
            "tasks": setup.tasks,
            "batch": setup.rows,
            "milliseconds": round(1000 * seconds, 3),
            "times_sum": round(seconds / plain, 3),
            **agreement[entry],
        }
        for entry, seconds in times.items()
    ]


def timed(stands: Mapping[Entry, Stand], rounds: int) -> dict[Entry, float]:
    """The seconds of each stand's step, by medians over the rounds; they are stepped in turn."""
    counts = {entry: steps_a_round(entry, stand) for entry, stand in stands.items()}
    times: dict[Entry, list[float]] = {entry: [] for entry in stands}
    for _ in range(rounds):
        for entry, stand in stands.items():
            found = [seconds_of(stand) for _ in range(counts[entry])]
            times[entry].append(statistics.mean(found) if entry.cycle > 1 else statistics.median(found))
    return {entry: statistics.median(found) for entry, found in times.items()}


def seconds_of(stand: Stand) -> float:
    began = time.process_time()
    stand.step()
    return time.process_time() - began


def steps_a_round(entry: Entry, stand: Stand) -> int:
    if entry.cycle > 1:
        return entry.cycle
    return min(20, max(2, math.ceil(ROUND_SECONDS / seconds_of(stand))))


def first_steps(stands: dict[Entry, Stand]) -> dict[Entry, dict[str, float | None]]:
    """Each stand's first step: how its shared gradient differs from ours of the same method and way."""
    ours: dict[tuple[str, str], torch.Tensor] = {}
    found: dict[Entry, dict[str, float | None]] = {}
    for entry, stand in stands.items():
        stand.step()
        gradient = stand.shared_gradient().double()
        if entry.implementation == "polytask":
            ours[entry.method, entry.way] = gradient
        known = ours.get((entry.method, entry.way))
        if known is None or entry.implementation == "polytask":
            found[entry] = {"difference": None, "length": None}
            continue
        apart = gradient / gradient.norm() - known / known.norm()
        found[entry] = {
            "difference": float(f"{apart.norm():.2e}"),
            "length": round(float(gradient.norm() / known.norm()), 4),
        }
    return found


class Rows:
    """The rows, and the dearest ratio among some of them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def where(self, **wanted: Any) -> list[dict[str, Any]]:
        """Rows of these values; a tuple stands for any of its members."""
        return [
            r for r in self.rows if all(r[k] in v if isinstance(v, tuple) else r[k] == v for k, v in wanted.items())
        ]

    def dearest(self, text: str, rows: Iterable[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
        """The target that the largest `times_sum` of the rows stays below; none without rows."""
        worst = max(rows, key=lambda r: r["times_sum"], default=None)
        if worst is None:
            return []
        return [record.target(f"{text}, times sum (dearest: {said(worst)})", worst["times_sum"], limit)]

    def beside(
        self, text: str, rows: list[dict[str, Any]], others: list[dict[str, Any]], limit: float
    ) -> list[dict[str, Any]]:
        """The target that each row takes at most `limit` times the fastest of the others of its method."""
        ratios = []
        for row in rows:
            known = [r["milliseconds"] for r in others if r["method"] in (row["method"], "plain loop")]
            if known:
                ratios.append((row["milliseconds"] / min(known), row["method"]))
        if not ratios:
            return []
        value, method = max(ratios)
        return [record.target(f"{text} (slowest: {method})", round(value, 3), limit)]


def said(row: dict[str, Any]) -> str:
    return f"{row['method']}, {row['model']}, {row['tasks']} tasks, {row['batch']} rows"


def targets_of(all_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = Rows(all_rows)
    ours = {"implementation": "polytask", "way": "exact", "method": GRAMIAN}
    whole = {"model": WHOLE.model, "tasks": WHOLE.tasks, "batch": WHOLE.rows}
    of_losses = rows.where(implementation="polytask", way="losses")
    found = rows.dearest("every method from losses", [r for r in of_losses if r.items() >= whole.items()], 1.05)
    found += rows.dearest(
        "sum and uncertainty, any setup", [r for r in of_losses if r["method"] in ("sum", "uncertainty")], 1.05
    )
    found += rows.dearest("FAMO, any setup", rows.where(implementation="polytask", method="famo"), 1.4)
    for model in ("mlp", "cnn"):
        of_model = rows.where(implementation="polytask", way="representation", model=model)
        found += rows.dearest(f"{model}: at the representation", of_model, 1.15)
    for tasks, limit in ((8, 1.6), (32, 2.0)):
        of_tasks = rows.where(implementation="polytask", way="every=10", tasks=tasks)
        found += rows.dearest(f"{tasks} tasks: every=10", of_tasks, limit)
    for (tasks, batch), limit in TIMES_SUM.items():
        exact = rows.where(**ours, model="mlp", tasks=tasks, batch=batch)
        found += rows.dearest(f"mlp, {tasks} tasks, {batch} rows: exact", exact, limit)
    for setup in SETUPS:
        at = {"model": setup.model, "tasks": setup.tasks, "batch": setup.rows}
        text = f"{setup.model}, {setup.tasks} tasks, {setup.rows} rows: exact"
        libraries = rows.where(implementation=("libmtl", "torchjd autojac", "torchjd autogram"), way="exact", **at)
        limit = BESIDE_PEERS[setup.tasks, setup.rows]
        found += rows.beside(f"{text}, times the faster peer", rows.where(**ours, **at), libraries, limit)
        if setup.tasks == 2:
            loop = rows.where(method="plain loop", **at)
            found += rows.beside(f"{text}, times the plain loop", rows.where(**ours, **at), loop, 1.0)
    return found


def costs_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Balancer -> what a step costs, in sums."""
    at = Rows(rows).where(implementation="polytask", model=WHOLE.model, tasks=WHOLE.tasks, batch=WHOLE.rows)
    costs = {row["method"]: row["times_sum"] for row in at if row["way"] in ("losses", "probe", "exact")}
    return {"model": WHOLE.model, "tasks": WHOLE.tasks, "batch": WHOLE.rows, "times_sum": costs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one setup, two rounds: whether it runs, not how fast")
    parser.add_argument("--out", type=Path, default=record.RESULTS / "step_cost.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = 2 if options.quick else options.rounds
    began, rows = time.time(), list[dict[str, Any]]()
    for setup in [Setup("mlp", 2, 32)] if options.quick else SETUPS:
        rows += measure(setup, rounds, options.quick)
        print(f"{setup}: {time.time() - began:.0f} s", flush=True)
    for row in rows:
        label = f"{row['implementation']:<17} {row['way']:<15} {said(row):<45}"
        print(f"{label} {row['milliseconds']:9.2f} ms {row['times_sum']:7.2f}")
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/step_cost.py {'--quick' if options.quick else f'--rounds {rounds}'}",
        seconds=time.time() - began,
        versions=peers.versions(),
        missing=peers.missing(),
        environment=record.STEADY,
        peers=(peers.__doc__ or "").splitlines(),
        costs=costs_of(rows),
        rows=rows,
        targets=targets_of(rows),
    )


if __name__ == "__main__":
    record.start_steady()
    main()
