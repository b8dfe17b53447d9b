"""CAGrad against its primal problem, and its known limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from polytask.balance import CAGrad
from polytask.balance.from_gramian.cagrad import conflict_averse
from polytask.gradients import min_norm


def random_rows(seed: int, tasks: int, params: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(tasks, params))
    return rows / np.sqrt((rows**2).sum(axis=1).mean())


def primal(rows: np.ndarray, c: float) -> float:
    """max over d of min_i ⟨g_i, d⟩ in the ball, by SLSQP on (d, t)."""
    mean = rows.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    result = minimize(
        lambda x: -x[-1],
        np.append(mean, (rows @ mean).min()),
        jac=lambda x: np.append(np.zeros(len(mean)), -1.0),
        constraints=[
            {"type": "ineq", "fun": lambda x: rows @ x[:-1] - x[-1]},
            {"type": "ineq", "fun": lambda x: radius**2 - ((x[:-1] - mean) ** 2).sum()},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return float(-result.fun)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 10), st.floats(0.05, 0.95))
def test_no_direction_in_the_ball_helps_the_worst_task_more(seed: int, tasks: int, params: int, c: float) -> None:
    rows = random_rows(seed, tasks, params)
    update = conflict_averse(rows @ rows.T, c) @ rows
    mean = rows.mean(axis=0)
    assert np.linalg.norm(update - mean) <= c * np.linalg.norm(mean) * (1 + 1e-7) + 1e-9
    assert (rows @ update).min() >= primal(rows, c) - 1e-6


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 10), st.floats(1.0, 4.0))
def test_from_radius_one_no_task_is_hurt(seed: int, tasks: int, params: int, c: float) -> None:
    rows = random_rows(seed, tasks, params)
    gramian = rows @ rows.T
    assert (gramian @ conflict_averse(gramian, c)).min() > -1e-6


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_a_small_radius_is_the_mean_and_a_large_one_min_norm(seed: int) -> None:
    rows = random_rows(seed, 3, 8)
    gramian = rows @ rows.T
    np.testing.assert_allclose(conflict_averse(gramian, 1e-9), np.full(3, 1 / 3), atol=1e-7)
    large = conflict_averse(gramian, 1e6) @ rows
    shortest = min_norm(gramian) @ rows
    assert large @ shortest >= (1 - 1e-6) * np.linalg.norm(large) * np.linalg.norm(shortest)


@pytest.mark.parametrize("num_tasks", [8, 32, 64])
def test_many_tasks_are_solved_exactly(num_tasks: int) -> None:
    rows = random_rows(0, num_tasks, 4 * num_tasks)
    gramian = rows @ rows.T
    c, mean = 0.4, np.full(num_tasks, 1 / num_tasks)
    weights = conflict_averse(gramian, c)
    # Weak duality: the worst task's progress is at most the dual value of any w, and equal at the solution.
    dual = weights - mean
    dual = dual / dual.sum()
    value = mean @ gramian @ dual + c * np.sqrt(mean @ gramian @ mean) * np.sqrt(dual @ gramian @ dual)
    assert (gramian @ weights).min() == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("c", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_cannot_be(c: float) -> None:
    with pytest.raises(ValueError, match=f"c={c}"):
        CAGrad(["a"], c=c)
