"""The part of every row of a time series, before it is cut."""

from collections.abc import Mapping

import numpy as np

from polytask.data.parts import DROPPED, TEST, TRAIN, VALIDATION
from polytask.data.split import draw_groups, parts_by_column, parts_by_time
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table
from polytask.data.time_windows.settings import WindowSettings
from polytask.errors import SchemaError


def row_parts(
    table: Table, groups: Mapping[str, np.ndarray], windows: WindowSettings, split: SplitSettings
) -> np.ndarray:
    """int8 `[rows]`: by borders, by a column, by whole groups, or else the earliest rows train, the latest test.

    Args:
        table: the series.
        groups: positions of the rows of each group.
        windows: their borders and their column of time.
        split: shares, or the column that says the part.

    Raises:
        SchemaError: settings that do not go together, or borders beyond the rows.
    """
    if windows.borders is not None:
        return _by_borders(table.num_rows, groups, windows.borders)
    every = np.arange(table.num_rows)
    if split.column:
        return parts_by_column(table, split.column, every).astype(np.int8)
    if split.by_group:
        if split.by_group != windows.group:
            raise SchemaError(
                f"windows: the split is by groups of {split.by_group!r}, and a window would hold rows of several; "
                f"write windows.group: {split.by_group}"
            )
        return draw_groups(table, split).astype(np.int8)
    time = split.by_time or windows.time
    if time is not None:
        return parts_by_time(table, time, every, split).astype(np.int8)
    parts = np.full(table.num_rows, TRAIN, dtype=np.int8)
    for rows in groups.values():
        first, second = (round(len(rows) * share) for share in (1 - split.validation - split.test, 1 - split.test))
        parts[rows[first:]], parts[rows[second:]] = VALIDATION, TEST
    return parts


def _by_borders(num_rows: int, groups: Mapping[str, np.ndarray], borders: tuple[int, ...]) -> np.ndarray:
    parts = np.full(num_rows, DROPPED, dtype=np.int8)
    for group, rows in groups.items():
        where = f" of group {group!r}" if group else ""
        ends = borders if len(borders) == 3 else (*borders, len(rows))
        if ends[-1] > len(rows) or ends[1] >= len(rows) + (len(borders) == 3):
            raise SchemaError(f"windows: borders={borders}, but there are {len(rows)} rows{where}")
        parts[rows[: ends[0]]] = TRAIN
        parts[rows[ends[0] : ends[1]]] = VALIDATION
        parts[rows[ends[1] : ends[2]]] = TEST
    return parts
