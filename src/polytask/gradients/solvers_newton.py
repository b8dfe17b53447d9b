"""The root behind Nash-MTL and FairGrad: a safeguarded Newton on a convex function of the weights."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv

from polytask.gradients.solvers import Matrix, Vector, min_norm

#: Below this squared length a convex combination of unit gradients counts as zero: what float64 can tell.
STATIONARY = 1e-10
#: The residual that is aimed at, and the one that is promised.
AIM, PROMISE = 1e-11, 1e-8


@dataclass(frozen=True)
class Root:
    """What `power_root` found.

    Attributes:
        weights: a > 0 where solved; those of the vanishing combination (≥ 0) at a Pareto stationary point.
        residual: max |(Ga)_i a_i^(1/α) − 1|; infinite at a Pareto stationary point, which has no root.
    """

    weights: Vector
    residual: float

    @property
    def is_solved(self) -> bool:
        """Whether the residual is at most 1e-8."""
        return self.residual <= PROMISE


def power_root(gramian: Matrix, alpha: float) -> Root:
    """The a > 0 with (Ga)_i = a_i^(−1/α): the least point of aᵀGa/2 − Σ φ(a), φ' = a^(−1/α).

    It is strictly convex on a > 0, so the root is unique; it exists unless a convex combination of gradients
    vanishes. With cosines C and norms n, b = na solves (Cb)_i = n_i^(1/α − 1) b_i^(−1/α): gradients of very
    different lengths are no harder than equal ones.

    Args:
        gramian: without vanished rows.
        alpha: 0.5 to 10, where norms may span six decades; 1 is the Nash bargaining solution. Outside it still
            converges for norms of one size; `residual` tells.

    Example:
        >>> power_root(np.array([[9.0, -3.0], [-3.0, 5.0]]), alpha=1.0).weights.round(6)
        array([0.448332, 0.601501])
    """
    norms = np.sqrt(gramian.diagonal())
    cosines = gramian / norms / norms[:, None]
    shortest = min_norm(cosines)
    if shortest @ cosines @ shortest <= STATIONARY:
        return Root(shortest / norms, np.inf)
    scaled, residual = _newton(cosines, norms ** (1 / alpha - 1), alpha)
    return Root(scaled / norms, residual)


def _newton(cosines: Matrix, target: Vector, alpha: float) -> tuple[Vector, float]:
    """The b > 0 with (Cb)_i = target_i b_i^(−1/α), in steps relative to b: b ← b(1 + x)."""
    power = 1 - 1 / alpha
    b = target ** (alpha / (1 + alpha))  # the root where all cosines are 0
    best, least = b, np.inf
    for _ in range(200):
        pull = cosines @ b * b
        push = target * b**power
        stretch = (push.sum() / max(pull.sum(), 1e-300)) ** (alpha / (1 + alpha))  # to the best point of the ray
        b, pull, push = b * stretch, pull * stretch**2, push * stretch**power
        residual = float(np.abs(pull / push - 1).max())
        if residual < least:
            best, least = b, residual
        if residual < AIM:
            break
        hessian = cosines * b * b[:, None]
        hessian[np.diag_indices_from(hessian)] += push / alpha
        _, step, failed = dposv(hessian, push - pull)
        if failed:
            break
        moved = _descend(cosines, target, b, step, float(step @ (pull - push)), power)
        if moved is None:
            break
        b = moved
    return best, least


def _descend(cosines: Matrix, target: Vector, b: Vector, step: Vector, slope: float, power: float) -> Vector | None:
    """The point along the Newton step where the function has fallen enough; None where rounding hides a fall."""
    length = min(1.0, 0.99 / max(float(-step.min()), 1e-300))  # no weight loses more than 99 %
    here = _value(cosines, target, b, power)
    slack = 1e-13 * (abs(here) + float(target @ b**power))
    while length > 1e-8:
        there = b * (1 + length * step)
        if _value(cosines, target, there, power) <= here + 1e-4 * length * slope + slack:
            return there
        length /= 2
    return None


def _value(cosines: Matrix, target: Vector, b: Vector, power: float) -> float:
    utility = np.log(b) if power == 0 else b**power / power
    return float(b @ cosines @ b / 2 - target @ utility)
