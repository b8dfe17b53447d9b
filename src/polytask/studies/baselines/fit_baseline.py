"""A baseline of one task: every setting fitted on training rows, the best on validation rows kept."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polytask.errors import ConfigError, nearest
from polytask.ragged import Blocks
from polytask.studies.baselines.answers import NUMBERS, Column, lesson_of, num_columns, output_of
from polytask.studies.baselines.baseline import Baseline, Matrix, Rows
from polytask.studies.baselines.light_gbm import LightGBM
from polytask.studies.baselines.linear import Linear
from polytask.studies.baselines.trees import Trees
from polytask.tasks import Fitted, Task

#: Every baseline by its name.
BASELINES: dict[str, type[Baseline]] = {"trees": Trees, "lightgbm": LightGBM, "linear": Linear}

#: Kinds of task whose target is numbers or classes.
KINDS = ("classification", "multilabel", "regression", "vector_regression", "ordinal")


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline that has learnt one task.

    Attributes:
        task: which.
        fitted: what the task learnt from the training rows.
        tuned: the same, with what validation rows taught it (thresholds).
        baseline: how it reads rows.
        columns: what was learnt, one a column of the target.
        setting: chosen on validation rows.
        validation_skill: of the task's primary metric there; NaN where it is undefined.
        seconds: of the whole search.
    """

    task: Task
    fitted: Fitted
    tuned: Fitted
    baseline: Baseline
    columns: Sequence[Column]
    setting: dict[str, Any]
    validation_skill: float
    seconds: float

    @property
    def is_deterministic(self) -> bool:
        """Whether another seed would give the same."""
        return self.baseline.is_deterministic

    def outputs(self, inputs: Blocks) -> Tensor:
        """The task's output for encoded rows, float32: logits, log-probabilities, or standardised numbers."""
        output = output_of(self.task, self.fitted, self.columns, self.baseline.matrix(inputs))
        return self.task.recut(output, self.tuned, self.fitted)


def can_do(name: str, task: Task) -> bool:
    """Whether there is such a baseline for this kind of task.

    Example:
        >>> from polytask.tasks import Regression, Similarity
        >>> can_do("trees", Regression("price")), can_do("trees", Similarity("person"))
        (True, False)
    """
    return name in BASELINES and task.kind in KINDS


def fit_baseline(
    name: str, task: Task, fitted: Fitted, training: Rows, validation: Rows, seed: int = 0
) -> FittedBaseline:
    """Fits a baseline to one task, on the rows and inputs that a network of it would get.

    Every setting of the baseline is fitted on training rows; boosting stops by the loss on validation rows. The setting
    that is best there by the task's primary metric is kept (by its loss, where that metric is undefined there); no
    other row is looked at. A multilabel task has a model a label; a label with one value only among its training rows
    is predicted by its constant. All rows weigh the same: weights of rows and classes shape a network's loss, not the
    metric that judges both.

    Args:
        name: in `BASELINES`.
        task: what to predict.
        fitted: what the task learnt from the training rows.
        training: rows to learn from.
        validation: rows to stop and to choose by.
        seed: of what is drawn (LightGBM draws rows and columns).

    Raises:
        ConfigError: no such baseline, or none for this kind of task.
        MissingExtraError: its package is not installed.
    """
    if not can_do(name, task):
        if name in BASELINES:
            raise ConfigError(
                f"task {task.name!r}: the baseline {name!r} knows no {task.kind} task; it does {', '.join(KINDS)}"
            )
        raise ConfigError(f"unknown baseline {name!r}; {nearest(name, BASELINES)}")
    began = time.perf_counter()
    baseline = BASELINES[name](training.inputs)
    read = [(baseline.matrix(rows.inputs), rows) for rows in (training, validation)]
    settings = baseline.for_numbers if task.kind in NUMBERS else baseline.for_classes
    tried = [(setting, _learn(baseline, task, read, setting, seed)) for setting in settings]
    outputs = [output_of(task, fitted, columns, read[1][0]) for _, columns in tried]
    best = _best(task, fitted, outputs, validation)
    setting, columns = tried[best]
    tuned = task.tune(fitted, outputs[best], validation.target, validation.present)
    return FittedBaseline(
        task=task,
        fitted=fitted,
        tuned=tuned,
        baseline=baseline,
        columns=columns,
        setting=dict(setting),
        validation_skill=_skill(task, tuned, outputs[best], validation),
        seconds=time.perf_counter() - began,
    )


def _learn(
    baseline: Baseline, task: Task, read: Sequence[tuple[Matrix, Rows]], setting: Mapping[str, Any], seed: int
) -> list[Column]:
    columns = []
    for k in range(num_columns(read[0][1])):
        lesson, classes = lesson_of(task, k, *read)
        has_one_value = len(classes) < 2 and task.kind not in NUMBERS
        learnt = None if has_one_value or not len(lesson.target) else baseline.learn(lesson, setting, seed)
        columns.append(Column(learnt, classes, len(lesson.target)))
    return columns


def _best(task: Task, fitted: Fitted, outputs: Sequence[Tensor], validation: Rows) -> int:
    """Position of the output that is best on validation rows; the first where nothing can be said."""
    metric = task.primary_metric(fitted)
    values = [metric.score(output, validation.target, validation.present, fitted) for output in outputs]
    sign = 1 if metric.higher_is_better else -1
    if any(map(math.isnan, values)):
        values, sign = [_loss(task, output, validation) for output in outputs], -1
    return max(range(len(values)), key=lambda k: -math.inf if math.isnan(values[k]) else sign * values[k])


def _loss(task: Task, output: Tensor, rows: Rows) -> float:
    total, count = task.loss(output, rows.target, rows.present, torch.ones(rows.present.shape))
    return float(total / count) if count else math.nan


def _skill(task: Task, fitted: Fitted, output: Tensor, rows: Rows) -> float:
    score = task.primary_metric(fitted).score
    constant = task.constant(fitted, len(rows.target))
    values = [score(found, rows.target, rows.present, fitted) for found in (output, constant)]
    return task.skill(values[0], values[1], fitted)
