"""Windows of a time series as a Table: a row each, with its history, the values to come, and its part."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polytask.config import build
from polytask.data.cells import numbers_of
from polytask.data.parts import DROPPED, PARTS, TRAIN
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table
from polytask.data.time_windows.cut import REASONS, Windows, cut
from polytask.data.time_windows.row_parts import row_parts
from polytask.data.time_windows.settings import WindowSettings
from polytask.data.time_windows.times import check_column, clock_of, gaps_of, groups_of
from polytask.errors import SchemaError

#: The columns that a table of windows has beside a target for each series and the group.
HISTORY, START, SPLIT = "history", "start", "split"
_PART_NAMES = {part: name for name, part in PARTS.items()}


def windows(
    data: Any,
    settings: WindowSettings | None = None,
    *,
    split: SplitSettings | None = None,
    kinds: Mapping[str, str] | None = None,
    **fields: Any,
) -> Any:
    """A time series as a table of windows: a row a window.

    Its columns: `history`, the input: an array `[history, series]` (kind sequence), or with `flat` one vector
    `[history · series]`; for each series a vector of the `horizon` values to come, called as the series: a target, and
    no input of any task (kind other); `split`: train, validation or test, where the whole target lies; `start`, the row
    of the first of these values; time and group, if any. Windows overlap: split them by their column `split`.
    A window is left out, and counted in the table's `notes`, whose target crosses a border, that spans a gap in time
    or has a missing value. No history holds a row of a later part than its target.

    With `per_series` each series is a table of its own, whose history has that series only.

    Args:
        data: the rows of the series, in any form that `Table.of` reads.
        settings: how they are cut.
        split: which rows train, validate, test; by default the first 70 %, the next 15 % and the last 15 % in time.
        kinds: column -> kind, where the inferred one is wrong.
        **fields: in place of `settings`, what it is made of (see `WindowSettings`).

    Returns:
        The Table; with `per_series`, series -> Table.

    Raises:
        SchemaError: a column that is not there or no numbers, times that fall or repeat, or no window at all.
        ConfigError: settings that cannot be.

    Example:
        >>> rows = pd.DataFrame({"load": np.arange(20.0)})
        >>> found = windows(rows, series=["load"], history=4, horizon=2, scale=False)
        >>> found.num_rows, found.values("history")[0].ravel(), found.values("load")[0]
        (13, array([0., 1., 2., 3.]), array([4., 5.]))
    """
    chosen = settings or build(WindowSettings, fields)
    table = Table.of(data, kinds=kinds)
    for name in chosen.series:
        check_column(table, "series", name)
    values = np.stack([_numbers(table, name) for name in chosen.series], axis=1)
    groups = groups_of(table, chosen.group)
    clock = None if chosen.time is None else clock_of(table, chosen.time)
    gaps = np.zeros(table.num_rows, dtype=bool) if clock is None else gaps_of(clock, groups, chosen)
    parts = row_parts(table, groups, chosen, split or SplitSettings())
    values, scaled = _scaled(values, parts, chosen)
    found = {g: cut(parts[rows], gaps[rows], np.isnan(values[rows]).any(axis=1), chosen) for g, rows in groups.items()}
    notes = [*table.notes, _counted(found, table.num_rows, parts, chosen), *scaled]
    frame = _frame(table, groups, found, clock, chosen)
    made: dict[str, Table] = {}
    for name in chosen.series if chosen.per_series else ("",):
        picked = [chosen.series.index(name)] if name else list(range(len(chosen.series)))
        made[name] = _with_arrays(frame, values, groups, found, picked, chosen, table, notes)
    return made if chosen.per_series else made[""]


def _numbers(table: Table, name: str) -> np.ndarray:
    if table.kind(name) not in ("number", "boolean"):
        raise SchemaError(f"windows: the series {name!r} is of kind {table.kind(name)}; a column of numbers is wanted")
    return numbers_of(table, name)


def _scaled(values: np.ndarray, parts: np.ndarray, settings: WindowSettings) -> tuple[np.ndarray, list[str]]:
    """Each series standardised by its training rows, and the sentence that says by what."""
    if not settings.scale:
        return values, []
    training = values[parts == TRAIN]
    known = ~np.isnan(training).all(axis=0) if len(training) else np.zeros(values.shape[1], dtype=bool)
    if not known.all():
        raise SchemaError(
            f"windows: the series {settings.series[int(np.argmin(known))]!r} has no value in training rows"
        )
    mean, deviation = np.nanmean(training, axis=0), np.nanstd(training, axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    by = ", ".join(f"{n} ({m:.9g}, {d:.9g})" for n, m, d in zip(settings.series, mean, deviation, strict=True))
    sentence = f"series are in standard deviations from their training rows' mean (mean, deviation): {by}"
    return (values - mean) / deviation, [sentence]


def _counted(found: Mapping[str, Windows], num_rows: int, parts: np.ndarray, settings: WindowSettings) -> str:
    """What became of the windows.

    Raises:
        SchemaError: none is left.
    """
    kept = sum(len(w.starts) for w in found.values())
    left = {reason: sum(w.left_out.get(reason, 0) for w in found.values()) for reason in REASONS}
    counts = ", ".join(f"{count:,} {reason}" for reason, count in left.items() if count)
    unused = int((parts == DROPPED).sum())
    length = f"{settings.history} + {settings.horizon} steps"
    if not kept:
        longest = f"{num_rows} rows in {len(found)} groups" if settings.group else f"{num_rows} rows"
        raise SchemaError(
            f"windows: not one window of {length} is left of {longest}"
            + (f" (left out: {counts})" if counts else "")
            + "; give more rows, or a shorter history or horizon"
        )
    text = f"{kept:,} windows of {length}" + (f" in {len(found):,} groups" if settings.group else "")
    return text + (f"; left out: {counts}" if counts else "") + (f"; {unused:,} rows are of no part" if unused else "")


def _frame(
    table: Table,
    groups: Mapping[str, np.ndarray],
    found: Mapping[str, Windows],
    clock: np.ndarray | None,
    settings: WindowSettings,
) -> pd.DataFrame:
    """All columns whose cells are no arrays."""
    first = np.concatenate([groups[name][w.starts] for name, w in found.items()])
    parts = np.concatenate([w.parts for w in found.values()])
    columns: dict[str, Any] = {SPLIT: [_PART_NAMES[part] for part in parts.tolist()], START: first}
    if settings.time is not None and clock is not None:
        columns[settings.time] = clock[first]
    if settings.group is not None:
        columns[settings.group] = table.frame[settings.group].to_numpy()[first]
    return pd.DataFrame(columns)


def _with_arrays(
    frame: pd.DataFrame,
    values: np.ndarray,
    groups: Mapping[str, np.ndarray],
    found: Mapping[str, Windows],
    picked: list[int],
    settings: WindowSettings,
    table: Table,
    notes: list[str],
) -> Table:
    """The table of these series: views of the series, not copies, as windows overlap."""
    history, horizon = settings.history, settings.horizon
    seen = np.empty(len(frame), dtype=object)
    coming = [np.empty(len(frame), dtype=object) for _ in picked]
    k = 0
    for name, of_group in found.items():
        own = values[groups[name]][:, picked]
        series = [np.ascontiguousarray(own[:, s]) for s in range(len(picked))]
        for start in of_group.starts.tolist():
            past = own[start - history : start]
            seen[k] = past.ravel() if settings.flat else past
            for target, one in zip(coming, series, strict=True):
                target[k] = one[start : start + horizon]
            k += 1
    arrays: dict[str, Any] = {HISTORY: seen}
    names = [settings.series[s] for s in picked]
    arrays |= dict(zip(names, coming, strict=True))
    # Values to come are targets, and never inputs: not even of the tasks of other series.
    kinds = dict.fromkeys(names, "other") | {HISTORY: "vector" if settings.flat else "sequence"}
    # Shown, but no inputs: they say which window it is.
    kinds |= dict.fromkeys(frame.columns, "id")
    if settings.group in table.overrides:
        kinds[str(settings.group)] = table.overrides[str(settings.group)]
    return Table(
        pd.DataFrame(arrays).join(frame),
        kinds=kinds,
        source=table.source,
        notes=notes,
        split_column=SPLIT,
        made=(*names, *frame.columns),
    )
