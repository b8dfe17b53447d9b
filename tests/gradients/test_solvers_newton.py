"""The root of Nash-MTL and FairGrad against its equation, closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, root

from polytask.gradients import power_root

ALPHAS = [0.5, 1.0, 2.0, 10.0]


def random_rows(seed: int, tasks: int, params: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tasks, params))


def residual(gramian: np.ndarray, weights: np.ndarray, alpha: float) -> float:
    return float(np.abs((gramian @ weights) * weights ** (1 / alpha) - 1).max())


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("num_tasks", [1, 2, 8, 32, 128])
def test_the_equation_holds_to_the_promise(num_tasks: int, alpha: float) -> None:
    for seed, num_params in enumerate([num_tasks, 4 * num_tasks]):
        rows = random_rows(seed, num_tasks, num_params)
        found = power_root(rows @ rows.T, alpha)
        assert found.is_solved
        assert (found.weights > 0).all()
        assert residual(rows @ rows.T, found.weights, alpha) < 1e-8


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from(ALPHAS), st.floats(0, 3))
def test_lengths_over_six_decades_are_no_harder(seed: int, alpha: float, spread: float) -> None:
    rows = random_rows(seed, 6, 12)
    rows *= 10 ** np.random.default_rng(seed).uniform(-spread, spread, (6, 1))
    found = power_root(rows @ rows.T, alpha)
    assert found.is_solved
    assert residual(rows @ rows.T, found.weights, alpha) < 1e-8


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([0.5, 1.0, 2.0]))
def test_scipy_finds_the_same_root(seed: int, tasks: int, alpha: float) -> None:
    rows = random_rows(seed, tasks, 12) + 0.5
    gramian = rows @ rows.T
    found = power_root(gramian, alpha).weights
    start = np.log(gramian.diagonal()) * -alpha / (1 + alpha)
    other = root(lambda x: np.log(np.maximum(gramian @ np.exp(x), 1e-9)) + x / alpha, start, tol=1e-12)
    if other.success:
        np.testing.assert_allclose(found, np.exp(other.x), rtol=1e-6)
    value = lambda a: a @ gramian @ a / 2 - np.sum(np.log(a) if alpha == 1 else a ** (1 - 1 / alpha) / (1 - 1 / alpha))  # noqa: E731
    least = minimize(value, np.full(tasks, 0.3), bounds=[(1e-9, None)] * tasks, method="L-BFGS-B")
    assert value(found) <= least.fun + 1e-9


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_two_tasks_have_a_closed_form(seed: int) -> None:
    rows = random_rows(seed, 2, 3)
    norms = np.linalg.norm(rows, axis=1)
    cosine = rows[0] @ rows[1] / norms.prod()
    np.testing.assert_allclose(power_root(rows @ rows.T, 1.0).weights, 1 / (norms * np.sqrt(1 + cosine)), rtol=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(
    "rows", [[[1.0, 2], [-1, -2]], [[1.0, 0], [-2, 0]], [[1.0, 0], [0, 1], [-0.8, -0.8]], [[1.0, 0], [-1, 0], [0, 3]]]
)
def test_at_a_stationary_point_the_flag_is_down_and_the_update_zero(rows: list, alpha: float) -> None:
    jacobian = np.array(rows)
    found = power_root(jacobian @ jacobian.T, alpha)
    assert not found.is_solved
    assert (found.weights >= 0).all()
    np.testing.assert_allclose(found.weights @ jacobian, 0, atol=1e-9)


@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
def test_near_a_stationary_point_weights_stay_finite_and_the_flag_tells_the_truth(distance: float) -> None:
    rows = np.array([[1.0, distance], [-1.0, distance], [0.3, 1.0]])
    gramian = rows @ rows.T
    found = power_root(gramian, 1.0)
    assert np.isfinite(found.weights).all()
    assert found.is_solved == (found.residual <= 1e-8)
    if distance >= 1e-3:
        assert found.is_solved


@pytest.mark.parametrize("alpha", ALPHAS)
def test_dependent_gradients_have_a_root_where_they_agree(alpha: float) -> None:
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 4.0], [0.5, 0.0]])
    found = power_root(rows @ rows.T, alpha)
    assert found.is_solved
    assert residual(rows @ rows.T, found.weights, alpha) < 1e-8
