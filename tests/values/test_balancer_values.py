"""Known weights of every balancer: a row a method, with its source.

J2 = [[3, 0], [-1, 2]] and J3 = [[2, 0, 0], [-1, 1, 0], [0, -1, 3]] are gradients; the losses are 2 and 0.5. "agrees
with TorchJD" marks values that its implementation gives too.
"""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polytask.balance import BALANCERS
from polytask.balance.from_gramian.cagrad import conflict_averse
from polytask.balance.from_gramian.pcgrad import projected

J2 = [[3.0, 0.0], [-1.0, 2.0]]
J3 = [[2.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 3.0]]
GRADIENTS = {"J2": J2, "J3": J3}

#: (balancer, settings, gradients, weights, where the numbers come from)
ROWS = [
    ("sum", {}, "J3", [1, 1, 1], "definition"),
    ("fixed", {"weights": {"c": 0.5, "a": 2.0, "b": 0.0}}, "J3", [2, 0, 0.5], "definition"),
    ("uncertainty", {}, "J2", [0.5, 0.5], "exp(-0)/2"),
    ("dwa", {}, "J2", [1, 1], "no two epochs yet"),
    ("pcgrad", {}, "J2", [4 / 3, 1.6], "closed form for two tasks, 1 - min(G12, 0)/G_ii; agrees with TorchJD"),
    ("cagrad", {}, "J2", [0.503280, 0.754919], "enumeration of supports, SLSQP; agrees with TorchJD to 1e-4"),
    ("cagrad", {}, "J3", [0.409717, 0.697908, 0.333333], "enumeration of supports, SLSQP; agrees with TorchJD to 1e-4"),
    ("cagrad", {"rescale": 1}, "J2", [0.503280 / 1.16, 0.754919 / 1.16], "the row above over 1 + c^2"),
    ("cagrad", {"rescale": 2}, "J2", [0.503280 / 1.4, 0.754919 / 1.4], "the row above over 1 + c"),
    ("cagrad", {"c": 0.0}, "J3", [1 / 3, 1 / 3, 1 / 3], "the mean"),
]


def backward(balancer: object, jacobian: list[list[float]], losses: list[float], **more: object) -> tuple[list, Tensor]:
    """Weights and the shared gradient of losses with these values and gradients."""
    shared = nn.Parameter(torch.zeros(len(jacobian[0]), dtype=torch.float64))
    rows = torch.tensor(jacobian, dtype=torch.float64)
    terms = {name: row @ shared + loss for name, row, loss in zip("abc", rows, losses, strict=False)}
    return list(balancer.backward(terms, shared=[shared], **more).values()), shared.grad


@pytest.mark.parametrize(("name", "settings", "gradients", "expected", "source"), ROWS)
def test_known_weights(name: str, settings: dict, gradients: str, expected: list[float], source: str) -> None:
    jacobian = GRADIENTS[gradients]
    balancer = BALANCERS[name](list("abc")[: len(jacobian)], **settings)
    weights, gradient = backward(balancer, jacobian, [2.0, 0.5, 1.0])
    assert weights == pytest.approx(expected, abs=1e-6), source
    np.testing.assert_allclose(gradient, np.array(weights) @ np.array(jacobian), rtol=1e-12)


def test_every_balancer_has_a_row() -> None:
    assert {row[0] for row in ROWS} == set(BALANCERS)


def test_pcgrad_by_order_and_in_expectation() -> None:
    """1.5, 2.5, 1.2 for increasing orders; 1.625, 2.5, 1.15 over all of them (by hand; agrees with TorchJD)."""
    gramian = np.array(J3) @ np.array(J3).T
    assert projected(gramian, np.tile(np.arange(3), (3, 1))).tolist() == pytest.approx([1.5, 2.5, 1.2])
    orders = list(permutations(range(3)))
    # A row of the weights depends on its own order alone, so one order for all averages to the same.
    mean = np.mean([projected(gramian, np.tile(order, (3, 1))) for order in orders], axis=0)
    assert mean.tolist() == pytest.approx([1.625, 2.5, 1.15])


def test_pcgrad_draws_every_order() -> None:
    balancer = BALANCERS["pcgrad"](["a", "b", "c"])
    drawn = np.array([backward(balancer, J3, [1, 1, 1])[0] for _ in range(300)])
    np.testing.assert_allclose(drawn.mean(axis=0), [1.625, 2.5, 1.15], atol=0.03)


