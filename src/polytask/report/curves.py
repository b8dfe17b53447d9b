"""What trainings went through, epoch by epoch: averaged over Runs and thinned to what a picture can show."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from polytask.report.numbers import is_number
from polytask.report.source import History

#: Points of one curve at most.
POINTS = 120
#: Points of all curves of one section at most: together they stay below half a megabyte.
ALL_POINTS = 9000
#: Under this many points a curve is no longer its own shape.
LEAST_POINTS = 12

#: What is followed: a record -> its value, or None.
Reader = Callable[[Mapping[str, Any]], Any]


def points_for(num_curves: int) -> int:
    """Points that each of so many curves may have.

    Example:
        >>> points_for(4), points_for(100), points_for(5000)
        (120, 90, 12)
    """
    return max(LEAST_POINTS, min(POINTS, ALL_POINTS // max(num_curves, 1)))


def skill_of(task: str | None) -> Reader:
    """The validation skill of a task, or its mean over tasks."""
    if task is None:
        return lambda record: record.get("score")
    return lambda record: record.get("validation", {}).get(task, {}).get("skill")


def weight_of(task: str) -> Reader:
    """The balancer's mean weight of a task in an epoch."""
    return lambda record: record.get("weights", {}).get(task)


def cosine_of(pair: str) -> Reader:
    """The cosine of a pair's gradients, `"a|b"`."""
    return lambda record: record.get("cosines", {}).get(pair)


def curve(histories: Iterable[History], read: Reader, most: int = POINTS) -> dict[str, list[Any]]:
    """Mean, least and most over Runs by epoch, as columns; empty where nothing was recorded.

    Only epochs that all of the Runs reached: where one stops, the mean of the others would jump.
    """
    runs = [found for history in histories if (found := _by_epoch(history, read))]
    epochs = sorted(set(runs[0]).intersection(*runs[1:])) if runs else []
    if not epochs:
        return {}
    kept = [epochs[i] for i in thinned(len(epochs), most)]
    values = [[run[epoch] for run in runs] for epoch in kept]
    return {
        "epoch": kept,
        "mean": [_short(float(np.mean(of_runs))) for of_runs in values],
        "low": [_short(min(of_runs)) for of_runs in values],
        "high": [_short(max(of_runs)) for of_runs in values],
    }


def _by_epoch(history: History, read: Reader) -> dict[int, float]:
    return {int(record["epoch"]): float(value) for record in history.records if is_number(value := read(record))}


def _short(value: float) -> float:
    """Four significant digits: a picture shows no more."""
    return float(f"{value:.4g}")


def thinned(length: int, most: int) -> list[int]:
    """Positions of at most so many of these, evenly spread, the first and the last among them.

    Example:
        >>> thinned(10, 4), thinned(3, 4)
        ([0, 3, 6, 9], [0, 1, 2])
    """
    if length <= most:
        return list(range(length))
    return sorted({round(position) for position in np.linspace(0, length - 1, most)})


def mean_of(histories: Iterable[History], read: Reader) -> float | None:
    """The mean over all epochs and Runs; None where nothing was recorded."""
    values = [value for history in histories for record in history.records if is_number(value := read(record))]
    return float(np.mean(values)) if values else None


def recorded(histories: Iterable[History], key: str) -> list[str]:
    """The names that this part of the records ever had, in order of their first appearance."""
    return list(
        dict.fromkeys(name for history in histories for record in history.records for name in record.get(key, {}))
    )


def is_weighted(histories: Sequence[History]) -> bool:
    """Whether a balancer gave any task another weight than 1."""
    weights = (w for h in histories for record in h.records for w in record.get("weights", {}).values())
    return any(is_number(weight) and abs(weight - 1) > 1e-9 for weight in weights)
