"""How much better one arm does than the other, and what that difference may owe to seeds and to rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from polytask.studies.statistics import Part, half_width, minimum_detectable_effect, p_value


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The difference between two arms on one task, with its sources of error.

    Attributes:
        difference: candidate − twin in skill; above 0 the candidate is better.
        parts: what the difference may owe to chance; see `half_width`.
        seeds: trainings of each arm (or resplits).
        rows: labelled test rows.
        groups: clusters of these rows, where they come in groups.
        classes: different labels among the rows, for tasks that have classes.
        fewest: rows of the rarest class, for metrics that set classes against each other (ROC-AUC).
        unit: what a skill of 1 is worth in the metric: |perfect − constant|.
        repeats: what `seeds` counts: seed, or split.
    """

    difference: float
    parts: tuple[Part, ...]
    seeds: int
    rows: int
    groups: int | None = None
    classes: int | None = None
    fewest: int | None = None
    unit: float = 1.0
    repeats: str = "seed"

    @property
    def p(self) -> float:
        """The smallest level whose interval leaves out 0."""
        return p_value(self.difference, self.parts)

    def interval(self, level: float = 0.05) -> tuple[float, float]:
        """Howe's 1 − level interval of the difference."""
        half = float(half_width(self.parts, level))
        return self.difference - half, self.difference + half

    def minimum_detectable_effect(self, level: float = 0.05) -> float:
        """The least difference in skill that would be found most of the time."""
        return float(minimum_detectable_effect(self.parts, level))


def evidence_of(
    influence: Float[np.ndarray, "seeds rows"],
    *,
    groups: Shaped[np.ndarray, " rows"] | None = None,
    classes: int | None = None,
    fewest: int | None = None,
    unit: float = 1.0,
) -> Evidence:
    """What the influences D[s, r] of rows on the difference say: d = mean of D, and the error of both means.

    V_seed = var over seeds of mean_r D[s, r] / S with S − 1 degrees of freedom; V_row = var over rows of
    mean_s D[s, r] / n with n − 1, or clustered by group with K − 1. One seed leaves V_seed undefined (NaN).

    Args:
        influence: D, from `polytask.studies.influence`; its mean over rows is the seed's difference in skill.
        groups: of the rows (subjects, users, scaffolds, blocks of time), any values that can be compared.
        classes: different labels among the rows, for tasks that have classes.
        fewest: rows of the rarest class, for metrics that set classes against each other (ROC-AUC).
        unit: what a skill of 1 is worth in the metric.

    Raises:
        ValueError: D is no table of seeds by rows, or `groups` is not one a row.

    Example:
        >>> found = evidence_of(np.array([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]]))
        >>> found.difference, [round(part.variance, 3) for part in found.parts]  # 1/3 and 2/2
        (3.0, [0.333, 1.0])
    """
    D = _table(influence)
    num_seeds, num_rows = D.shape
    number = None if groups is None else len(np.unique(one_a_row(groups, num_rows)))
    by_row = D.mean(axis=0)
    rows = row_variance(by_row) if groups is None else clustered_variance(by_row, groups)
    return Evidence(
        difference=float(D.mean()),
        parts=(
            Part(seed_variance(D.mean(axis=1)), num_seeds - 1),
            Part(rows, (number or num_rows) - 1),
        ),
        seeds=num_seeds,
        rows=num_rows,
        groups=number,
        classes=classes,
        fewest=fewest,
        unit=unit,
    )


def seed_variance(differences: Float[np.ndarray, " seeds"]) -> float:
    """Variance of the mean over seeds; NaN for a single one."""
    return variance(differences) / len(differences)


def row_variance(values: Float[np.ndarray, " rows"]) -> float:
    """Variance of the mean over rows that are drawn one by one; NaN for a single one."""
    return variance(values) / len(values)


def clustered_variance(values: Float[np.ndarray, " rows"], groups: Shaped[np.ndarray, " rows"]) -> float:
    """Variance of the mean over rows that are drawn by whole groups; NaN for a single group.

    K/(K−1) · Σ_g (Σ_{r in g} (values[r] − mean))² / n²: for groups of one size the variance of the groups' means
    over K, for groups of one row each `row_variance`.

    Paper: K.-Y. Liang, S. L. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73
        (1986) 13–22; the mean is its simplest model.

    Example:
        >>> clustered_variance(np.array([1.0, 1.0, 3.0, 3.0]), np.array(["ann", "ann", "bob", "bob"]))
        1.0
    """
    _, where = np.unique(groups, return_inverse=True)
    sums = np.bincount(where, weights=values - values.mean())
    number = len(sums)
    if number < 2:
        return float("nan")
    return float(number / (number - 1) * np.sum(sums**2) / len(values) ** 2)


def variance(values: Float[np.ndarray, " values"]) -> float:
    """Unbiased; NaN for a single value, without numpy's warning."""
    return float(np.var(values, ddof=1)) if len(values) > 1 else float("nan")


def _table(influence: Float[np.ndarray, "seeds rows"]) -> Float[np.ndarray, "seeds rows"]:
    D = np.asarray(influence, dtype=float)
    if D.ndim != 2 or 0 in D.shape:
        raise ValueError(f"influences of shape {list(D.shape)}: a table [seeds, rows] with at least one cell is wanted")
    return D


def one_a_row(groups: Shaped[np.ndarray, " rows"], num_rows: int) -> Shaped[np.ndarray, " rows"]:
    """The groups as an array, checked.

    Raises:
        ValueError: not one group for each row.
    """
    found = np.asarray(groups)
    if found.shape != (num_rows,):
        raise ValueError(f"groups of shape {list(found.shape)}: one group for each of the {num_rows} rows is wanted")
    return found