def test_uncertainty_settles_at_the_logarithm_of_the_loss() -> None:
    balancer = BALANCERS["uncertainty"](["a", "b"])
    backward(balancer, J2, [2.0, 0.5])
    # ds = (1 - exp(-s) L)/2 = -.5, .25 at s = 0; Adam's first step has the length of its rate.
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([-0.5, 0.25])
    assert balancer.log_variance.tolist() == pytest.approx([0.025, -0.025])
    for _ in range(400):
        weights, _ = backward(balancer, J2, [2.0, 0.5])
    assert balancer.log_variance.tolist() == pytest.approx(np.log([2.0, 0.5]).tolist(), abs=1e-3)
    assert weights == pytest.approx([0.25, 1.0], abs=1e-3)


def test_uncertainty_is_bounded_on_losses_below_zero() -> None:
    balancer = BALANCERS["uncertainty"](["a"], learning_rate=5.0)
    for _ in range(5):
        (weight,), _ = backward(balancer, [[1.0]], [-1.0])
    assert balancer.log_variance.tolist() == [-10]
    assert weight == pytest.approx(np.exp(10) / 2)


@pytest.mark.parametrize("epochs", [True, False])
def test_dwa_by_epochs_and_by_windows(epochs: bool) -> None:
    """Ratios .9 and .5 at temperature 2: 1.099668, .900332 (Liu 2019, eq. 7)."""
    balancer = BALANCERS["dwa"](["a", "b"], window=2)
    means = [(10.0, 4.0), (9.0, 2.0), (1.0, 1.0)]
    for epoch, (a, b) in enumerate(means):
        for half in (0.5, 1.5):  # two batches whose mean is the epoch's
            weights, _ = backward(balancer, J2, [a * half, b * half], epoch=epoch if epochs else None)
            assert weights == pytest.approx([1, 1] if epoch < 2 else [1.099668, 0.900332], abs=1e-6)


def test_dwa_counts_only_batches_where_the_task_was() -> None:
    balancer = BALANCERS["dwa"](["a", "b"])
    backward(balancer, J2, [10.0, 4.0], epoch=0)
    backward(balancer, J2[:1], [10.0], epoch=0)
    backward(balancer, J2[:1], [9.0], epoch=1)
    backward(balancer, J2, [9.0, 2.0], epoch=1)
    assert backward(balancer, J2, [1.0, 1.0], epoch=2)[0] == pytest.approx([1.099668, 0.900332], abs=1e-6)
    assert backward(balancer, J2[:1], [1.0], epoch=2)[0] == [1]


STATIONARY = {
    "two opposite rows, one twice as long": ([[1.0, 0], [-2, 0]], 1.0, [0, 0]),
    "the same below the critical radius: still the mean's side": ([[1.0, 0], [-2, 0]], 0.5, [-0.25, 0]),
    "equal opposite rows": ([[1.0, 0], [-1, 0]], 0.4, [0, 0]),
    "one task apart from a stationary pair": ([[1.0, 0], [-2, 0], [0, 3]], 2.0, [0, 1]),
    "all within a rank-deficient conflict": ([[1.0, 0], [0, 1], [-0.8, -0.8]], 1.5, [0, 0]),
}


@pytest.mark.parametrize("case", STATIONARY)
def test_cagrad_at_pareto_stationary_points(case: str) -> None:
    """By hand: d is the point of the ball nearest to g0 among those with the best worst task."""
    rows, c, expected = STATIONARY[case]
    jacobian = np.array(rows)
    gramian = jacobian @ jacobian.T
    weights = conflict_averse(gramian / gramian.diagonal().mean(), c)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights @ jacobian, expected, atol=1e-6)


def test_pcgrad_of_gradients_whose_squares_underflow() -> None:
    """LibMTL's 1e-8 beside the squared norm switches the projection off below 1e-4; float32 squares vanish at 1e-23."""
    shared = nn.Parameter(torch.zeros(2))
    rows = torch.tensor(J2) * 1e-30
    weights = BALANCERS["pcgrad"](["a", "b"]).backward(
        {n: r @ shared for n, r in zip("ab", rows, strict=True)}, shared=[shared]
    )
    assert list(weights.values()) == pytest.approx([4 / 3, 1.6], rel=1e-6)
