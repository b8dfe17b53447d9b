"""Row values of a task's primary metric, from the outputs of its models: where tasks meet the statistics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polytask.studies.evidence import Evidence, evidence_of
from polytask.studies.influence import (
    absolute_error,
    accuracy,
    balanced_accuracy,
    hamming_loss,
    influence_on_skill,
    log_loss,
    macro_roc_auc,
    r2,
    roc_auc,
    root_mean_squared_error,
)
from polytask.studies.pairs import pairs_roc_auc
from polytask.studies.resampling import resampled_evidence
from polytask.studies.vector_values import (
    mean_absolute_error,
    mean_r2,
    mean_root_squared_error,
    mean_squared_error,
)
from polytask.tasks import Fitted, Metric, Task, cut_of, own_units

#: Resamples where a metric has no row values.
RESAMPLES = 1000


@dataclass(frozen=True)
class Judged:
    """One task's labelled test rows, in the order of its table.

    Attributes:
        task: that is judged.
        fitted: what it learnt from the training rows.
        rows: positions in the table `[rows]`.
        target: encoded `[rows, …]`.
        present: of the same shape.
        groups: of the rows, where they come in groups.
    """

    task: Task
    fitted: Fitted
    rows: Int[np.ndarray, " rows"]
    target: Tensor
    present: Tensor
    groups: np.ndarray | None

    @property
    def metric(self) -> Metric:
        """The one that judges."""
        return self.task.primary_metric(self.fitted)

    @cached_property
    def constant(self) -> float:
        """The metric of the training rows' best constant on these rows."""
        if not len(self.rows):
            return float("nan")
        return self.score(self.task.constant(self.fitted, len(self.rows)))

    @property
    def unit(self) -> float:
        """What a skill of 1 is worth in the metric."""
        return abs(self.metric.perfect - self.constant)

    def score(self, output: Tensor) -> float:
        """The metric of one output for all rows."""
        return self.metric.score(output, self.target, self.present, self.fitted) if len(self.rows) else float("nan")

    @property
    def clusters(self) -> np.ndarray | None:
        """What chance draws: groups of rows; identities, where pairs of rows are judged; None: single rows."""
        return self.target.numpy() if self.groups is None and self.task.uses_pairs else self.groups

    @property
    def counts(self) -> dict[str, int | None]:
        """Different labels, and rows of the rarest, where these decide whether there is a verdict."""
        if "classes" not in self.fitted:
            return {"classes": None, "fewest": None}
        labels = np.unique(self.target.numpy()[self.present.numpy()], return_counts=True)[1]
        against = self.metric.name in ("roc_auc", "average_precision")
        return {"classes": len(labels), "fewest": int(labels.min()) if against and len(labels) > 1 else None}

    def row_values(self, outputs: Float[Tensor, "seeds rows ..."]) -> Float[np.ndarray, "seeds rows"] | None:
        """The metric's row values for every seed; None where it has none, and rows have to be drawn again."""
        make = _KINDS.get((self.task.kind, self.metric.name))
        return None if make is None or not len(self.rows) else make(self, outputs)

    def difference(self, candidate: Tensor, twin: Tensor) -> Evidence:
        """What the candidate's and the twin's outputs `[seeds, rows, …]` say of their difference in skill."""
        if not len(self.rows) or not len(candidate):
            return nothing(len(candidate), len(self.rows), self.clusters)
        D = self.influence(candidate, twin)
        if D is None:
            return self._resampled(candidate, twin)
        return evidence_of(D, groups=self.clusters, unit=self.unit, **self.counts)

    def skill(self, outputs: Float[Tensor, "seeds rows ..."]) -> Evidence:
        """What outputs say of their own skill: its mean, and the error of that."""
        if not len(self.rows) or not len(outputs):
            return nothing(len(outputs), len(self.rows), self.clusters)
        values = self.row_values(outputs)
        if values is None:
            return self._resampled(outputs, None)
        constant = np.full_like(values, self.constant)
        D = influence_on_skill(values, constant, constant=self.constant, perfect=self.metric.perfect)
        return evidence_of(D, groups=self.clusters, unit=self.unit, **self.counts)

    def influence(self, candidate: Tensor, twin: Tensor) -> Float[np.ndarray, "seeds rows"] | None:
        """D[s, r], where the metric has row values."""
        arms = [self.row_values(outputs) for outputs in (candidate, twin)]
        if arms[0] is None or arms[1] is None:
            return None
        return influence_on_skill(arms[0], arms[1], constant=self.constant, perfect=self.metric.perfect)

    def _resampled(self, candidate: Tensor, twin: Tensor | None) -> Evidence:
        """Rows are drawn again; they go by their numbers, and the arms by theirs: seed s of arm a is a · S + s."""
        outputs = [*candidate, *(twin if twin is not None else ())]
        held = self.constant
        num_seeds, num_rows = len(candidate), len(self.rows)

        def score(drawn: np.ndarray, _: np.ndarray) -> float:
            which, rows = int(drawn[0, 0]), torch.from_numpy(drawn[:, 1].copy())
            if which >= len(outputs):
                return held
            return self.metric.score(outputs[which][rows], self.target[rows], self.present[rows], self.fitted)

        def numbered(first: int) -> Int[np.ndarray, "seeds rows 2"]:
            arms = np.arange(first, first + num_seeds)[:, None].repeat(num_rows, axis=1)
            return np.stack([arms, np.arange(num_rows)[None].repeat(num_seeds, axis=0)], axis=2)

        return resampled_evidence(
            score,
            numbered(0),
            numbered(num_seeds),
            np.zeros(num_rows),
            constant=held,
            perfect=self.metric.perfect,
            groups=self.clusters,
            resamples=RESAMPLES,
            generator=np.random.default_rng(0),
            **self.counts,
        )


