"""How much each test row contributes to a metric, and so to the difference in skill of two arms.

A *row value* of a metric is a number a row whose mean over rows is the metric, and whose variance over rows, divided
by their number, is the variance of the metric: the loss itself for means, the linearised metric otherwise. Every
function here takes one arm's outputs `[seeds, rows, …]` and gives its row values `[seeds, rows]`; `influence_on_skill`
makes D[s, r] of two arms of it.

Only labelled rows belong in the arrays (`macro_roc_auc` alone takes a mask of cells).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

#: Probabilities below are taken as this: one certain mistake is not to decide alone.
LEAST_PROBABILITY = 1e-15


def influence_on_skill(
    candidate: Float[np.ndarray, "seeds rows"],
    twin: Float[np.ndarray, "seeds rows"],
    *,
    constant: float,
    perfect: float = 1.0,
) -> Float[np.ndarray, "seeds rows"]:
    """D[s, r] = (candidate − twin) / (perfect − constant): row r's influence on the difference in skill.

    For errors (perfect 0) that is (ℓ_twin − ℓ_candidate)/error₀, for scores (v_candidate − v_twin)/(1 − m₀): above 0
    the candidate is better. The constant's metric on the same rows is held fixed: it is the unit of measurement,
    not part of what is estimated.

    Args:
        candidate: row values of its metric.
        twin: row values of its metric, for the same seeds and rows.
        constant: the metric of the training rows' best constant prediction, judged on these rows.
        perfect: the metric's best value.

    Returns:
        D; NaN throughout where the constant is already perfect.

    Raises:
        ValueError: the arms differ in seeds or rows.

    Example:
        >>> influence_on_skill(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]]), constant=4.0, perfect=0.0)
        array([[ 0.5, -0. ]])
    """
    if np.shape(candidate) != np.shape(twin):
        raise ValueError(
            f"row values of the candidate {list(np.shape(candidate))} and of the twin {list(np.shape(twin))}: "
            "the same seeds and rows are wanted"
        )
    return (np.asarray(candidate, dtype=float) - np.asarray(twin, dtype=float)) / ((perfect - constant) or np.nan)


def accuracy(
    predicted: Shaped[np.ndarray, "seeds rows"], target: Shaped[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """1 where the prediction is right, else 0."""
    return (predicted == target).astype(float)


def balanced_accuracy(
    predicted: Shaped[np.ndarray, "seeds rows"], target: Shaped[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """The mean is the mean recall over the C classes that the rows have, linear around each class's recall.

    BA + n/(C n_c) · ([prediction is right] − recall_c) for a row of class c, which has n_c of the n rows.
    """
    right = accuracy(predicted, target)
    _, where, counts = np.unique(target, return_inverse=True, return_counts=True)
    recall = np.stack([right[:, where == k].mean(axis=1) for k in range(len(counts))], axis=1)
    stretch = len(where) / (len(counts) * counts)
    return recall.mean(axis=1, keepdims=True) + stretch[where] * (right - recall[:, where])


def hamming_loss(
    predicted: Bool[np.ndarray, "seeds rows labels"],
    positive: Bool[np.ndarray, "rows labels"],
    present: Bool[np.ndarray, "rows labels"],
) -> Float[np.ndarray, "seeds rows"]:
    """The mean is the share of present cells predicted wrongly, linear around it where rows differ in their cells.

    h + (n/N) · (wrong cells − h · present cells) for a row, of the n rows and N present cells.
    """
    wrong = ((predicted != positive) & present).sum(axis=2)
    cells = present.sum(axis=1)
    share = wrong.sum(axis=1, keepdims=True) / cells.sum()
    return share + len(cells) / cells.sum() * (wrong - share * cells)


def log_loss(
    probability: Float[np.ndarray, "seeds rows classes"], target: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """−log of the probability given to the row's class (by its place among the classes)."""
    given = probability[:, np.arange(len(target)), target]
    return -np.log(np.clip(given, LEAST_PROBABILITY, 1.0))


