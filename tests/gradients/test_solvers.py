"""The solvers against enumeration of supports, KKT conditions and scipy."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from polytask.gradients import (
    cone_projection,
    cone_projections,
    factor,
    min_norm,
    shortest_combination,
    solve_live,
)


def random_gramian(seed: int, num_tasks: int, num_params: int, spread: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(num_tasks, num_params)) * 10 ** generator.uniform(-spread, spread, (num_tasks, 1))
    gramian = rows @ rows.T
    return gramian / gramian.diagonal().mean()


def enumerated(gramian: np.ndarray, linear: np.ndarray) -> float:
    """The least value of wᵀGw/2 + linearᵀw over all supports of the simplex."""
    best = np.inf
    size = len(gramian)
    for count in range(1, size + 1):
        for support in map(list, combinations(range(size), count)):
            system = np.block(
                [[gramian[np.ix_(support, support)], np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]]
            )
            solution = np.linalg.lstsq(system, np.append(-linear[support], 1.0), rcond=None)[0][:count]
            if (solution >= -1e-12).all() and abs(solution.sum() - 1) < 1e-9:
                weights = np.zeros(size)
                weights[support] = solution
                best = min(best, weights @ gramian @ weights / 2 + linear @ weights)
    return best


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 8), st.floats(0, 3), st.floats(0, 100))
def test_the_shortest_combination_is_the_best_support(
    seed: int, tasks: int, params: int, spread: float, shift: float
) -> None:
    """‖F(w + shift b)‖² / 2 is wᵀGw/2 + shift (Gb)ᵀw and a constant; moving all columns adds it."""
    gramian = random_gramian(seed, tasks, params, spread)
    linear = shift * gramian @ np.full(tasks, 1 / tasks)
    columns = factor(gramian)
    np.testing.assert_allclose(columns.T @ columns, gramian, atol=1e-12)
    weights = shortest_combination(columns + shift * columns.mean(axis=1, keepdims=True))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    value = weights @ gramian @ weights / 2 + linear @ weights
    assert value <= enumerated(gramian, linear) + 1e-10 * (1 + shift)


@pytest.mark.parametrize("num_tasks", [2, 8, 32, 128])
def test_min_norm_satisfies_its_optimality_conditions(num_tasks: int) -> None:
    for seed, num_params in enumerate([num_tasks // 2 + 1, num_tasks, 4 * num_tasks]):
        gramian = random_gramian(seed, num_tasks, num_params)
        weights = min_norm(gramian)
        progress = gramian @ weights
        assert progress.min() >= weights @ progress - 1e-11
        assert np.abs(progress[weights > 0] - weights @ progress).max() < 1e-9


@pytest.mark.parametrize("rows", [[[1.0, 2]] * 3, [[1.0, 0], [-1, 0]], [[1.0, 0], [0, 1], [-0.8, -0.8]], [[2.0, 1]]])
def test_degenerate_gradients(rows: list[list[float]]) -> None:
    jacobian = np.array(rows)
    weights = min_norm(jacobian @ jacobian.T)
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)
    expected = jacobian[0] if len({tuple(r) for r in rows}) == 1 else np.zeros(2)
    np.testing.assert_allclose(weights @ jacobian, expected, atol=1e-7)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 8))
def test_cone_projection_hurts_nobody_and_is_nearest(seed: int, tasks: int, params: int) -> None:
    gramian = random_gramian(seed, tasks, params)
    mean = np.full(tasks, 1 / tasks)
    weights = cone_projection(gramian, mean)
    added, progress = weights - mean, gramian @ weights
    assert (added >= 0).all()
    assert progress.min() > -1e-7
    assert abs(added @ progress) < 1e-7
    other = minimize(
        lambda v: v @ gramian @ v, mean + 0.1, jac=lambda v: 2 * gramian @ v, bounds=[(1 / tasks, None)] * tasks
    )
    assert weights @ gramian @ weights <= other.fun + 1e-9


@pytest.mark.parametrize("num_tasks", [2, 8, 32, 128])
def test_cone_projections_satisfy_their_optimality_conditions(num_tasks: int) -> None:
    """d ≥ 0, Gv ≥ 0, dᵀGv = 0 for v = u + d, of every row alike."""
    for seed, num_params in enumerate([num_tasks // 2 + 1, num_tasks, 4 * num_tasks]):
        gramian = random_gramian(seed, num_tasks, num_params)
        wanted = np.eye(num_tasks)[:8]
        found = cone_projections(gramian, wanted)
        progress = found @ gramian
        assert (found >= wanted).all()
        assert progress.min() > -1e-12
        assert np.abs((found - wanted) * progress).sum(axis=1).max() < 1e-11
        np.testing.assert_array_equal(found[0], cone_projection(gramian, wanted[0]))


def test_what_hurts_nobody_stays_bit_for_bit() -> None:
    wanted = np.array([[0.1, 0.7], [1.0, 0.0]])
    assert cone_projections(np.array([[2.0, 0.0], [0.0, 1.0]]), wanted) is wanted


def test_vanished_gradients_are_left_out_and_the_rest_is_scaled() -> None:
    seen = []

    def solve(gramian: np.ndarray) -> np.ndarray:
        seen.append(gramian)
        return np.array([0.25, 0.75])

    rows = torch.tensor([[1e-30, 0], [0, 0], [3e-30, 0], [1e-45, 0]], dtype=torch.float64)
    assert solve_live(rows @ rows.T, solve, idle=0.5).tolist() == [0.25, 0.5, 0.75, 0.5]
    np.testing.assert_allclose(seen[0], [[0.2, 0.6], [0.6, 1.8]])
    assert solve_live(torch.zeros(2, 2, dtype=torch.float64), solve, idle=1.0).tolist() == [1, 1]
    assert len(seen) == 1


@pytest.mark.parametrize("degree", [1.0, 0.0, -1 / 3])
def test_weights_go_with_the_scale_as_the_degree_says(degree: float) -> None:
    gramian = torch.tensor([[9.0, -3.0], [-3.0, 5.0]], dtype=torch.float64)
    weights = solve_live(gramian * 1e-60, min_norm, idle=0.0, degree=degree)
    expected = np.array([0.4, 0.6]) * (7e-60) ** ((degree - 1) / 2)
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


@pytest.mark.parametrize("decades", [4, 8, 12])
def test_gradients_of_very_different_lengths_are_as_exact(decades: int) -> None:
    """Seen from every task: harm beside the parts that the update is made of."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        rows = generator.integers(-2, 3, (5, 2)).astype(float) + generator.normal(size=(5, 2)) * (seed % 2)
        rows = rows[np.abs(rows).max(axis=1) > 0] * 10.0 ** generator.uniform(-decades / 2, decades / 2, (1,))
        rows[0] *= 10.0 ** (-decades / 2)
        gramian = rows @ rows.T
        lengths = np.sqrt(gramian.diagonal())
        for weights in (min_norm(gramian), cone_projection(gramian, np.full(len(rows), 0.2))):
            harm = -(rows @ (weights @ rows)) / lengths
            assert harm.max() <= 1e-9 * (weights * lengths).sum()
