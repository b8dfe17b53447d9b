"""The combination of gradients that has the same cosine with every one of them."""

import numpy as np
from scipy.linalg.lapack import dposv

from polytask.gradients.solvers import Matrix, Vector

#: Eigenvalues of the cosines below this share of the largest belong to dependent gradients: float32 networks know
#: their gradients' products to 1e-7.
DEPENDENT = 1e-6


def equal_cosines(gramian: Matrix) -> tuple[Vector, Vector]:
    """The x with Cx = 1 (shortest in the least squares where C is singular) and norms n: weights x/n on raw rows.

    u = Σ x_i g_i/n_i then has ⟨u, g_i⟩ = n_i for every task, and ‖u‖² = Σ x_i.

    Args:
        gramian: without vanished rows.

    Returns:
        x and n; x is 0 where no direction has a positive cosine with all (two opposite gradients).
    """
    norms = np.sqrt(gramian.diagonal())
    cosines = gramian / norms / norms[:, None]
    ones = np.ones(len(norms))
    factor, solution, failed = dposv(cosines, ones)
    # A small pivot says that the least eigenvalue is at most its square: then eigenvalues decide.
    if not failed and factor.diagonal().min() ** 2 > 1e-6:
        return np.asarray(solution), norms
    values, vectors = np.linalg.eigh(cosines)
    kept = values > DEPENDENT * values.max()
    solution = vectors[:, kept] @ ((vectors[:, kept].T @ ones) / values[kept])
    return np.where(np.abs(solution) > 1e-12, solution, 0.0), norms
