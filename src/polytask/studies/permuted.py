"""The labels of a task's partners, permuted among rows: what a placebo is trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from polytask.data import Split, Table, target_cells
from polytask.tasks import Task


def permuted(table: Table, tasks: Sequence[Task], name: str, split: Split, generator: np.random.Generator) -> Table:
    """The table with the labels of all tasks but one in other rows, within training and within validation.

    All labels of a row move together, with their masks and weights. Lists of tags stay as long as their rows: the
    tags of all rows are joined in the new order and cut anew.

    Args:
        table: of the rows.
        tasks: that have labels in it.
        name: of the task whose own labels stay.
        split: of the rows.
        generator: to draw from.
    """
    own = {column for task in tasks if task.name == name for column in _columns(task)}
    partners = dict.fromkeys(column for task in tasks for column in _columns(task))
    columns = [column for column in partners if column not in own]
    if not columns:
        return table
    frame = table.frame.copy()
    tagged = {task.columns[0]: task for task in tasks if task.kind == "tagging" and task.columns[0] in columns}
    whole = [column for column in columns if column not in tagged]
    for part in ("train", "validation"):
        rows = split.rows(part)
        order = np.arange(len(frame))
        order[rows] = generator.permutation(rows)
        frame[whole] = frame[whole].take(order).set_axis(frame.index)
        for column, task in tagged.items():
            has_tags = target_cells(table, task)[1]
            frame[column] = _cut_anew(frame[column], rows[has_tags[rows]], order[rows])
    return Table(frame, kinds={column: table.kind(column) for column in table.columns}, source=table.source)


def _columns(task: Task) -> tuple[str, ...]:
    return (*task.columns, *task.mask_columns, *task.weight_columns)


def _cut_anew(series: "pd.Series[Any]", rows: np.ndarray, order: np.ndarray) -> "pd.Series[Any]":
    """The lists of these rows joined in this order, and cut into lists of the lengths that the rows have."""
    found = series.to_numpy(dtype=object).copy()
    tags = [tag for row in order[np.isin(order, rows)] for tag in found[row]]
    start = 0
    for row in rows:
        found[row], start = tags[start : start + len(found[row])], start + len(found[row])
    return pd.Series(found, index=series.index, dtype=object)
