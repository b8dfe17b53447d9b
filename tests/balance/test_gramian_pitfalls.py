"""Counter-examples that are known to break implementations of Gramian methods."""

import numpy as np
import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS

#: Pareto stationary and of rank two: the third gradient undoes the others.
DEPENDENT = np.array([[1.0, 0], [0, 1], [-0.8, -0.8]])


def test_imtl_g_does_not_climb_where_its_coefficients_sum_below_zero(weigh) -> None:
    """Divided by the sum, w = (-.125, -.125, 1.25), and every task is hurt though all cosines are positive."""
    cosines = np.array([[1, 0.7, 0.9], [0.7, 1, 0.9], [0.9, 0.9, 1]])
    lengths = np.array([1, 1, 0.1])
    rows = np.linalg.cholesky(cosines) * lengths[:, None]
    weights = weigh("imtl_g", rows)
    np.testing.assert_allclose(weights, [0.125, 0.125, -1.25], rtol=1e-9)
    np.testing.assert_allclose(rows @ (weights @ rows), [0.1, 0.1, 0.01], rtol=1e-9)


def test_imtl_g_near_a_sum_of_zero_is_finite(weigh) -> None:
    assert weigh("imtl_g", np.array([[1.0, 0], [-1, 1e-12]])).sum() in (0, pytest.approx(1))
    assert not weigh("imtl_g", np.array([[1.0, 2], [-1, -2]])).any()


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "nash_mtl", "fairgrad"])
def test_these_stop_at_a_stationary_point_of_dependent_gradients(weigh, name: str) -> None:
    np.testing.assert_allclose(weigh(name, DEPENDENT) @ DEPENDENT, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "chosen", "update"),
    [("config", {}, 0.2), ("pcgrad", {"orders": "all"}, 0.25), ("aligned_mtl", {"scale": "min"}, 0.0442)],
)
def test_these_push_the_third_task_uphill_there(weigh, name: str, chosen: dict, update: float) -> None:
    """Known numbers (agree with TorchJD); a reminder that they are no methods for dependent gradients."""
    np.testing.assert_allclose(weigh(name, DEPENDENT, **chosen) @ DEPENDENT, update, atol=1e-4)


def test_mgda_goes_on_where_one_gradient_vanished(weigh) -> None:
    rows = np.array([[3.0, 0], [-1, 2], [0, 0]])
    np.testing.assert_allclose(weigh("mgda", rows)[:2], [0.4, 0.6])


def test_without_normalisation_mgda_follows_the_shortest_gradient(weigh) -> None:
    rows = np.array([[1.0, 0.0], [0.0, 100.0]])
    assert weigh("mgda", rows)[0] > 0.999
    weights = weigh("mgda", rows, normalization="l2")
    np.testing.assert_allclose(weights @ rows, [0.5, 0.5])


@pytest.mark.parametrize(
    "name", ["nash_mtl", "fairgrad", "imtl_g", "config", "aligned_mtl", "mgda", "upgrad", "cagrad"]
)
@pytest.mark.parametrize("scale", [1e-18, 1e-30, 1e-36, 1e30])
def test_float32_gradients_whose_squares_under_or_overflow(name: str, scale: float) -> None:
    updates = []
    for factor in (1.0, scale):
        shared = nn.Parameter(torch.zeros(2))
        rows = torch.tensor([[3.0, 0.0], [-1.0, 2.0]]) * factor
        losses = {n: r @ shared for n, r in zip("ab", rows, strict=True)}
        BALANCERS[name](["a", "b"]).backward(losses, shared=[shared])
        assert shared.grad.isfinite().all()
        updates.append(shared.grad.double() / shared.grad.double().norm())
    torch.testing.assert_close(updates[1], updates[0], rtol=1e-4, atol=1e-5)
