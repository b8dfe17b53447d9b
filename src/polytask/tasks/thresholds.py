"""Where a probability becomes a yes: a threshold that is given, or the one that is best on validation rows."""

import math
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polytask.tasks.base import Fitted

#: What a threshold can be tuned for.
TunedFor = Literal["f1", "accuracy", "balanced_accuracy"]


def check_threshold(task: str, threshold: Any) -> None:
    """Raises ValueError for a threshold that cannot be."""
    if threshold == "tuned":
        return
    if isinstance(threshold, (str, bool)) or not 0 < threshold < 1:
        raise ValueError(f"task {task!r}: threshold is in (0, 1) or 'tuned', got {threshold!r}")


def given_cut(threshold: float | str) -> float | None:
    """The logit of a threshold that is given; None for 1/2, and for one that is to be tuned."""
    return None if isinstance(threshold, str) or threshold == 0.5 else math.log(threshold / (1 - threshold))


def best_cut(logits: Float[np.ndarray, " rows"], positive: Bool[np.ndarray, " rows"], metric: str = "f1") -> float:
    """The logit above which yes is said, for the highest metric on these rows: found among all that differ.

    It lies midway between two rows' logits; of equally good ones it is the one nearest to 0 (a probability of 1/2).
    0 where no row is positive, or none is negative under balanced accuracy.

    Args:
        logits: of the rows.
        positive: which of them are.
        metric: see `TunedFor`.

    Example:
        >>> best_cut(np.array([-2.0, -1.0, 0.5, 3.0]), np.array([False, True, False, True]))
        -1.5
    """
    total, negatives = int(positive.sum()), int((~positive).sum())
    if not total or (metric == "balanced_accuracy" and not negatives):
        return 0.0
    order = np.argsort(-logits, kind="stable")
    falling = logits[order].astype(np.float64)
    # Saying yes to the first k rows: only where the next one is lower.
    hits = np.concatenate([[0], np.cumsum(positive[order])])
    chosen = np.arange(len(falling) + 1)
    misses = chosen - hits
    if metric == "f1":
        scores = 2 * hits / (chosen + total)
    elif metric == "accuracy":
        scores = (hits + negatives - misses) / len(falling)
    else:
        scores = (hits / total + (negatives - misses) / negatives) / 2
    cuts = np.concatenate([[falling[0] + 1], (falling[:-1] + falling[1:]) / 2, [falling[-1] - 1]])
    is_there = np.concatenate([[True], falling[:-1] > falling[1:], [True]])
    best = is_there & (scores >= scores[is_there].max() - 1e-12)
    # 0 itself may lie between the same two rows.
    low = np.concatenate([falling, [-np.inf]])[best]
    high = np.concatenate([[np.inf], falling])[best]
    if bool(((low <= 0) & (high > 0)).any()):
        return 0.0
    return float(cuts[best][np.abs(cuts[best]).argmin()])


def thresholds(fitted: Fitted) -> float | dict[str, float]:
    """The probability above which yes is said; by label, where there are several."""
    probability = cut_of(fitted).sigmoid()
    if "labels" not in fitted:
        return float(probability)
    return dict(zip(map(str, fitted["labels"]), probability.tolist(), strict=True))


def cut_of(fitted: Fitted) -> Float[Tensor, "..."]:
    """The logit above which yes is said, or one a label; 0 where nothing else was found or given."""
    return torch.tensor(fitted.get("cut", 0.0), dtype=torch.float64)


def from_cut(output: Float[Tensor, "..."], fitted: Fitted) -> Float[Tensor, "..."]:
    """Logits counted from the cut, float64 on the CPU: yes is said above 0."""
    return output.detach().cpu().double() - cut_of(fitted)


def on_side(logits: Float[Tensor, "..."], is_yes: Bool[Tensor, "..."], fitted: Fitted) -> Float[Tensor, "..."]:
    """The logits, moved to the side of the cut where they have to be."""
    cut = cut_of(fitted)
    gap = 1e-3 * (1 + cut.abs())
    beyond = torch.where(is_yes, cut + gap, cut - gap)
    return torch.where((logits.double() > cut) == is_yes, logits.double(), beyond).float()