def absolute_error(
    predicted: Num[np.ndarray, "seeds rows"], target: Num[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """|prediction − target|: the mean is MAE."""
    return np.abs(np.subtract(predicted, target, dtype=float))


def squared_error(
    predicted: Num[np.ndarray, "seeds rows"], target: Num[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """(prediction − target)²: the mean is MSE."""
    return np.square(np.subtract(predicted, target, dtype=float))


def r2(predicted: Num[np.ndarray, "seeds rows"], target: Num[np.ndarray, " rows"]) -> Float[np.ndarray, "seeds rows"]:
    """1 − (prediction − target)² / mean (target − mean)²: the mean is R², the target's variance held fixed.

    The difference in skill is that of squared errors over the constant's, (MSE_twin − MSE_candidate)/MSE₀, as the
    variance of the target cancels. NaN where all targets are equal.
    """
    spread = float(np.var(np.asarray(target, dtype=float)))
    return 1 - squared_error(predicted, target) / (spread or np.nan)


def root_mean_squared_error(
    predicted: Num[np.ndarray, "seeds rows"], target: Num[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """RMSE + (error² − MSE)/(2 RMSE): the mean is RMSE, linear around each seed's own MSE."""
    squares = squared_error(predicted, target)
    root = np.sqrt(squares.mean(axis=1, keepdims=True))
    return root + (squares - root**2) / np.where(root > 0, 2 * root, 1.0)


def roc_auc(
    score: Num[np.ndarray, "seeds rows"], positive: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, "seeds rows"]:
    """Placement values: the mean is ROC-AUC (ties count half), the variance of that mean is DeLong's.

    A positive's placement V is the share of negatives that score lower, a negative's the share of positives that
    score higher; AUC is the mean of either. The row value is AUC + c · (V − AUC), c = sqrt(n(n−1)/(m(m−1))) for a
    row of a class that has m of the n rows: so the rows' variance over n is S₁/m₁ + S₀/m₀. NaN throughout with
    fewer than two rows of a class.

    Paper: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Comparing the areas under two or more correlated
        receiver operating characteristic curves: a nonparametric approach, Biometrics 44 (1988) 837–845.

    Example:
        >>> values = roc_auc(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([False, False, True, True]))
        >>> float(values.mean())
        0.75
    """
    places = np.array([placements(row, positive) for row in np.asarray(score)])
    counts = np.where(positive, positive.sum(), (~positive).sum())
    if counts.min() < 2 or not positive.any() or positive.all():
        return np.full(np.shape(score), np.nan)
    area = places[:, positive].mean(axis=1, keepdims=True)
    stretch = np.sqrt(len(positive) * (len(positive) - 1) / (counts * (counts - 1)))
    return area + stretch * (places - area)


def macro_roc_auc(
    score: Num[np.ndarray, "seeds rows labels"],
    positive: Bool[np.ndarray, "rows labels"],
    present: Bool[np.ndarray, "rows labels"] | None = None,
) -> Float[np.ndarray, "seeds rows"]:
    """The mean over labels of `roc_auc`, each over its present cells; labels with < 2 rows of a kind are left out.

    For classes, give one column a class (`positive = target[:, None] == classes`). NaN throughout without any label.

    Deviates: the metric itself keeps labels with a single row of a kind; its variance cannot be told from one.
    """
    known = np.ones(positive.shape, dtype=bool) if present is None else present
    by_label: dict[str, Float[np.ndarray, "seeds labelled"]] = {}
    places: dict[str, Int[np.ndarray, " labelled"]] = {}
    for label in range(positive.shape[1]):
        rows = np.flatnonzero(known[:, label])
        values = roc_auc(score[:, rows, label], positive[rows, label])
        if len(rows) and not np.isnan(values).all():
            by_label[str(label)], places[str(label)] = values, rows
    if not by_label:
        return np.full(score.shape[:2], np.nan)
    return mean_over(by_label, places, num_rows=len(positive))


def mean_over(
    values: Mapping[str, Float[np.ndarray, "seeds labelled"]],
    places: Mapping[str, Int[np.ndarray, " labelled"]],
    *,
    num_rows: int,
) -> Float[np.ndarray, "seeds rows"]:
    """Row values (or influences) of the mean over tasks, each of which knows only some of the rows.

    (1/T) Σ_t [m_t + (n/n_t) · (values_t − m_t) where t knows the row], m_t the task's mean over its own n_t rows. So
    the mean over all n rows is the mean over tasks of m_t, rows that serve several tasks are counted once, and
    a missing label adds nothing to the error.

    Args:
        values: task -> for its own rows.
        places: task -> where these stand among all rows, each once.
        num_rows: of all tasks together.

    Example:
        >>> mean_over({"a": np.array([[1.0, 3.0]]), "b": np.array([[6.0]])}, {"a": [0, 1], "b": [2]}, num_rows=3)
        array([[3.25, 4.75, 4.  ]])
    """
    total = 0.0
    for task, found in values.items():
        mean = found.mean(axis=1, keepdims=True)
        spread = np.zeros((len(found), num_rows))
        spread[:, places[task]] = (found - mean) * (num_rows / found.shape[1])
        total = total + mean + spread
    return np.asarray(total) / len(values)


def placements(score: Num[np.ndarray, " rows"], positive: Bool[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Share of the other class that each row beats (positives) or is beaten by (negatives); ties count half."""
    below, above = np.sort(score[~positive]), np.sort(score[positive])
    places = np.full(len(score), np.nan)
    if len(below) and len(above):
        places[positive] = _rank(below, score[positive]) / len(below)
        places[~positive] = 1 - _rank(above, score[~positive]) / len(above)
    return places


def _rank(ordered: Num[np.ndarray, " others"], score: Num[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """How many of the others lie below, ties counting half."""
    return (ordered.searchsorted(score) + ordered.searchsorted(score, side="right")) / 2


#: Metric of a task -> its row values; all other metrics go through `resampled_evidence`.
ROW_VALUES = {
    "accuracy": accuracy,
    "log_loss": log_loss,
    "mae": absolute_error,
    "r2": r2,
    "rmse": root_mean_squared_error,
    "roc_auc": roc_auc,
    "macro_roc_auc": macro_roc_auc,
}