def nothing(seeds: int, rows: int, clusters: np.ndarray | None) -> Evidence:
    """Evidence of what was not trained, or has no labels: it says only how little there is."""
    return Evidence(
        difference=float("nan"),
        parts=(),
        seeds=seeds,
        rows=rows,
        groups=None if clusters is None else len(np.unique(clusters)),
    )


def _binary_auc(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return roc_auc(outputs.double().numpy(), judged.target.numpy() == 1)


def _class_accuracy(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return accuracy(_classes(judged, outputs), judged.target.numpy())


def _balanced(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return balanced_accuracy(_classes(judged, outputs), judged.target.numpy())


def _log_loss(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    logits = outputs.double()
    if logits.ndim == 2:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=2)
    return log_loss(logits.softmax(dim=2).numpy(), judged.target.numpy())


def _class_macro_auc(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    number = outputs.shape[2]
    positive = judged.target.numpy()[:, None] == np.arange(number)
    return macro_roc_auc(outputs.double().softmax(dim=2).numpy(), positive)


def _label_macro_auc(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return macro_roc_auc(outputs.double().numpy(), _positive(judged), judged.present.numpy())


def _label_hamming(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return hamming_loss((outputs.double() > cut_of(judged.fitted)).numpy(), _positive(judged), judged.present.numpy())


def _number(values: Callable[..., np.ndarray]) -> Callable[[Judged, Tensor], np.ndarray]:
    """A row value of numbers, in the target's own units."""

    def of(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
        if "transform" in judged.fitted:
            target = own_units(judged.target, judged.fitted, is_target=True)
            return values(own_units(outputs, judged.fitted), target)
        sd = judged.fitted["sd"]
        return values(outputs.double().numpy() * sd, judged.target.double().numpy() * sd)

    return of


def _vector(values: Callable[..., np.ndarray]) -> Callable[[Judged, Tensor], np.ndarray]:
    """A row value of several numbers, in their own units."""

    def of(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
        sd = np.array(judged.fitted["sd"])
        return values(outputs.double().numpy() * sd, judged.target.double().numpy() * sd, judged.present.numpy())

    return of


def _ranks(judged: Judged, outputs: Tensor) -> Int[np.ndarray, "seeds rows"]:
    return (outputs.sigmoid().cummin(dim=2).values > 0.5).sum(dim=2).numpy()


def _rank_accuracy(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return accuracy(_ranks(judged, outputs), judged.target.numpy())


def _rank_error(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return absolute_error(_ranks(judged, outputs), judged.target.numpy())


def _pairs(judged: Judged, outputs: Tensor) -> Float[np.ndarray, "seeds rows"]:
    return pairs_roc_auc(outputs.numpy(), judged.target.numpy(), groups=judged.clusters)


def _classes(judged: Judged, outputs: Tensor) -> Int[np.ndarray, "seeds rows"]:
    return ((outputs.double() > cut_of(judged.fitted)).long() if outputs.ndim == 2 else outputs.argmax(dim=2)).numpy()


def _positive(judged: Judged) -> Bool[np.ndarray, "rows labels"]:
    return judged.target.numpy() > 0.5


#: (kind of task, metric) -> its row values; for all others rows are drawn again.
_KINDS: dict[tuple[str, str], Callable[[Judged, Tensor], np.ndarray]] = {
    ("classification", "roc_auc"): _binary_auc,
    ("classification", "accuracy"): _class_accuracy,
    ("classification", "balanced_accuracy"): _balanced,
    ("classification", "log_loss"): _log_loss,
    ("classification", "macro_roc_auc"): _class_macro_auc,
    ("multilabel", "macro_roc_auc"): _label_macro_auc,
    ("multilabel", "hamming_loss"): _label_hamming,
    ("regression", "r2"): _number(r2),
    ("regression", "rmse"): _number(root_mean_squared_error),
    ("regression", "mae"): _number(absolute_error),
    ("ordinal", "accuracy"): _rank_accuracy,
    ("ordinal", "mean_rank_error"): _rank_error,
    ("similarity", "roc_auc"): _pairs,
    ("vector_regression", "r2"): _vector(mean_r2),
    ("vector_regression", "rmse"): _vector(mean_root_squared_error),
    ("vector_regression", "mae"): _vector(mean_absolute_error),
    ("vector_regression", "mse"): _vector(mean_squared_error),
}
