"""Small exact solvers on a tasks × tasks Gramian: float64, CPU, no general convex programming.

All take G as it is; `solve_live` first drops vanished rows and scales the rest to a mean squared norm of 1,
so that absolute tolerances mean the same for gradients of 1e-30 and of 1e+30. Matrices this small are a
matter of call overhead, so everything is plain numpy and a few LAPACK and NNLS calls.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor

#: A gradient this much shorter than the longest one counts as vanished.
VANISHED = 1e-12

Matrix = Float[np.ndarray, "tasks tasks"]
Vector = Float[np.ndarray, " tasks"]


def solve_live(
    gramian: Float[Tensor, "tasks tasks"], solve: Callable[[Matrix], Vector], *, idle: float, degree: float = 1.0
) -> Float[Tensor, " tasks"]:
    """Weights from `solve`, called with the scaled Gramian of the tasks whose gradient has not vanished.

    Args:
        gramian: of all present tasks.
        solve: weights from the scaled Gramian.
        idle: the weight of a vanished gradient (it is zero anyway).
        degree: of the method's update in the gradients: c · J gives c^degree times the update, so its weights
            are those of the scaled problem times scale^(degree − 1).
    """
    full = gramian.numpy()
    live = live_rows(gramian)
    weights = np.full(len(full), idle)
    if live.any():
        rows = full if live.all() else full[np.ix_(live, live)]
        square = rows.diagonal().mean()
        found = solve(rows / square)
        weights[live] = found if degree == 1 else found * np.sqrt(square) ** (degree - 1)
    return torch.from_numpy(weights)


def live_rows(gramian: Float[Tensor, "tasks tasks"]) -> np.ndarray:
    """Whether each task's gradient has not vanished beside the longest."""
    norms = np.sqrt(gramian.numpy().diagonal())
    return np.asarray(norms > VANISHED * norms.max())


def factor(gramian: Matrix) -> Matrix:
    """F with FᵀF = G: coordinates of the gradients in as few dimensions as there are tasks, one a column."""
    try:
        return np.asarray(np.linalg.cholesky(gramian).T)
    except np.linalg.LinAlgError:  # dependent gradients
        norms = np.sqrt(gramian.diagonal())
        # Of the cosines, since eigenvalues of G drown the short gradients in the rounding of the long ones.
        values, vectors = np.linalg.eigh(gramian / norms / norms[:, None])
        return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * norms)


def min_norm(gramian: Matrix) -> Vector:
    """The shortest convex combination of the gradients: argmin over the simplex of wᵀGw.

    Example:
        >>> min_norm(np.array([[9.0, -3.0], [-3.0, 5.0]]))
        array([0.4, 0.6])
    """
    return shortest_combination(factor(gramian))


def shortest_combination(columns: Float[np.ndarray, "dims tasks"]) -> Vector:
    """The w on the simplex with the least ‖F w‖, by non-negative least squares: finite and exact.

    Over w = t v with v in the simplex, ‖F w‖² + δ²(1ᵀw − 1)² is least at t = δ²/(δ² + ‖F v‖²), where it grows
    with ‖F v‖: whatever δ > 0, the least v is the one sought.
    """
    rows, size = columns.shape
    lengths = np.sqrt((columns * columns).sum(axis=0))
    least = lengths.min()
    if least == 0:
        return np.asarray((lengths == 0) / (lengths == 0).sum())
    system = np.full((rows + 1, size), least)  # δ = the shortest: the size that ‖F v‖ has
    system[:rows] = columns
    wanted = np.zeros(rows + 1)
    wanted[rows] = least
    weights = _nnls(system / lengths, wanted) / lengths
    return np.asarray(weights / weights.sum())


def cone_projection(gramian: Matrix, weights: Vector) -> Vector:
    """The nearest update to Jᵀweights that hurts no task: argmin over v ≥ weights of vᵀGv, so that Gv ≥ 0.

    Example:
        >>> cone_projection(np.array([[9.0, -3.0], [-3.0, 5.0]]), np.array([0.5, 0.5]))
        array([0.5, 0.5])
    """
    return cone_projections(gramian, weights[None])[0]


def cone_projections(gramian: Matrix, weights: Float[np.ndarray, "many tasks"]) -> Float[np.ndarray, "many tasks"]:
    """`cone_projection` of every row, with one factorisation; a row that hurts no task stays as it is."""
    progress = weights @ gramian
    hurts = progress.min(axis=1) < 0
    if not hurts.any():
        return weights
    columns = factor(gramian)
    lengths = np.sqrt(gramian.diagonal())
    unit = columns / lengths  # of equal length, columns of all scales are solved alike
    wanted = -weights @ columns.T
    projected = weights.copy()
    for row in np.flatnonzero(hurts):
        projected[row] += _nnls(unit, wanted[row]) / lengths
    return projected


def _nnls(system: Float[np.ndarray, "rows tasks"], wanted: Float[np.ndarray, " rows"]) -> Vector:
    # Three passes a column are scipy's limit; the hundredfold is never reached but by cycling.
    return np.asarray(nnls(system, wanted, maxiter=300 * system.shape[1])[0])
