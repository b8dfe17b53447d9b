"""Metrics of predictions over all rows at once, in float64 on the CPU; NaN where one is undefined."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torchmetrics.functional import classification as torchmetrics

from polytask.tasks.base import Fitted

NAN = float("nan")

#: `(output, target) -> float` of the present rows alone.
Score = Callable[[Tensor, Tensor], float]


def on_present(score: Score) -> Callable[[Tensor, Tensor, Tensor, Fitted], float]:
    """A score of a Metric from a score of present rows; NaN where no row is present."""

    def of_present(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
        kept = present.cpu()
        if not bool(kept.any()):
            return NAN
        return score(output.detach().cpu()[kept].double(), target.detach().cpu()[kept])

    return of_present


def roc_auc(score: Float[Tensor, " rows"], positive: Bool[Tensor, " rows"]) -> float:
    """Area under the ROC curve: P(score of a positive > of a negative) + P(equal)/2, exact under ties.

    By counting in whole numbers; no sigmoid, which would tie all large logits. NaN without both kinds.

    Example:
        >>> roc_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([False, False, True, True]))
        0.75
    """
    positives = int(positive.sum())
    negatives = positive.numel() - positives
    if positives == 0 or negatives == 0:
        return NAN
    if bool(score.isnan().any()):
        return NAN
    # By numpy, whose sort of numbers alone is ten times as fast as torch's, which keeps their places too.
    below, above = np.sort(score[~positive].numpy()), np.sort(score[positive].numpy())
    # Negatives below each positive, and negatives below or equal to it: a tie counts half.
    wins = below.searchsorted(above).sum() + below.searchsorted(above, side="right").sum()
    return int(wins) / (2 * positives * negatives)


def average_precision(score: Float[Tensor, " rows"], positive: Bool[Tensor, " rows"]) -> float:
    """Σ (recall step) · precision; NaN without positives."""
    if not bool(positive.any()):
        return NAN
    levels, where = torch.unique(score, return_inverse=True)
    # Ranks lie in [0, 1], so that torchmetrics takes them as they are.
    ranks = where.double() / max(len(levels) - 1, 1)
    return float(torchmetrics.binary_average_precision(ranks, positive.long()))


def macro_roc_auc(score: Float[Tensor, "rows classes"], positive: Shaped[Tensor, "rows classes"]) -> float:
    """Mean ROC-AUC over the columns that have both positives and negatives; NaN if none has."""
    areas = torch.tensor([roc_auc(s, p) for s, p in zip(score.T, positive.bool().T, strict=True)])
    return float(areas.nanmean())


def balanced_accuracy(predicted: Int[Tensor, " rows"], target: Int[Tensor, " rows"]) -> float:
    """Mean recall over the classes that the rows have."""
    correct = (predicted == target).double()
    recalls = [correct[target == value].mean() for value in torch.unique(target)]
    return float(torch.stack(recalls).mean())
