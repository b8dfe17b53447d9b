"""What does a training step cost under every sharing scheme, beside hard sharing's and beside LibMTL and torch-rechub?

A step is the training loop's own: the sharing and the heads, the losses and the scheme's penalties, the balancer `sum`,
Adam; a peer's is its forward, `loss.backward()` and the same Adam. Every scheme of the catalogue with its default
settings (or those of `NEEDED`, without which it cannot be made) on an MLP and on LeNet, 256 rows, for 2, 4 and 8 tasks.
Beside the peers, some schemes have settings that make the work alike (`ALIKE`, way "alike"), on encoders that the peers
can take: `peers` in the results says what is alike and what is not, sharing_stands.py what the encoders are. All stands
of one setup are timed in one process, in turn, round after round; a ratio is one of medians over the rounds; time is
the process's on processors, of one thread. `refused` holds the sentences of schemes that a setup has nothing for.

`parameters_of_one_task` is what must be kept to serve the first task alone. Rows of kind "experts" are a mixture's
experts, run as we run them, beside a Python loop (expert_layers.py). `costs` is for the documentation.

    python benchmarks/sharing_cost.py [--rounds 7] [--quick]        in an environment made by: make bench-peers
"""

import argparse
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

import expert_layers
import peers
import record
import sharing_peers
from polytask.sharing import SHARINGS
from sharing_peers import NUM_EXPERTS, NUM_OWN, NUM_SHARED
from sharing_stands import Setup, Shared, batches_of, parameters_of_one_task
from stands import Entry
from step_cost import timed

