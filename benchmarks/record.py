"""How a benchmark's results are written down: the same keys for all, in `benchmarks/results/<name>.json`."""

import json
import os
from pathlib import Path
from typing import Any

import torch

import polytask

RESULTS = Path(__file__).resolve().parent / "results"


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
