"""Whether a results.json holds what a report reads of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from polytask.errors import RunError

#: Key -> what it holds; a list stands for many of the kind within.
Shape = Mapping[str, Any]

_VERDICT: Shape = {
    "word": str,
    "reason": str,
    "difference": float,
    "interval": (list, NoneType),
    "adjusted_interval": (list, NoneType),
}
_STUDY: Shape = {
    "design": {"seeds": list, "level": float, "grid": dict, "primary": str},
    "tasks": [{"name": str, "metric": str, "region": float, "unit": float, "rows": dict}],
    "arms": [{"name": str, "role": str, "summary": str, "scores": dict, "runs": int, "overrides": dict}],
    "verdict": {"candidate": str, "twins": str, "tasks": dict, "headline": str},
    "warnings": list,
    "runs": [{"arm": str, "state": str, "is_main": bool, "folder": str}],
    "cost": {"wall_seconds": float, "training_seconds": float, "runs": int},
    "lint": list,
    "environment": dict,
}

#: Numbers and texts may be null: what could not be computed, what has no name.
_ALLOWED: Mapping[Any, Any] = {float: (int, float, NoneType), str: (str, NoneType)}


def check(results: Any, path: Path, version: int) -> None:
    """Refuses what is no results.json of a study, or one that a newer polytask wrote.

    Raises:
        RunError: names the first thing that is missing or of another kind.
    """
    if not isinstance(results, dict) or results.get("kind") != "study":
        raise RunError(
            f"{path} is no study's results.json: its kind is not 'study'; name the folder of a study or a Run"
        )
    written = results.get("format")
    if isinstance(written, int) and written > version:
        raise RunError(
            f"{path} was written by polytask {results.get('polytask', '?')} (format {written}); this one reads "
            f"format {version}: upgrade polytask to report on it"
        )
    problem = next(_problems(results, _STUDY, ""), "")
    verdicts = results["verdict"]["tasks"] if not problem else {}
    for name, verdict in verdicts.items():
        problem = problem or next(_problems(verdict, _VERDICT, f"verdict.tasks.{name}."), "")
    if not problem and results["verdict"].get("mean"):
        problem = next(_problems(results["verdict"]["mean"], _VERDICT, "verdict.mean."), "")
    if not problem and set(verdicts) != {task["name"] for task in results["tasks"]}:
        problem = "verdict.tasks and tasks name different tasks"
    if not problem:
        known = {arm["name"] for arm in results["arms"]}
        missing = [name for key in ("candidate", "twins") if (name := results["verdict"][key]) not in known]
        problem = f"the verdict names the arm {missing[0]!r}, which is not among arms" if missing else ""
    if problem:
        raise RunError(f"{path} is damaged: {problem}; restore it from a copy, or start the study's command again")


def _problems(values: Any, shape: Shape, place: str) -> Iterator[str]:
    if not isinstance(values, dict):
        yield f"{place.removesuffix('.') or 'it'} is no mapping"
        return
    for key, kind in shape.items():
        if key not in values:
            yield f"it has no {place}{key}"
        elif isinstance(kind, list):
            entries = values[key] if isinstance(values[key], list) else [values[key]]
            for number, entry in enumerate(entries):
                yield from _problems(entry, kind[0], f"{place}{key}[{number}].")
        elif isinstance(kind, Mapping):
            yield from _problems(values[key], kind, f"{place}{key}.")
        elif not isinstance(values[key], _ALLOWED.get(kind, kind)):
            yield f"{place}{key} is {values[key]!r:.40}, of another kind than a results.json has"
