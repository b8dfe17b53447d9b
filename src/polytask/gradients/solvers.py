"""Small exact solvers on a tasks × tasks Gramian: float64, CPU, no general convex programming.

All take G as it is; `solve_live` first drops vanished rows and scales the rest to a mean squared norm of 1,
so that absolute tolerances mean the same for gradients of 1e-30 and of 1e+30.
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
    gramian: Float[Tensor, "tasks tasks"], solve: Callable[[Matrix], Vector], *, idle: float
) -> Float[Tensor, " tasks"]:
    """Weights from `solve`, called with the scaled Gramian of the tasks whose gradient has not vanished.

    Args:
        gramian: of all present tasks.
        solve: a method whose weights do not change when all gradients are multiplied by one number.
        idle: the weight of a vanished gradient (it is zero anyway).
    """
    full = gramian.numpy()
    norms = np.sqrt(full.diagonal())
    live = norms > VANISHED * norms.max()
    weights = np.full(len(full), idle)
    if live.any():
        rows = full[np.ix_(live, live)]
        weights[live] = solve(rows / rows.diagonal().mean())
    return torch.from_numpy(weights)


def min_norm(gramian: Matrix) -> Vector:
    """The shortest convex combination of the gradients: argmin over the simplex of wᵀGw.

    Example:
        >>> min_norm(np.array([[9.0, -3.0], [-3.0, 5.0]]))
        array([0.4, 0.6])
    """
    return simplex_minimum(gramian, np.zeros(len(gramian)))


def simplex_minimum(gramian: Matrix, linear: Vector, start: Vector | None = None) -> Vector:
    """The minimum over the simplex of wᵀGw / 2 + linearᵀw, by Wolfe's active set: finite and exact.

    On the support S it solves the affine problem [G_SS 1; 1ᵀ 0]; a weight that would turn negative leaves S
    at the boundary; the task with the lowest derivative joins S until none lies below the support's.

    Args:
        gramian: positive semidefinite.
        linear: in the range of G (zero, or G times something), so that flat directions of G stay flat.
        start: a point of the simplex near the answer, to save steps.
    """
    tolerance = 1e-12 * max(gramian.diagonal().max(), np.abs(linear).max())
    weights = start
    if weights is None:
        weights = np.zeros(len(gramian))
        weights[np.argmin(gramian.diagonal() / 2 + linear)] = 1.0
    support = weights > 0
    weights, support = _descend(gramian, linear, weights, support)
    for _ in range(50 * len(gramian)):
        slope = gramian @ weights + linear
        joining = int(np.argmin(slope))
        if support[joining] or slope[joining] >= weights @ slope - tolerance:
            break
        support[joining] = True
        weights, support = _descend(gramian, linear, weights, support)
        if not support[joining]:  # it joined and left at once: below rounding
            break
    return weights


def _descend(gramian: Matrix, linear: Vector, weights: Vector, support: np.ndarray) -> tuple[Vector, np.ndarray]:
    """To the minimum on the support's face, dropping from the support what the way there turns to zero."""
    weights, support = weights.copy(), support.copy()
    while True:
        target = np.zeros_like(weights)
        target[support] = _affine_minimum(gramian[np.ix_(support, support)], linear[support])
        leaving = support & (target <= 0)
        if not leaving.any():
            return target, support
        steps = np.full(len(weights), np.inf)
        steps[leaving] = weights[leaving] / np.maximum(weights[leaving] - target[leaving], np.finfo(float).tiny)
        first = int(np.argmin(steps))
        weights = np.where(support, weights + min(1.0, steps[first]) * (target - weights), 0.0)
        weights[first] = 0.0
        support &= weights > 0
        weights = np.where(support, weights, 0.0)
        weights /= weights.sum()


def _affine_minimum(gramian: Float[np.ndarray, "k k"], linear: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    size = len(gramian)
    system = np.ones((size + 1, size + 1))
    # The ridge keeps duplicate and opposite gradients solvable; it moves wᵀGw by its own size.
    system[:size, :size] = gramian + 1e-14 * np.trace(gramian) * np.eye(size)
    system[size, size] = 0.0
    solution = np.linalg.solve(system, np.append(-linear, 1.0))[:size]
    return np.asarray(solution / solution.sum())


def cone_projection(gramian: Matrix, weights: Vector) -> Vector:
    """The nearest update to Jᵀweights that hurts no task: argmin over v ≥ weights of vᵀGv, so that Gv ≥ 0.

    Example:
        >>> cone_projection(np.array([[9.0, -3.0], [-3.0, 5.0]]), np.array([0.5, 0.5]))
        array([0.5, 0.5])
    """
    values, vectors = np.linalg.eigh(gramian)
    factor = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return np.asarray(weights + nnls(factor, -factor @ weights)[0])
