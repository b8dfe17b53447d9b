"""How much memory does an exact training step need at its peak, beside the same step with the plain sum?

The MLP of step_cost.py (1.05 M parameters), 32 tasks, 32 rows, CPU; every method in a process of its own. Counted are
the bytes of live tensors, as torch.cuda.max_memory_allocated counts them on a GPU: all that torch allocates from before
the model is made until after the measured step, which is the third, so that Adam's moments are there (4.2 MB each, like
parameters and gradients). Where weights are solved anew each 10 steps, a whole cycle is measured. The bytes are summed
up from torch.profiler's record of each allocation and release, temporaries within kernels included. Resident memory is
no measure: allocators keep pages, and libraries weigh more than the model. NumPy's tasks x tasks matrices are not seen.
Methods of one way need about the same: three stand for all.

`megabytes` is the peak in the step; `above_start` how much of it was not there when the step began, which leaves out
what any training holds. Ratios are those to plain PyTorch's sum.

    python benchmarks/step_memory.py [--quick]        in an environment made by: make bench-peers
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import peers
import record
from stands import PLAIN, Entry, Setup, balancers, short_ways

SETUP = Setup("mlp", 32, 32)
TARGET = 1.6
METHODS = ("mgda", "pcgrad", "nash_mtl")
MARK = "measured step"


def entries() -> list[Entry]:
    of_peers = [entry for entry in peers.entries() if entry.method in METHODS]
    return [*PLAIN, *balancers("sum", *METHODS), *short_ways("nash_mtl"), *of_peers]


def peak_bytes(entry: Entry) -> tuple[int, int]:
    """Bytes at the start of the step, and at most within it."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        stand = entry.make(SETUP)
        for _ in range(2):
            stand.step()
        gc.collect()
        with torch.profiler.record_function(MARK):
            for _ in range(entry.cycle):
                stand.step()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return peak_of(events)


def peak_of(events: list[dict[str, Any]]) -> tuple[int, int]:
    """From a trace: the running sum of allocations before the marked span, and its maximum in it."""
    span = next(e for e in events if e.get("name") == MARK and e.get("ph") == "X")
    begin, end = float(span["ts"]), float(span["ts"]) + float(span["dur"])
    changes = [(float(e["ts"]), e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]"]
    live = start = peak = 0
    for when, change in sorted(changes, key=lambda found: found[0]):
        if when > end:
            break
        live += change
        if when < begin:
            start = peak = live
        peak = max(peak, live)
    return start, peak


def measured_apart(number: int) -> tuple[int, int]:
    """The bytes of one entry, from a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--only", str(number)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{entries()[number]}: {found.stderr}")
    start, peak = json.loads(found.stdout.splitlines()[-1])
    return start, peak


def measure(chosen: list[int]) -> list[dict[str, Any]]:
    """A row an entry; the first is the plain sum."""
    rows: list[dict[str, Any]] = []
    for number in chosen:
        entry = entries()[number]
        start, peak = measured_apart(number)
        plain = rows[0] if rows else {"bytes": peak, "bytes_above_start": peak - start}
        rows.append(
            {
                "implementation": entry.implementation,
                "method": entry.method,
                "way": entry.way,
                "bytes": peak,
                "bytes_above_start": peak - start,
                "megabytes": round(peak / 1e6, 2),
                "above_start": round((peak - start) / 1e6, 2),
                "times_sum": round(peak / plain["bytes"], 3),
                "above_start_times_sum": round((peak - start) / plain["bytes_above_start"], 3),
            }
        )
        label = f"{entry.implementation:<17} {entry.way:<15} {entry.method:<14}"
        print(f"{label} {peak / 1e6:8.2f} MB {rows[-1]['times_sum']:6.2f} x sum", flush=True)
    return rows


def targets_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    exact = [row for row in rows if row["implementation"] == "polytask" and row["way"] == "exact"]
    worst = max(exact, key=lambda row: row["times_sum"])
    name = f"exact step, {SETUP.tasks} tasks, {SETUP.rows} rows: peak, times sum (most: {worst['method']})"
    return [record.target(name, worst["times_sum"], TARGET)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the plain sum and one exact method")
    parser.add_argument("--only", type=int, help="one entry, by its number; prints its bytes, writes nothing")
    parser.add_argument("--out", type=Path, default=record.RESULTS / "step_memory.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only is not None:
        print(json.dumps(peak_bytes(entries()[options.only])))
        return
    began = time.time()
    names = [(entry.implementation, entry.method) for entry in entries()]
    chosen = [0, names.index(("polytask", "mgda"))] if options.quick else list(range(len(names)))
    rows = measure(chosen)
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/step_memory.py{' --quick' * options.quick}",
        seconds=time.time() - began,
        versions=peers.versions(),
        missing=peers.missing(),
        rows=rows,
        targets=targets_of(rows),
    )


if __name__ == "__main__":
    main()
