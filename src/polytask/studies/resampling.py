"""Evidence of metrics that are no mean over rows and have no known influence: by drawing the rows again."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Shaped

from polytask.studies.evidence import Evidence, one_a_row, seed_variance, variance
from polytask.studies.statistics import Part

#: `(output of one seed [rows, …], target [rows, …]) -> value`; NaN where it is undefined.
ArrayMetric = Callable[[np.ndarray, np.ndarray], float]

#: Resamples with an undefined metric (no positive drawn, say) are left out; with more of them, no variance is given.
MOST_UNDEFINED = 0.1


def resampled_evidence(
    metric: ArrayMetric,
    candidate: Shaped[np.ndarray, "seeds rows ..."],
    twin: Shaped[np.ndarray, "seeds rows ..."],
    target: Shaped[np.ndarray, "rows ..."],
    *,
    constant: float,
    perfect: float = 1.0,
    groups: Shaped[np.ndarray, " rows"] | None = None,
    classes: int | None = None,
    fewest: int | None = None,
    resamples: int = 1000,
    generator: np.random.Generator,
) -> Evidence:
    """Evidence of any metric: V_row is the variance of the difference over resampled rows.

    Each resample draws rows with replacement (whole groups where they come in groups), the same for both arms and
    all seeds, and takes the seed-averaged metric of each arm. The variance is multiplied by n/(n−1) (groups:
    K/(K−1)), by which that of resamples is short; so for a mean it agrees with `evidence_of`.

    Paper: B. Efron, Bootstrap methods: another look at the jackknife, The Annals of Statistics 7 (1979) 1–26.

    Args:
        metric: of one seed's outputs.
        candidate: its output for every seed and row.
        twin: likewise, trained with the same seeds.
        target: of every row.
        constant: the metric of the training rows' best constant prediction on these rows, held fixed.
        perfect: the metric's best value.
        groups: of the rows.
        classes: different labels among the rows, for tasks that have classes.
        fewest: rows of the rarest class, where the metric sets classes against each other.
        resamples: how many.
        generator: draws them.

    Raises:
        ValueError: arms of different shapes, another number of rows in target or groups, too few resamples.
    """
    arms = _both(candidate, twin, target)
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: a variance needs at least 2, and 1000 are wanted")
    num_rows, gap = len(target), perfect - constant
    labels = np.arange(num_rows) if groups is None else one_a_row(groups, num_rows)
    by_seed = _differences(metric, arms, target, np.arange(num_rows), gap)
    drawn = [_differences(metric, arms, target, rows, gap).mean() for rows in _resamples(labels, resamples, generator)]
    number = len(np.unique(labels))
    return Evidence(
        difference=float(by_seed.mean()),
        parts=(
            Part(seed_variance(by_seed), len(by_seed) - 1),
            Part(_spread(np.array(drawn), number), number - 1),
        ),
        seeds=len(by_seed),
        rows=num_rows,
        groups=None if groups is None else number,
        classes=classes,
        fewest=fewest,
        unit=abs(gap),
    )


def _resamples(
    labels: Shaped[np.ndarray, " rows"], number: int, generator: np.random.Generator
) -> list[Int[np.ndarray, " drawn"]]:
    """Rows of whole groups, drawn with replacement."""
    _, where = np.unique(labels, return_inverse=True)
    sizes = np.bincount(where)
    members = np.split(np.argsort(where, kind="stable"), np.cumsum(sizes)[:-1])
    draws = generator.integers(len(sizes), size=(number, len(sizes)))
    return [np.concatenate([members[group] for group in draw]) for draw in draws]


def _differences(
    metric: ArrayMetric,
    arms: Shaped[np.ndarray, "2 seeds rows ..."],
    target: Shaped[np.ndarray, "rows ..."],
    rows: Int[np.ndarray, " drawn"],
    gap: float,
) -> Float[np.ndarray, " seeds"]:
    """Each seed's difference in skill on these rows; NaN where the constant is perfect."""
    values = np.array([[metric(output[rows], target[rows]) for output in arm] for arm in arms], dtype=float)
    return (values[0] - values[1]) / (gap or np.nan)


def _spread(drawn: Float[np.ndarray, " resamples"], number: int) -> float:
    """Variance of the defined resamples of `number` units; NaN where too many are undefined."""
    undefined = np.isnan(drawn)
    if number < 2 or undefined.mean() > MOST_UNDEFINED:
        return float("nan")
    return variance(drawn[~undefined]) * number / (number - 1)


def _both(
    candidate: Shaped[np.ndarray, "seeds rows ..."],
    twin: Shaped[np.ndarray, "seeds rows ..."],
    target: Shaped[np.ndarray, "rows ..."],
) -> Shaped[np.ndarray, "2 seeds rows ..."]:
    shapes = [np.shape(candidate), np.shape(twin)]
    if shapes[0] != shapes[1] or len(shapes[0]) < 2 or shapes[0][1] != len(target):
        raise ValueError(
            f"outputs of the candidate {list(shapes[0])} and of the twin {list(shapes[1])}: both are wanted as "
            f"[seeds, rows, …] of the same seeds and the target's {len(target)} rows"
        )
    return np.stack([np.asarray(candidate), np.asarray(twin)])