#: Where every scheme is timed; elsewhere only what a peer has too.
WHOLE = ("mlp", "cnn")
ROWS = {"mlp": 256, "cnn": 256, "mlp_bn": 256, "mlp_bn32": 32, "pyramid": 64, "pyramid64": 32}
SETUPS = [Setup(model, tasks, rows) for model, rows in ROWS.items() for tasks in (2, 4, 8)]
#: What the documentation shows.
SHOWN = Setup("mlp", 8, 256)
#: Schemes that need another encoder than those: where they are timed instead.
ELSEWHERE = {"task_norm": "mlp_bn"}
#: Settings without which a scheme cannot be made, or not for tasks that are trained together on one table.
NEEDED: dict[str, Callable[[Setup], dict[str, Any]]] = {
    "branching": lambda s: {"tree": [[s.names], [s.names[: s.tasks // 2], s.names[s.tasks // 2 :]]]},
    "own_encoders": lambda s: {"encoders": {s.names[0]: "lenet" if s.model == "cnn" else "mlp"}},
    "shared_private": lambda s: {"adversarial": 0.0},
    "aitm": lambda s: {"order": s.names},
    "joint_many_task": lambda s: {"order": s.names},
}
#: Settings that make the work of a scheme that of the peers'.
ALIKE: dict[str, dict[str, Any]] = {
    "hard": {},
    "cross_stitch": {"stages": [1, 2, 3], "per_channel": False},
    "mtan": {},
    "mmoe": {"experts": NUM_EXPERTS},
    "ple": {"experts": NUM_SHARED, "task_experts": NUM_OWN},
}
#: Scheme -> times the faster peer.
BESIDE_PEERS = {"hard": 1.0, "cross_stitch": 1.0, "mtan": 1.0, "mmoe": 0.8, "ple": 0.8}
#: Device -> experts of one layer, times the loop.
BATCHED = {"cpu": 1.0, "cuda": 0.6}


def entries_of(setup: Setup) -> list[Entry]:
    """Hard sharing first; then all schemes, where all are timed; then the peers and what stands beside them."""
    others = sharing_peers.entries(setup.model)
    here = [
        name for name in SHARINGS if name != "hard" and (setup.model in WHOLE or ELSEWHERE.get(name) == setup.model)
    ]
    ours = [
        Entry("polytask", n, "default", partial(Shared, name=n, settings=needed(n, setup))) for n in ["hard", *here]
    ]
    beside = dict.fromkeys(entry.method for entry in others if entry.method != "hard" and entry.method in SHARINGS)
    ours += [Entry("polytask", n, "alike", partial(Shared, name=n, settings=ALIKE[n])) for n in beside]
    return [*ours, *others]


def needed(name: str, setup: Setup) -> dict[str, Any]:
    return NEEDED[name](setup) if name in NEEDED else {}


def measure(setup: Setup, rounds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row an implementation and scheme; and the schemes that refuse, each with its sentence."""
    stands, refused = {}, []
    for entry in entries_of(setup):
        try:
            stands[entry] = entry.make(setup)
        except ValueError as error:
            if entry.implementation != "polytask":
                raise
            at = {"scheme": entry.method, "way": entry.way, "model": setup.model}
            refused.append({**at, "sentence": str(error)})
    for stand in stands.values():
        stand.step()  # Adam's moments are made here
    seconds = timed(stands, rounds)
    hard = next(iter(stands))
    parameters = {entry: sum(p.numel() for p in stand.model.parameters()) for entry, stand in stands.items()}
    rows = [
        {
            "kind": "step",
            "implementation": entry.implementation,
            "method": entry.method,
            "way": entry.way,
            "model": setup.model,
            "tasks": setup.tasks,
            "batch": setup.rows,
            "milliseconds": round(1000 * seconds[entry], 3),
            "times_hard": round(seconds[entry] / seconds[hard], 3),
            "parameters": parameters[entry],
            "parameters_times_hard": round(parameters[entry] / parameters[hard], 3),
            "parameters_of_one_task": served(setup, stand) if entry.way == "default" else None,
        }
        for entry, stand in stands.items()
    ]
    return rows, refused


def served(setup: Setup, stand: Shared) -> int:
    """What serving the first task takes."""
    first, inputs = setup.names[0], setup.inputs(batches_of(setup)[0][0][:4])
    return parameters_of_one_task(stand.model, lambda: stand.model(inputs, [first])[first])


def targets_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    steps = [row for row in rows if row["kind"] == "step"]
    found = []
    for model in ROWS:
        for method, limit in BESIDE_PEERS.items():
            found += beside_peers([r for r in steps if (r["model"], r["method"]) == (model, method)], limit)
    for device, limit in BATCHED.items():
        of_device = [r for r in rows if r["kind"] == "experts" and (r["device"], r["layers"]) == (device, 1)]
        if of_device:
            worst = max(of_device, key=lambda row: row["times_loop"])
            size = f"{worst['experts']} of width {worst['width']}, {worst['batch']} rows"
            name = f"experts of one layer on {device}, times the loop (dearest: {size})"
            found.append(record.target(name, worst["times_loop"], limit))
    return found


def beside_peers(rows: list[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
    """Of one scheme on one model: the target for the number of tasks where it is dearest; none without peers."""
    ratios = []
    for ours in rows:
        others = [r for r in rows if r["way"] == "plain" and r["tasks"] == ours["tasks"]]
        is_beside = ours["way"] == ("default" if ours["method"] == "hard" else "alike")
        if others and is_beside:
            fastest = min(others, key=lambda row: row["milliseconds"])
            ratio = ours["milliseconds"] / fastest["milliseconds"]
            ratios.append((ratio, f"{ours['tasks']} tasks, beside {fastest['implementation']}"))
    if not ratios:
        return []
    value, where = max(ratios)
    name = f"{rows[0]['model']}: {rows[0]['method']}, times the faster peer's step (dearest: {where})"
    return [record.target(name, round(value, 3), limit)]


def costs_of(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Scheme -> what a step takes in time, and how many parameters it has, beside hard sharing."""
    at = {"tasks": SHOWN.tasks, "batch": SHOWN.rows}
    of_all = [row for row in rows if row.items() >= {**at, "kind": "step", "way": "default"}.items()]
    shown = [row for row in of_all if row["model"] == ELSEWHERE.get(row["method"], SHOWN.model)]
    return {
        **at,
        "model": SHOWN.model,
        "elsewhere": {row["method"]: row["model"] for row in shown if row["model"] != SHOWN.model},
        "times_hard": {row["method"]: row["times_hard"] for row in shown},
        "parameters_times_hard": {row["method"]: row["parameters_times_hard"] for row in shown},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one setup and size, one round: whether it runs")
    parser.add_argument("--out", type=Path, default=record.RESULTS / "sharing_cost.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = 1 if options.quick else options.rounds
    began, rows, refused = time.time(), list[dict[str, Any]](), list[dict[str, Any]]()
    for setup in [Setup("mlp", 2, 32)] if options.quick else SETUPS:
        measured, sentences = measure(setup, rounds)
        rows, refused = rows + measured, refused + [found for found in sentences if found not in refused]
        print(f"{setup}: {time.time() - began:.0f} s", flush=True)
    rows += expert_layers.measure(rounds, expert_layers.SIZES[:1] if options.quick else expert_layers.SIZES)
    show(rows, refused)
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/sharing_cost.py {'--quick' if options.quick else f'--rounds {rounds}'}",
        seconds=time.time() - began,
        versions=peers.versions(sharing_peers.PACKAGES),
        missing=peers.missing(sharing_peers.PACKAGES),
        environment=record.STEADY,
        peers=(sharing_peers.__doc__ or "").splitlines(),
        refused=refused,
        costs=costs_of(rows),
        rows=rows,
        targets=targets_of(rows),
    )


def show(rows: Iterable[dict[str, Any]], refused: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        if row["kind"] == "step":
            at = f"{row['model']}, {row['tasks']} tasks"
            label = f"{row['implementation']:<13} {row['method']:<24} {row['way']:<8} {at:<18}"
            size = f"{row['parameters_times_hard']:6.2f} x its parameters"
            print(f"{label} {row['milliseconds']:9.2f} ms {row['times_hard']:6.2f} x hard {size}")
        else:
            at = f"{row['experts']} of width {row['width']}, {row['batch']} rows, {row['device']}"
            times = f"{row['milliseconds']:9.3f} ms {row['times_loop']:6.2f} x loop"
            print(f"experts, layers {row['layers']}: {at:<32} {times}")
    for row in refused:
        print(f"refused: {row['scheme']} ({row['model']}): {row['sentence']}")


if __name__ == "__main__":
    record.start_steady()
    main()
