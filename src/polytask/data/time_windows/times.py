"""The order of a time series: its groups, its times, and where a step is missing."""

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of, numbers_of, times_of
from polytask.data.table import Table
from polytask.data.time_windows.settings import WindowSettings
from polytask.errors import SchemaError, nearest


def groups_of(table: Table, column: str | None) -> dict[str, np.ndarray]:
    """Positions of the rows of each group, in their order; "" alone where there is no column of groups.

    Raises:
        SchemaError: no such column, or a row without a group.
    """
    if column is None:
        return {"": np.arange(table.num_rows)}
    check_column(table, "group", column)
    keys, present = keys_of(table, column)
    if not present.all():
        raise SchemaError(f"windows: the group column {column!r} is missing in row {int(np.argmin(present))}; fill it")
    codes, values = pd.factorize(keys)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))[:-1]
    return dict(zip(values.tolist(), np.split(order, ends), strict=True))


def clock_of(table: Table, column: str) -> np.ndarray:
    """A column of dates or numbers as float64 or datetime64 `[rows]`.

    Raises:
        SchemaError: no such column, one of another kind, or a row without a time.
    """
    check_column(table, "time", column)
    kind = table.kind(column)
    if kind not in ("date", "number"):
        raise SchemaError(f"windows: the time column {column!r} is of kind {kind}; a date or number is wanted")
    present = table.mask(column)
    if not present.all():
        raise SchemaError(
            f"windows: the time column {column!r} is missing in {int((~present).sum())} of {table.num_rows} rows, the "
            f"first in row {int(np.argmin(present))}; fill it in or leave these rows out"
        )
    return times_of(table, column) if kind == "date" else numbers_of(table, column)


def gaps_of(clock: np.ndarray, groups: dict[str, np.ndarray], settings: WindowSettings) -> np.ndarray:
    """Bool `[rows]`: whether the step from the row before, in its group, is not the usual one.

    Raises:
        SchemaError: times that fall or repeat, or have no usual step.
    """
    zero = clock[:1] - clock[:1]
    for group, rows in groups.items():
        falls = np.flatnonzero(np.diff(clock[rows]) <= zero)
        if len(falls):
            earlier, later = rows[falls[0]], rows[falls[0] + 1]
            how = "repeats" if clock[earlier] == clock[later] else "falls"
            where = f" of group {group!r}" if group else ""
            raise SchemaError(
                f"windows: the time column {settings.time!r}{where} {how} from row {earlier} ({clock[earlier]}) to row "
                f"{later} ({clock[later]}); sort the rows by time, keep one row a time, or name the group"
            )
    gaps = np.zeros(len(clock), dtype=bool)
    if settings.every is not None:
        follows = _followers(clock, settings.every)
        for rows in groups.values():
            gaps[rows[1:]] = follows[rows[:-1]] != clock[rows[1:]]
        return gaps
    steps = np.concatenate([np.diff(clock[rows]) for rows in groups.values()])
    if not len(steps):
        return gaps
    kinds, counts = np.unique(steps, return_counts=True)
    usual = kinds[np.argmax(counts)]
    is_number = clock.dtype.kind == "f"
    odd = ~np.isclose(steps, usual) if is_number else steps != usual
    if odd.mean() > 0.5:
        raise SchemaError(
            f"windows: the time column {settings.time!r} has no usual step: {int(odd.sum())} of {len(steps)} steps are "
            f"not {pd.Timedelta(usual) if not is_number else usual}; say every, as 'MS' for months, or leave time out"
        )
    gaps[np.concatenate([rows[1:] for rows in groups.values()])] = odd
    return gaps


def _followers(clock: np.ndarray, every: str) -> np.ndarray:
    """The time one step after each."""
    if clock.dtype.kind != "M":
        raise SchemaError(f"windows: every={every!r} is a step of dates, and the time column holds numbers")
    try:
        offset = pd.tseries.frequencies.to_offset(every)
    except ValueError:
        raise SchemaError(
            f"windows: every={every!r} is no step of time; one of pandas' is wanted, such as 'h', '15min', 'D', 'MS'"
        ) from None
    return (pd.DatetimeIndex(clock) + offset).to_numpy().astype(clock.dtype)


def check_column(table: Table, setting: str, column: str) -> None:
    """Refuses a column that is not there."""
    if column not in table.columns:
        raise SchemaError(f"windows: {setting}: there is no column {column!r}; {nearest(column, table.columns)}")
