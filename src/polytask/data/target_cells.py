"""A task's raw cells: which there are, by every convention of its labels."""

import numpy as np
import pandas as pd

from polytask.data.cells import booleans_of, keys_of
from polytask.data.exclusive import exclusive_classes
from polytask.data.table import Table
from polytask.errors import SchemaError, nearest
from polytask.tasks import Classification, Task, as_values, class_index, class_key
from polytask.wording import shown

#: Types of a cell that holds several values.
LISTS = (list, tuple, np.ndarray)


def target_cells(table: Table, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """The raw cells of a task and where they are labels: present, by every convention that the task has.

    A cell is no label where it is empty or holds a value that means "missing", where its mask says so, and where a
    column does not hold what the task is limited to. Several columns of which one is 1 are one column of their names.

    Returns:
        Two arrays, `[rows]`, or `[rows, labels]` for a task of several columns. A task with one column of
        lists has `[rows]` objects.

    Raises:
        SchemaError: a column the table does not have, or cells that no convention allows.
    """
    for column in task.columns:
        check_column(table, task, column)
    cells = [_without_missing(table.values(c), table.mask(c), task) for c in task.columns]
    holds = rows_where(table, task)
    marks = _masks(table, task)
    present = [kept & holds & mark for (_, kept), mark in zip(cells, marks, strict=True)]
    if len(task.columns) == 1:
        values = cells[0][0]
        return values, _has_places(table, task, values, present[0])
    stacked = np.stack(present, axis=1)
    is_number = all(column.dtype.kind in "iufb" for column, _ in cells)
    values = np.stack([column.astype(np.float64 if is_number else object) for column, _ in cells], axis=1)
    if isinstance(task, Classification):
        return exclusive_classes(values, stacked, task)
    return values, stacked


def label_columns(task: Task) -> tuple[str, ...]:
    """The columns that say a task's labels: targets, masks, where labels count, and what a list is as long as."""
    aligned = () if task.aligned_with is None else (task.aligned_with,)
    return tuple(dict.fromkeys((*task.columns, *task.mask_columns, *(task.where or ()), *aligned)))


def row_has_label(table: Table, task: Task) -> np.ndarray:
    """Which rows have any label of the task."""
    present: np.ndarray = target_cells(table, task)[1].reshape(table.num_rows, -1)
    return np.asarray(present.any(axis=1))


def _without_missing(values: np.ndarray, present: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """The cells of a column, and which of them are there and do not mean "missing"."""
    if not task.missing_values:
        return values, present
    keys = {class_key(value) for value in task.missing_values}
    found = present.copy()
    rows = np.flatnonzero(present)
    if values.dtype != object:
        codes, levels = pd.factorize(values[rows])
        found[rows] = ~np.array([class_key(level) in keys for level in levels], dtype=bool)[codes]
        return values, found
    changed = values.copy()
    for row in rows:
        cell = values[row]
        if isinstance(cell, LISTS) and task.kind != "multilabel":  # there a label is in the list, or is not
            changed[row] = [None if class_key(one) in keys else one for one in cell]
        elif not isinstance(cell, (*LISTS, set, frozenset)):
            found[row] = class_key(cell) not in keys
    return changed, found


def _masks(table: Table, task: Task) -> list[np.ndarray]:
    """Which cells of each column are labels, by the columns that say so."""
    found = []
    for column in task.mask_columns:
        check_column(table, task, column)
        found.append(booleans_of(table, column) == 1.0)
    if len(found) == len(task.columns):
        return found
    return (found or [np.ones(table.num_rows, dtype=bool)]) * len(task.columns)


def rows_where(table: Table, task: Task) -> np.ndarray:
    """The rows in which every column of the task's `where` has one of its values, bool `[rows]`; all without one."""
    holds = np.ones(table.num_rows, dtype=bool)
    for column, allowed in (task.where or {}).items():
        check_column(table, task, column)
        keys, present = keys_of(table, column)
        levels = list(dict.fromkeys(keys[present].tolist()))
        index = class_index(levels)
        wanted = {levels[index[key]] for value in as_values(allowed) if (key := class_key(value)) in index}
        holds &= present & np.isin(keys.astype(str), sorted(wanted))
    return holds


def check_column(table: Table, task: Task, column: str) -> None:
    """Raises SchemaError where the table has no such column."""
    if column not in table.columns:
        raise SchemaError(
            f"task {task.name!r}: there is no column {column!r} in the table; {nearest(column, table.columns)}"
        )


def _has_places(table: Table, task: Task, values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """False where a list is empty that has to be as long as another column's, which is no label.

    Raises:
        SchemaError: a list of another length; names both columns and the row.
    """
    other = task.aligned_with
    if task.kind != "tagging":
        return present
    found = present.copy()
    if other is not None:
        check_column(table, task, other)
        tokens, has_tokens = table.values(other), table.mask(other)
    for row in np.flatnonzero(present):
        if not isinstance(values[row], LISTS):
            continue  # the task itself says what is wrong with it
        length = len(values[row])
        found[row] = length > 0
        if other is None or not length:
            continue
        if has_tokens[row] and not isinstance(tokens[row], LISTS):
            raise SchemaError(
                f"task {task.name!r}: column {other!r} is to hold a list of tokens a row, got {shown(tokens[row])} in "
                f"row {row}; split the text into a list"
            )
        number = len(tokens[row]) if has_tokens[row] else 0
        if number != length:
            raise SchemaError(
                f"task {task.name!r}: row {row}: {length} tags in column {task.columns[0]!r} for {number} tokens in "
                f"column {other!r}; one tag a token is wanted"
            )
    return found
