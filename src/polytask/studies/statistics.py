"""Howe's interval of a difference with several sources of error, its p value, and what many tests at once ask for.

Everything here is a pure function of numbers and numpy arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, stats

#: The smallest p value that is told from 0.
LEAST_P = 1e-12


@dataclass(frozen=True)
class Part:
    """One source of error: an estimated variance of the mean, and how well that variance is known.

    Attributes:
        variance: of the estimate, not of single seeds or rows; a number or an array of them.
        degrees: of freedom of the variance: seeds − 1, rows − 1, groups − 1; infinite where it is known.
    """

    variance: float | Float[np.ndarray, "..."]
    degrees: float = np.inf


def quantile(level: float, degrees: float) -> float:
    """t(degrees; 1 − level), which is the normal's for infinitely many degrees of freedom.

    Example:
        >>> round(quantile(0.025, 4), 3), round(quantile(0.025, np.inf), 3)
        (2.776, 1.96)
    """
    # scipy's t with infinite degrees is right, but far slower.
    return float(stats.norm.isf(level) if np.isinf(degrees) else stats.t.isf(level, degrees))


def half_width(parts: Sequence[Part], level: float = 0.05) -> float | Float[np.ndarray, "..."]:
    """Half of Howe's 1 − level interval: sqrt(Σ t²(degrees; 1 − level/2) · variance).

    With seeds and rows: sqrt(t²(S−1) · V_seed + t²(n−1) · V_row), where t(n−1) is the normal's for many rows. Each
    source is stretched by its own quantile, so that few seeds cost much only where seeds matter.

    Paper: W. G. Howe, Approximate confidence limits on the mean of X + Y where X and Y are two tabled independent
        random variables, Journal of the American Statistical Association 69 (1974) 789–794.

    Example:
        >>> round(float(half_width([Part(1.0, 4), Part(1.0)])), 3)  # sqrt(2.776² + 1.960²)
        3.399
    """
    return _root_of_squares(parts, [quantile(level / 2, part.degrees) for part in parts])


def p_value(difference: float, parts: Sequence[Part]) -> float:
    """The smallest α whose interval does not hold 0: |difference| = half_width(parts, p).

    Between 1e-12, below which all is one, and 1; NaN where the difference or a variance is.

    Example:
        >>> round(p_value(2.776445, [Part(1.0, 4)]), 4)  # one part alone: the t test
        0.05
    """
    size = abs(difference)
    if np.isnan(size) or any(np.isnan(part.variance) for part in parts):
        return float("nan")
    if size == 0:
        return 1.0
    if size >= half_width(parts, LEAST_P):
        return LEAST_P
    # On the scale of logarithms: p values are told apart by their ratio.
    root = optimize.brentq(
        lambda log_level: float(half_width(parts, float(np.exp(log_level)))) - size,
        np.log(LEAST_P),
        0.0,
        xtol=1e-12,
    )
    return float(np.exp(root))


def minimum_detectable_effect(
    parts: Sequence[Part], level: float = 0.05, power: float = 0.8
) -> float | Float[np.ndarray, "..."]:
    """The difference that a study like this one would tell from 0 about as often as `power` says.

    half_width(level) + sqrt(Σ t²(degrees; power) · variance). With 5 seeds it is found about 3 times in 4.

    Example:
        >>> round(float(minimum_detectable_effect([Part(1.0)])), 3)  # 1.960 + 0.842
        2.802
    """
    return half_width(parts, level) + _root_of_squares(parts, [quantile(1 - power, p.degrees) for p in parts])


def holm(p: Float[np.ndarray, " tests"] | Sequence[float], level: float = 0.05) -> Float[np.ndarray, " tests"]:
    """The level at which Holm judges each test: a test is rejected exactly where p ≤ its level.

    Sorted upwards, the i-th p value (from 0) is held against level/(tests − i), until one is not rejected; all that
    follow are then held against the level of that one. So the interval at this level leaves out 0 exactly where
    Holm rejects, whatever the order of the tests. The chance of any false rejection is at most `level`.

    Paper: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
        (1979) 65–70.

    Raises:
        ValueError: a p value outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()  # 0.005 and 0.01 are rejected, 0.03 > 0.05/2 stops it
        [0.016666666666666666, 0.025, 0.025, 0.0125]
    """
    values = _checked(p)
    ordered = np.sort(values)
    levels = level / np.arange(len(values), 0, -1)
    failed = np.flatnonzero(ordered > levels)
    last = failed[0] if len(failed) else len(values)
    # Equal p values are all held against the level of the first: they are judged alike.
    return levels[np.minimum(np.searchsorted(ordered, values), last)] if len(values) else levels


def holm_adjusted(p: Float[np.ndarray, " tests"] | Sequence[float]) -> Float[np.ndarray, " tests"]:
    """P values that may be held against one common level: max over earlier ones of (tests − i) · p, at most 1.

    Example:
        >>> holm_adjusted([0.01, 0.04, 0.03, 0.005]).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(values), 0, -1) * values[order]), 1.0)
    return adjusted


def screen(p: Float[np.ndarray, " tests"] | Sequence[float], rate: float = 0.1) -> Bool[np.ndarray, " tests"]:
    """Which tests are worth a second look: Benjamini–Hochberg, at most `rate` of them false on average.

    For many tasks (more than 12), where Holm finds little. A screen, not a verdict.

    Paper: Y. Benjamini, Y. Hochberg, Controlling the false discovery rate: a practical and powerful approach to
        multiple testing, Journal of the Royal Statistical Society B 57 (1995) 289–300.

    Example:
        >>> screen([0.001, 0.04, 0.9, 0.05]).tolist()
        [True, True, False, True]
    """
    values = _checked(p)
    found: Bool[np.ndarray, " tests"] = np.zeros(0, dtype=bool)
    return stats.false_discovery_control(values) <= rate if len(values) else found


def _root_of_squares(parts: Sequence[Part], quantiles: Sequence[float]) -> float | Float[np.ndarray, "..."]:
    return np.sqrt(sum(q**2 * np.asarray(part.variance) for q, part in zip(quantiles, parts, strict=True)))


def _checked(p: Float[np.ndarray, " tests"] | Sequence[float]) -> Float[np.ndarray, " tests"]:
    values = np.asarray(p, dtype=float)
    outside = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(outside):
        raise ValueError(f"p value {values[outside[0]]} at place {outside[0]}: a number between 0 and 1 is wanted")
    return values
