"""What a demo is, and which there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from polytask.demos import digits, flights
from polytask.tasks import Task


@dataclass(frozen=True)
class Demo:
    """One table with its tasks and the settings that suit it.

    Attributes:
        title: what it is called.
        summary: what it is, in one line.
        table: makes the table; its column `part` says "train", "validation" or "test".
        tasks: makes the tasks.
        settings: makes the settings for `fit` that differ from its defaults.
        candidates: balancers that are compared.
        group: the column whose groups of rows belong together, if any.
    """

    title: str
    summary: str
    table: Callable[[], pd.DataFrame]
    tasks: Callable[[], Sequence[Task]]
    settings: Callable[[], dict[str, Any]]
    candidates: Sequence[str]
    group: str | None = None


#: name -> demo
DEMOS: dict[str, Demo] = {
    "digits": Demo(
        title="Multi-Digits",
        summary="two overlapping handwritten digits: which are they, their total, are they equal",
        table=digits.multi_digits,
        tasks=digits.tasks,
        settings=digits.settings,
        candidates=("sum",),
    ),
    "flights": Demo(
        title="Flights from New York",
        summary="flights from New York in 2013: both delays, time in the air, cancelled or not",
        table=flights.nyc_flights,
        tasks=flights.tasks,
        settings=flights.settings,
        candidates=("sum",),
        group="date",
    ),
}
