"""How a time series is cut into windows."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How a time series is cut into windows.

    Args:
        series: columns of numbers: what is seen, and what is predicted.
        history: time steps that a window sees, >= 1.
        horizon: time steps after them that are predicted, >= 1.
        stride: time steps from one window to the next, >= 1.
        time: a column of dates or numbers, ascending in each group; not given: rows follow each other as they stand.
        every: the step of time in pandas' words ("h", "15min", "D", "B", "MS"); the commonest one where not given.
        group: a column that says whose series a row is of (a sensor, a shop); no window crosses from one to another.
        scale: whether each series is standardised by the mean and standard deviation of its training rows.
        flat: whether the history is one vector `[history · series]` instead of `[history, series]`.
        per_series: whether each series is a table of its own, called as it is, for models that treat all alike.
        borders: the first row after training, after validation and, if some rows are left, after the test; counted in
            each group from 0, as (8640, 11520, 14400). Not given: as the split says.
        look_back: whether a history may reach back over a border into an earlier part, as it would in use.

    Raises:
        ValueError: a number out of range, a column that stands twice, borders that do not rise.
    """

    series: tuple[str, ...]
    history: int = 96
    horizon: int = 24
    stride: int = 1
    time: str | None = None
    every: str | None = None
    group: str | None = None
    scale: bool = True
    flat: bool = False
    per_series: bool = False
    borders: tuple[int, ...] | None = None
    look_back: bool = True

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError("windows: series is empty; name at least one column of numbers")
        for name in self.series:
            if self.series.count(name) > 1:
                raise ValueError(f"windows: series names {name!r} twice; name it once")
            if name in (self.time, self.group):
                raise ValueError(f"windows: {name!r} is a series, and time or group too; it can be one of them")
            if name in ("history", "split", "start"):
                raise ValueError(f"windows: a series cannot be called {name!r}, as a column of windows is; rename it")
        for setting in ("history", "horizon", "stride"):
            value = getattr(self, setting)
            if value < 1:
                raise ValueError(f"windows: {setting}={value} is out of range; a whole number from 1 is wanted")
        if self.every is not None and self.time is None:
            raise ValueError("windows: every has no effect without time")
        borders = self.borders
        if borders is not None and (
            len(borders) not in (2, 3) or borders[0] < 1 or any(a >= b for a, b in pairwise(borders))
        ):
            raise ValueError(
                f"windows: borders={borders}: two or three rising row numbers are wanted, the first rows after "
                "training, after validation and after the test, as (8640, 11520, 14400)"
            )
