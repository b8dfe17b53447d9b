"""Does a difference hold on other training sets too? The corrected t test over repeated splits and k folds."""

import numpy as np
from jaxtyping import Float

from polytask.studies.evidence import Evidence, variance
from polytask.studies.statistics import Part


def resplit_evidence(
    differences: Float[np.ndarray, " splits"],
    *,
    test_share: float,
    rows: int,
    groups: int | None = None,
    classes: int | None = None,
    fewest: int | None = None,
    unit: float = 1.0,
) -> Evidence:
    """Evidence from J splits of one data set into training and test rows, trained anew on each.

    t = mean / sqrt((1/J + n_test/n_train) · s²) with J − 1 degrees of freedom. The splits share rows, so that their
    differences are not independent; the second term stands for that. With 10 folds the factor is 1/10 + 1/9 = 0.211,
    and not 0.1. It speaks of training sets of this size, which seeds alone do not.

    Paper: C. Nadeau, Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003) 239–281;
        repeated folds: R. R. Bouckaert, E. Frank, Evaluating the replicability of significance tests for comparing
        learning algorithms, PAKDD 2004, 3–12.

    Args:
        differences: in skill, one a split (a mean over its seeds, where there are several); r times k folds make
            r · k splits.
        test_share: test rows ÷ (test + training rows) of a split; 1/k for k folds.
        rows: different labelled test rows of all splits.
        groups: that are kept whole by the splits, where there are.
        classes: different labels among these rows, for tasks that have classes.
        fewest: rows of the rarest class, for metrics that set classes against each other.
        unit: what a skill of 1 is worth in the metric.

    Raises:
        ValueError: a share outside (0, 1), or no list of differences.

    Example:
        >>> found = resplit_evidence(np.arange(10.0), test_share=0.1, rows=1000)
        >>> factor = found.parts[0].variance / np.var(np.arange(10.0), ddof=1)
        >>> round(float(factor), 3)
        0.211
    """
    found = np.asarray(differences, dtype=float)
    if not 0 < test_share < 1:
        raise ValueError(f"test_share={test_share}: the test rows' share of a split's rows, between 0 and 1, is wanted")
    if found.ndim != 1 or not len(found):
        raise ValueError(f"differences of shape {list(found.shape)}: one for each split is wanted")
    factor = 1 / len(found) + test_share / (1 - test_share)
    return Evidence(
        difference=float(found.mean()),
        parts=(Part(factor * variance(found), len(found) - 1),),
        seeds=len(found),
        rows=rows,
        groups=groups,
        classes=classes,
        fewest=fewest,
        unit=unit,
        repeats="split",
    )
