"""Targets as the columns that baselines learn, and what they learnt as a task's own output."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polytask.studies.baselines.baseline import Learnt, Lesson, Matrix, Rows
from polytask.tasks import Fitted, Task

#: Kinds of task whose target is numbers.
NUMBERS = ("regression", "vector_regression")
#: Logits are cut here: losses stay finite, and float32 still tells them apart.
LARGEST_LOGIT = 50.0


@dataclass(frozen=True)
class Column:
    """What was learnt of one column of a target.

    Attributes:
        learnt: gives its scores; None where training rows left nothing to learn (one value only).
        classes: codes of the classes that training has, ascending; none for numbers.
        rows: labelled training rows.
    """

    learnt: Learnt | None
    classes: np.ndarray
    rows: int

    def logits(self, rows: Matrix, num_classes: int) -> np.ndarray:
        """Log-probabilities of all classes up to a constant, float64 `[rows, num_classes]`.

        A class without a training row gets the probability of half a row.
        """
        assert self.learnt is not None
        scores = self.learnt(rows).astype(np.float64)
        known = np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores
        known = known - np.logaddexp.reduce(known, axis=1, keepdims=True)
        logits = np.full((len(scores), num_classes), -np.log(2.0 * self.rows))
        logits[:, self.classes] = known
        return logits


def num_columns(rows: Rows) -> int:
    """Columns of the target: one, or one a label."""
    return 1 if rows.target.ndim == 1 else rows.target.shape[1]


def lesson_of(
    task: Task, k: int, training: tuple[Matrix, Rows], validation: tuple[Matrix, Rows]
) -> tuple[Lesson, np.ndarray]:
    """The lesson of a target's column k, and the codes of its classes (none for numbers)."""
    rows, target = _labelled(*training, k)
    judged, judged_target = _labelled(*validation, k)
    if task.kind in NUMBERS:
        is_absolute = task.primary == "mae"
        classes = np.zeros(0, dtype=np.int64)
    else:
        is_absolute = False
        classes, target = np.unique(target.astype(np.int64), return_inverse=True)
        is_known = np.isin(judged_target, classes)
        judged, judged_target = judged[is_known], np.searchsorted(classes, judged_target[is_known])
    lesson = Lesson(
        rows=rows,
        target=target,
        validation=judged,
        validation_target=judged_target,
        num_classes=len(classes),
        is_absolute=is_absolute,
    )
    return lesson, classes


def _labelled(matrix: Matrix, rows: Rows, k: int) -> tuple[Matrix, np.ndarray]:
    """The rows with a label in column k, and their labels."""
    target, present = (cells.cpu().numpy().reshape(len(cells), -1)[:, k] for cells in (rows.target, rows.present))
    return (matrix if present.all() else matrix[np.flatnonzero(present)]), target[present].astype(np.float64)


def output_of(task: Task, fitted: Fitted, columns: Sequence[Column], rows: Matrix) -> Tensor:
    """The task's output: what its head would give, so that loss, metrics and decoding read it as they are."""
    output = task.constant(fitted, rows.shape[0]).double()
    if task.kind in ("multilabel", "vector_regression"):
        for k, column in enumerate(columns):
            if column.learnt is not None:
                output[:, k] = torch.from_numpy(np.asarray(column.learnt(rows), dtype=np.float64))
    elif columns[0].learnt is not None:
        output = torch.from_numpy(_of_one(task, fitted, columns[0], rows))
    if task.kind not in NUMBERS:
        output = output.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return output.float()


def _of_one(task: Task, fitted: Fitted, column: Column, rows: Matrix) -> np.ndarray:
    """The output of a task with one column."""
    if task.kind == "regression":
        assert column.learnt is not None
        return np.asarray(column.learnt(rows), dtype=np.float64)
    logits = column.logits(rows, len(fitted["classes"]))
    if task.kind == "ordinal":
        # log P(y > k) − log P(y <= k), from sums that lose no digits.
        below = np.logaddexp.accumulate(logits, axis=1)[:, :-1]
        above = np.logaddexp.accumulate(logits[:, ::-1], axis=1)[:, ::-1][:, 1:]
        return np.asarray(above - below)
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits
