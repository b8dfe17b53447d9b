"""How a benchmark's results are written down: the same keys for all, in `benchmarks/results/<name>.json`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

import polytask

RESULTS = Path(__file__).resolve().parent / "results"

#: glibc's allocator keeps what it has: by default it gives large blocks back to the system and asks for them again,
#: which makes the times of convolutions scatter by a fifth, by the order of steps rather than by what they do. And
#: NumPy's linear algebra takes one thread, like torch.
STEADY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def start_steady() -> None:
    """Starts this script again in the same process with `STEADY` in its environment, where that is not so yet."""
    if any(os.environ.get(name) != value for name, value in STEADY.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **STEADY})


def target(name: str, value: float, limit: float, better: str = "lower") -> dict[str, Any]:
    """One target, met or missed."""
    met = value <= limit if better == "lower" else value >= limit
    return {"name": name, "value": value, "target": limit, "better": better, "met": bool(met)}


def write(
    path: Path,
    *,
    question: str,
    command: str,
    seconds: float,
    rows: list[dict[str, Any]],
    targets: list[dict[str, Any]],
    threads: int = 1,
    versions: dict[str, str] | None = None,
    **more: Any,
) -> None:
    """Writes the file; `question` is the script's docstring, of which the first line is kept."""
    result = {
        "question": question.splitlines()[0],
        "command": command,
        "versions": {"polytask": polytask.__version__, "torch": torch.__version__, **(versions or {})},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": threads,
        "seconds": round(seconds, 1),
        **more,
        "rows": rows,
        "targets": targets,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
