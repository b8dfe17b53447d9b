"""Targets: a task's cells as the tensors its loss reads, with what is present and what it weighs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polytask.data.cells import numbers_of
from polytask.data.schema import LIST_KINDS
from polytask.data.table import Table
from polytask.data.target_cells import check_column, row_has_label, target_cells
from polytask.errors import SchemaError
from polytask.ragged import Ragged, Rows, as_padded, select_rows
from polytask.tasks import Fitted, Task
from polytask.wording import shown

#: Whole numbers with at most this many different values are taken for classes.
MOST_CLASSES = 20


#: More of them than this are classes only where each has several rows.
FEW_CLASSES = 10
#: A classification of more classes than this wants two labels a class at least.
MANY_CLASSES = 50


@dataclass(frozen=True)
class Targets:
    """Encoded targets of some rows, by task.

    Attributes:
        values: what the loss reads; a finite filler where not present.
        present: of the same shape; false where the cell is missing.
        weight: of the same shape, float32: row weight times the task's cell weight, 0 where not present.
    """

    values: dict[str, Rows]
    present: dict[str, Rows]
    weight: dict[str, Rows]

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.values.values())))

    def labelled(self) -> dict[str, Tensor]:
        """By task, the rows that have a label of positive weight, bool `[rows]` on the CPU."""
        found = {}
        for name, weight in self.weight.items():
            if isinstance(weight, Ragged):
                owner = torch.arange(len(weight)).repeat_interleave(weight.lengths)
                has_label = torch.zeros(len(weight), dtype=torch.bool)
                has_label[owner[(weight.values > 0).cpu()]] = True
            else:
                has_label = (weight > 0).cpu().reshape(len(weight), -1).any(dim=1)
            found[name] = has_label
        return found


def fit_task(table: Table, task: Task, rows: np.ndarray) -> Fitted:
    """What the task learns (classes, scale, constants) from these rows of its own.

    Raises:
        SchemaError: no such column, no target present among these rows, or targets the task cannot take.
    """
    values, present = _cells_of(table, task, rows)
    if not present.any():
        columns = ", ".join(repr(column) for column in task.columns)
        conventions = {"missing": task.missing, "mask": task.mask, "where": task.where}
        named = ", ".join(f"{setting}={shown(value)}" for setting, value in conventions.items() if value)
        by = f" that is a label by {named}" if named else ""
        raise SchemaError(
            f"task {task.name!r}: column {columns} has no value{by} in any of the {len(rows)} training rows; "
            "leave the task out or give it rows with a value"
        )
    fitted = task.fit(values, present)
    classes, count = fitted.get("classes", ()), int(present.sum())
    if task.kind == "classification" and len(classes) > max(MANY_CLASSES, count / 2):
        raise SchemaError(
            f"task {task.name!r}: column {task.columns[0]!r} has {len(classes)} classes in {count} training labels, "
            "too many to be learnt; numbers are a Regression, names of persons or things a Similarity"
        )
    return fitted


def encode_targets(table: Table, tasks: Sequence[Task], fitted: Mapping[str, Fitted], rows: np.ndarray) -> Targets:
    """The targets of some rows as tensors.

    Args:
        table: holds the columns of all tasks.
        tasks: what to encode.
        fitted: by task, what `fit_task` gave.
        rows: positions in the table.

    Raises:
        SchemaError: a cell a task cannot take, or a labelled row's weight that is missing, negative or not
            finite.
    """
    values, present, weight = {}, {}, {}
    for task in tasks:
        chosen = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        whole = task.encode(*_cells_of(table, task, rows), fitted[task.name])
        target, counts = (select_rows(cells, chosen) for cells in whole)
        of_rows = None
        if task.weight_columns:
            of_rows = torch.from_numpy(label_weights(table, task)[rows]).to(torch.float32)
        values[task.name], present[task.name] = target, counts
        weight[task.name] = _weights(task, target, counts, fitted[task.name], of_rows)
    return Targets(values, present, weight)


def _weights(task: Task, target: Rows, counts: Rows, fitted: Fitted, of_rows: Tensor | None) -> Rows:
    """Row weight times the task's cell weight, 0 where there is no label."""
    if isinstance(target, Ragged) and isinstance(counts, Ragged):
        weights = task.cell_weight(target.values, counts.values, fitted).to(torch.float32)
        if of_rows is not None:
            weights = weights * of_rows.repeat_interleave(target.lengths)
        return counts.map(lambda present: torch.where(present, weights, 0.0))
    target, counts = as_padded(target), as_padded(counts)
    weights = task.cell_weight(target, counts, fitted).to(torch.float32)
    if of_rows is not None:
        weights = weights * of_rows.reshape(*of_rows.shape, *[1] * (weights.ndim - of_rows.ndim))
    return torch.where(counts, weights, 0.0)


def _cells_of(table: Table, task: Task, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells of the whole table, present in these rows only: a task then names a cell by its row in the table."""
    values, present = target_cells(table, task)
    asked = np.zeros_like(present)
    asked[rows] = present[rows]
    return values, asked


def label_weights(table: Table, task: Task) -> np.ndarray:
    """A task's columns of weights, float64 `[rows]` or `[rows, labels]`; where there is no label, anything (NaN too).

    Raises:
        SchemaError: no such column, or a label's weight that is missing, negative or not finite.
    """
    labels = target_cells(table, task)[1]
    present = labels if len(task.weight_columns) > 1 else row_has_label(table, task)[:, None]
    found = []
    for column, labelled in zip(task.weight_columns, present.T, strict=True):
        check_column(table, task, column)
        weights = numbers_of(table, column)
        unfit = labelled & (np.isnan(weights) | (weights < 0))
        if unfit.any():
            row = int(np.argmax(unfit))
            what = "is missing" if np.isnan(weights[row]) else f"is {weights[row]:g}"
            raise SchemaError(
                f"task {task.name!r}: the weight in column {column!r}, row {row}, {what}; a number >= 0 is wanted"
            )
        found.append(weights)
    return found[0] if len(found) == 1 else np.stack(found, axis=1)


def infer_kind_of_task(table: Table, column: str) -> str:
    """The kind of task a column suggests.

    Lists of one length of numbers that are not all whole are a vector regression, other lists multilabel; strings,
    booleans and categories are classes; so are whole numbers with at most 20 different values (more than 10 only where
    each comes three times on average); all other numbers are a regression.

    Raises:
        SchemaError: no such column, nothing present in it, or a kind that is no target yet.
    """
    kind = table.kind(column)
    present = table.mask(column)
    if not present.any():
        raise SchemaError(f"column {column!r} has no value in any row, so it cannot be a target")
    if kind == "vector" and _are_measured(table.values(column)[present]):
        return "vector_regression"
    if kind in LIST_KINDS:
        return "multilabel"
    if kind in ("category", "boolean"):
        return "classification"
    if kind != "number":
        raise SchemaError(
            f"column {column!r} is of kind {kind}, which is no target; number, category, boolean or a list of labels is"
        )
    values = np.unique(numbers_of(table, column)[present])
    are_few = len(values) <= min(MOST_CLASSES, max(FEW_CLASSES, int(present.sum()) // 3))
    return "classification" if are_few and (values == np.round(values)).all() else "regression"


def _are_measured(cells: np.ndarray) -> bool:
    """Whether lists hold numbers that are not all whole."""
    flat = np.array([one for cell in cells for one in cell])
    return flat.dtype.kind == "f" and bool((flat[np.isfinite(flat)] % 1 != 0).any())
