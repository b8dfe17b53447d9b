"""Inputs that give a target away: by their value, or by where they are missing."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from polytask.data.association import FOLDS, aucs, explained, out_of_fold, r_squared
from polytask.data.cells import booleans_of, key_of, keys_of, numbers_of, times_of
from polytask.data.table import Table
from polytask.data.target_cells import target_cells
from polytask.tasks import Task

#: One column that predicts a target this well is suspect.
SUSPECT = 0.97
#: Of a task with more classes, or a column of lists with more labels, the most frequent are looked at.
MOST_CLASSES = 50
#: A number with at most this many different values is looked at as a category too.
FEW_VALUES = 50


@dataclass(frozen=True)
class Leak:
    """An input that gives a target away.

    Attributes:
        task: its name.
        column: the input.
        value: AUC or R².
        measure: "AUC" or "R²".
        by: "value": the input predicts the target; "missing": whether it is missing does; "both missing":
            whether it is missing tells whether the target is.
        label: the class or label, where there are several.
    """

    task: str
    column: str
    value: float
    measure: str
    by: str
    label: str = ""


@dataclass(frozen=True)
class _Target:
    """`classes` `[rows, classes]` for targets of classes, else `numbers` `[rows]`; those present count."""

    task: str
    present: np.ndarray
    classes: np.ndarray | None
    numbers: np.ndarray | None
    labels: tuple[str, ...] = ()

    @property
    def columns(self) -> np.ndarray:
        """What is predicted, `[rows, columns]`."""
        if self.classes is not None:
            return self.classes
        assert self.numbers is not None
        return self.numbers[:, None]


def find_leaks(table: Table, tasks: Sequence[Task], rows: np.ndarray, inputs: Sequence[str]) -> list[Leak]:
    """Every pair of task and input where the input alone is suspect, on these rows, with its worst reason."""
    targets: list[_Target] = []
    for task in tasks:
        with suppress(TypeError):  # lists where none should be, or none where they should: the task will say so
            targets += list(_targets(table, task, rows))
    folds = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    columns = {task.name: task.columns for task in tasks}
    worst: dict[tuple[str, str, bool], Leak] = {}
    for name in inputs:
        scores, codes = _as_scores(table, name, rows)
        is_there = table.mask(name)[rows]
        for target in targets:
            for leak in _of_pair(name, scores, codes, is_there, target, folds):
                if _is_of_merge(leak, table, columns[target.task]):
                    continue
                key = (leak.task, leak.column, leak.by == "value")
                if leak.value > SUSPECT and leak.value > (worst[key].value if key in worst else 0):
                    worst[key] = leak
    return list(worst.values())


def _is_of_merge(leak: Leak, table: Table, targets: Sequence[str]) -> bool:
    """Whether cells are missing since a merged table had no row there: that goes along with its other columns."""
    of = table.merged_from
    own = {name for column in targets for name in of.get(column, ())}
    if leak.by == "value" or leak.column not in of or not own:
        return False
    return leak.by == "both missing" or own.isdisjoint(of[leak.column])


def _of_pair(
    name: str,
    scores: np.ndarray | None,
    codes: np.ndarray | None,
    is_there: np.ndarray,
    target: _Target,
    folds: np.ndarray,
) -> Iterator[Leak]:
    known = target.present
    if scores is not None:
        yield from _leaks(name, scores, known & is_there, target, "value")
    if codes is not None and known.any():
        wanted = target.columns
        encoded = out_of_fold(codes[known], wanted[known], folds[known])
        if target.classes is not None:
            yield from _of_classes(name, aucs(encoded, target.classes[known]), target, "value")
        elif target.numbers is not None:
            yield Leak(target.task, name, explained(encoded[:, 0], target.numbers[known]), "R²", "value")
    if is_there.all() or not is_there.any():
        return
    yield from _leaks(name, is_there.astype(np.float64), known, target, "missing")
    if not known.all():
        value = float(aucs(is_there.astype(np.float64), known[:, None])[0])
        yield Leak(target.task, name, value, "AUC", "both missing")


def _leaks(name: str, scores: np.ndarray, rows: np.ndarray, target: _Target, by: str) -> Iterator[Leak]:
    if not rows.any():
        return
    if target.classes is not None:
        yield from _of_classes(name, aucs(scores[rows], target.classes[rows]), target, by)
    elif target.numbers is not None:
        yield Leak(target.task, name, r_squared(scores[rows], target.numbers[rows]), "R²", by)


def _of_classes(name: str, values: np.ndarray, target: _Target, by: str) -> Iterator[Leak]:
    best = int(values.argmax())
    yield Leak(target.task, name, float(values[best]), "AUC", by, target.labels[best])


def _as_scores(table: Table, name: str, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """An input as an order, or as categories, or both."""
    kind = table.kind(name)
    if kind == "category":
        return None, pd.factorize(keys_of(table, name)[0][rows], use_na_sentinel=False)[0]
    if kind == "date":
        times = times_of(table, name)[rows]
        return np.where(np.isnat(times), np.nan, times.astype(np.int64)), None
    if kind not in ("number", "boolean"):
        return None, None
    scores = (numbers_of if kind == "number" else booleans_of)(table, name)[rows]
    codes, levels = pd.factorize(scores, use_na_sentinel=False)
    return scores, codes if 2 < len(levels) <= FEW_VALUES else None


def _targets(table: Table, task: Task, rows: np.ndarray) -> Iterator[_Target]:
    values, present = target_cells(table, task)
    values, present = values[rows], present[rows]
    if task.kind == "vector_regression":
        columns = zip(values.T, present.T, strict=True) if values.ndim == 2 else ()
        for cells, kept in columns:
            yield _of_numbers(task.name, cells, kept)
    elif values.ndim == 2:
        for k, column in enumerate(task.columns):
            yield _of_cells(task.name, values[:, k], present[:, k], column)
    elif task.kind == "regression":
        yield _of_numbers(task.name, values, present)
    elif task.kind in ("multilabel", "tagging"):
        yield _of_lists(task.name, values, present)
    else:
        yield _of_cells(task.name, values, present)


def _of_numbers(task: str, values: np.ndarray, present: np.ndarray) -> _Target:
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return _Target(task, present & np.isfinite(numbers), None, numbers)


def _of_cells(task: str, values: np.ndarray, present: np.ndarray, column: str = "") -> _Target:
    keys = np.array([key_of(level) for level in pd.factorize(values[present])[1]], dtype=object)
    codes = np.full(len(values), -1)
    codes[present] = pd.factorize(values[present])[0]
    frequent = np.argsort(-np.bincount(codes[present], minlength=len(keys)), kind="stable")[:MOST_CLASSES]
    # Of two classes, one against the other is enough.
    frequent = frequent[:1] if len(keys) == 2 else frequent
    classes = codes[:, None] == frequent
    labels = tuple(column or ("" if len(keys) == 2 else str(keys[k])) for k in frequent)
    return _Target(task, present & bool(len(keys)), classes, None, labels)


def _of_lists(task: str, values: np.ndarray, present: np.ndarray) -> _Target:
    where = np.flatnonzero(present)
    owner = np.repeat(where, [len(values[row]) for row in where])
    flat = np.array([key_of(label) for row in where for label in values[row]], dtype=object)
    codes, levels = pd.factorize(flat)
    frequent = np.argsort(-np.bincount(codes, minlength=len(levels)), kind="stable")[:MOST_CLASSES]
    classes = np.zeros((len(values), len(frequent)), dtype=bool)
    for k, level in enumerate(frequent):
        classes[owner[codes == level], k] = True
    return _Target(task, present & bool(len(levels)), classes, None, tuple(str(levels[k]) for k in frequent))
