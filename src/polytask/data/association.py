"""How well one column alone predicts a target: rank-based AUC, and R², out of fold for categories."""

import numpy as np
from scipy.stats import rankdata
from scipy.stats.contingency import association

#: Fewer cells of a class, or of a number, than this say nothing.
FEWEST_OF_A_CLASS, FEWEST_NUMBERS = 10, 20
FOLDS = 5


def aucs(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """ROC-AUC of a score for each class against the rest, or of its negative where that is better.

    Args:
        scores: `[rows]`, or `[rows, classes]` for a score of each class.
        classes: true where the row is of the class, `[rows, classes]`.

    Returns:
        `[classes]`; 0.5 for a class of fewer than 10 rows, or all but fewer.
    """
    ranks = rankdata(scores, axis=0)
    ranks = ranks[:, None] if ranks.ndim == 1 else ranks
    inside = classes.sum(axis=0).astype(np.float64)
    outside = len(classes) - inside
    above = (ranks * classes).sum(axis=0) - inside * (inside + 1) / 2
    auc = above / np.maximum(inside * outside, 1)
    is_known = np.minimum(inside, outside) >= FEWEST_OF_A_CLASS
    return np.where(is_known, np.maximum(auc, 1 - auc), 0.5)


def r_squared(scores: np.ndarray, target: np.ndarray) -> float:
    """The squared correlation of values or ranks, the larger one; 0 where either is constant or too short."""
    if len(target) < FEWEST_NUMBERS or np.ptp(scores) == 0 or np.ptp(target) == 0:
        return 0.0
    pairs = ((scores, target), (rankdata(scores), rankdata(target)))
    return max(_correlation(a, b) ** 2 for a, b in pairs)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (values - values.mean() for values in (a / np.abs(a).max(), b / np.abs(b).max()))
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def out_of_fold(codes: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Each row's category as its mean target in the other folds, drawn to the overall mean by one row.

    Args:
        codes: categories, `[rows]`, from 0.
        targets: `[rows, targets]`.
        folds: `[rows]`, from 0 to `FOLDS` − 1.
    """
    num_codes = int(codes.max()) + 1
    cell = folds * num_codes + codes
    shape = (FOLDS, num_codes)
    counts = np.bincount(cell, minlength=FOLDS * num_codes).reshape(shape)
    others = counts.sum(axis=0) - counts
    encoded = np.empty(targets.shape)
    for k, target in enumerate(targets.T):
        sums = np.bincount(cell, weights=target, minlength=FOLDS * num_codes).reshape(shape)
        means = (sums.sum(axis=0) - sums + target.mean()) / (others + 1)
        encoded[:, k] = means.reshape(-1)[cell]
    return encoded


def explained(predicted: np.ndarray, target: np.ndarray) -> float:
    """1 − Σ (y − ŷ)² / Σ (y − ȳ)²; 0 where the target is constant or too short."""
    total = float(((target - target.mean()) ** 2).sum())
    if len(target) < FEWEST_NUMBERS or total == 0:
        return 0.0
    return 1 - float(((target - predicted) ** 2).sum()) / total


def cramers_v(first: np.ndarray, second: np.ndarray) -> float:
    """Cramér's V of two sets of classes: sqrt(χ² ÷ (n · (min(rows, columns) − 1))), in [0, 1]; 0 where one is constant.

    Args:
        first: codes `[rows]`.
        second: codes `[rows]`.
    """
    a, b = (np.unique(codes, return_inverse=True)[1] for codes in (first, second))
    if not len(a) or a.max() == 0 or b.max() == 0:
        return 0.0
    counts = np.zeros((int(a.max()) + 1, int(b.max()) + 1), dtype=np.int64)
    np.add.at(counts, (a, b), 1)
    return float(association(counts, method="cramer"))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """|r| of Pearson; 0 where one is constant."""
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return abs(_correlation(first - first.mean(), second - second.mean()))
