"""Pseudo-labels: what a Run is sure of stands in for labels that are missing."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.data import TRAIN, Table, label_weights, target_cells
from polytask.errors import SchemaError
from polytask.experiment.sure_labels import Labels, borrow, borrowing_tasks, count, fill, missing_cells, parts_under
from polytask.runs import Rows, Run
from polytask.tasks import Task

#: The column that says which part of the split a row is in, and how it names the parts.
PART, PART_NAMES = "part", ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class PseudoLabels:
    """How a training borrows labels from one before it, which learns from the given labels alone.

    Args:
        confidence: the least probability of a borrowed label, 0 to 1.
        weight: of a borrowed label in its task's training loss, where a given one has 1; above 0.
        rounds: how often labels are borrowed, each time from the training before.

    Raises:
        ValueError: a number out of range.
    """

    confidence: float = 0.95
    weight: float = 1.0
    rounds: int = 1

    paper: ClassVar[str] = "lee2013"

    def __post_init__(self) -> None:
        check_settings(self.confidence, self.weight)
        if self.rounds < 1:
            raise ValueError(f"pseudo_labels.rounds={self.rounds}: at least 1")


def pseudo_label(
    run: Run,
    rows: Rows,
    *,
    tasks: Sequence[str] | None = None,
    confidence: float = 0.95,
    weight: float = 1.0,
    quiet: bool = False,
) -> Table:
    """Rows whose missing labels are filled in where a Run is sure of them, to train on both.

    A label is borrowed where max_c p(c) >= confidence (classification, ordinal), or for each label of a multilabel task
    where max(p, 1 − p) >= confidence (of a column of lists: where that holds for all of its labels). Given labels stay.

    No label is borrowed for a row that the Run's splits hold out: a validation or test row of its own tables, known by
    its place or by equal inputs; a row of a group or key that is held out, or without the key where the Run has one;
    under a split by time, a row that is not before validation. Rows in which every label is missing, which the split
    leaves out, do get some; rows in which a task's `where` does not hold get none of its.

    Args:
        run: what predicts; its own tables have to be at hand (see `polytask.load`).
        rows: in any form that `Table.of` reads; a task's columns may be absent.
        tasks: whose labels are borrowed; where not given, those that say how sure they are.
        confidence: the least probability of a borrowed label, 0 to 1.
        weight: of a row with borrowed labels in its task's training loss, above 0. Other than 1, a row that has some
            labels of a multilabel task borrows no others of it: they would share one weight.
        quiet: do not say how many labels are borrowed.

    Returns:
        The rows with two kinds of columns more: `part` (train, validation or test, for `split={"column": "part"}`, so
        that what was held out stays held out) and, for each task, `<task> weight` (for `weight=` of the task): 1 for
        given labels, `weight` for borrowed ones, times the task's own row weight where there is one.

    Raises:
        ConfigError: no such task, or one that does not say how sure it is (regression), has a mask or a column of
            weights for each label, or learns by nnpu; a Run that streamed its tables, or has one by value.
        ValueError: a number out of range.
        SchemaError: an input column is missing, or one of the columns to be added is there already.
        RunError: the Run's own tables are no longer at hand.

    Example:
        ```python
        more = pt.pseudo_label(run, table, weight=0.5)
        tasks = [pt.Classification("sold", weight="sold weight")]
        again = pt.fit(more, tasks, split={"column": "part"})
        ```

    Paper: Lee, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks, ICML
    Workshop on Challenges in Representation Learning 2013.

    Deviates: only sure labels are borrowed, once, before a training of its own; the paper takes every row's likeliest
    class (confidence=0) anew in each step, with a weight that rises.
    """
    chosen = borrowing_tasks(run, tasks)
    check_settings(confidence, weight)
    table = Table.of(rows)
    for column in (PART, *map(weight_column, chosen)):
        if column in table.columns:
            raise SchemaError(
                f"pseudo_label: the rows have a column {column!r} already, which is one of those it adds; give them "
                "without it, or under another name"
            )
    table = table.with_missing(*_absent(table, chosen))
    parts = parts_under(run, table)
    cells = {task.name: target_cells(table, task)[1] for task in chosen}
    missing = {t.name: missing_cells(table, t, cells[t.name], share_weight=weight == 1) for t in chosen}
    found = borrow(run, table, chosen, parts == TRAIN, missing, confidence)
    frame = table.frame.copy()
    for task in chosen:
        if not quiet:
            print(
                f"{task.name}: {count(found[task.name].is_sure.sum(), missing[task.name][parts == TRAIN].sum())}",
                file=sys.stderr,
            )
        fill(frame, task, found[task.name])
        frame[weight_column(task)] = _weights(table, task, found[task.name], weight)
    frame[PART] = np.array(PART_NAMES, dtype=object)[parts]
    kinds = {name: table.kind(name) for name in table.columns if table.mask(name).any()}
    return Table(frame, kinds=kinds, source=table.source)


def weight_column(task: Task) -> str:
    """The column of a task's weights where it has borrowed labels."""
    return f"{task.name} weight"


def check_settings(confidence: float, weight: float) -> None:
    """Refuses numbers out of range.

    Raises:
        ValueError: says which.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"pseudo-labels: confidence={confidence}: a probability from 0 to 1 is wanted, such as 0.95")
    if not 0 < weight < float("inf"):
        raise ValueError(f"pseudo-labels: weight={weight}: a number above 0 is wanted, such as 0.5")


def _absent(table: Table, tasks: Sequence[Task]) -> tuple[list[str], dict[str, str]]:
    """The columns of tasks that a table has not, and what they are."""
    absent = [column for task in tasks for column in task.columns if column not in table.columns]
    return absent, dict.fromkeys(absent, "other")


def _weights(table: Table, task: Task, labels: Labels, weight: float) -> np.ndarray:
    own = np.ones(table.num_rows)
    if task.weight_columns and set(task.weight_columns) <= set(table.columns):
        own = label_weights(table, task)
        own = np.where(np.isnan(own) & labels.rows, 1.0, own)
    return np.where(labels.rows, own * weight, own)
