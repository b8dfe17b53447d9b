"""What the Gramian methods promise of any gradients, and where they are known to promise nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

#: Linearly independent gradients, 2 to 6 tasks in 8 dimensions.
cases = given(st.integers(0, 10**6), st.integers(2, 6))
some = settings(max_examples=40)


def random_rows(seed: int, tasks: int, params: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tasks, params))


def direction(update: np.ndarray) -> np.ndarray:
    return update / np.linalg.norm(update)


HURTS_NOBODY = {
    "mgda": {},
    "mgda l2": {"normalization": "l2"},
    "upgrad": {},
    "dualproj": {},
    "nash_mtl": {},
    "fairgrad": {},
    "fairgrad .5": {"alpha": 0.5},
    "config": {},
    "imtl_g": {},
    "cagrad": {"c": 1.0},
}


@pytest.mark.parametrize("name", HURTS_NOBODY)
@some
@cases
def test_no_task_is_hurt(weigh, name: str, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    update = weigh(name.split()[0], rows, **HURTS_NOBODY[name]) @ rows
    assert (rows @ update).min() >= -1e-9 * max(1, np.linalg.norm(update))


@pytest.mark.parametrize("name", ["pcgrad", "gradvac"])
@some
@given(st.integers(0, 10**6))
def test_of_two_tasks_none_is_hurt(weigh, name: str, seed: int) -> None:
    rows = random_rows(seed, 2, 3)
    assert (rows @ (weigh(name, rows) @ rows)).min() >= -1e-9


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("cagrad", 3), ("sdmgrad", 2), ("pcgrad", 3), ("gradvac", 3), ("aligned_mtl", 2), ("sum", 2)],
)
def test_these_may_hurt_a_task(weigh, name: str, tasks: int) -> None:
    """Counter-examples on random gradients: the claim above is not made for them."""
    found = []
    for seed in range(300):
        rows = random_rows(seed, tasks, 3)
        found.append((rows @ (weigh(name, rows) @ rows)).min())
    assert min(found) < -1e-3


@pytest.mark.parametrize("name", ["imtl_g", "config"])
@some
@cases
def test_every_gradient_has_the_same_projection(weigh, name: str, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    projections = rows @ (weigh(name, rows) @ rows) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(projections, projections.mean(), rtol=1e-7)
    assert projections.mean() > 0


@some
@cases
def test_min_norm_progress_is_least_where_it_is_used(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    weights = weigh("mgda", rows)
    progress = rows @ rows.T @ weights
    assert weights.sum() == pytest.approx(1)
    assert progress.min() >= weights @ progress - 1e-10
    np.testing.assert_allclose(progress[weights > 0], weights @ progress, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("nash_mtl", {}), ("imtl_g", {}), ("config", {}), ("mgda", {"normalization": "l2"}), ("fairgrad", {"alpha": 1.0})],
)
@some
@cases
def test_the_unit_of_a_loss_does_not_turn_the_update(weigh, name: str, chosen: dict, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    units = 10 ** np.random.default_rng(seed).uniform(-3, 3, (tasks, 1))
    first, second = weigh(name, rows, **chosen) @ rows, weigh(name, rows * units, **chosen) @ (rows * units)
    np.testing.assert_allclose(direction(second), direction(first), atol=1e-6)


@some
@cases
def test_upgrad_is_linear_in_the_length_of_each_gradient(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    first, second = (np.random.default_rng(seed + k).uniform(0.1, 10, (tasks, 1)) for k in (1, 2))
    parts = [weigh("upgrad", rows * units) @ (rows * units) for units in (first, second, first + second)]
    np.testing.assert_allclose(parts[2], parts[0] + parts[1], rtol=1e-7, atol=1e-8)


@some
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_orthogonal_gradients(weigh, seed: int, tasks: int) -> None:
    lengths = np.random.default_rng(seed).uniform(0.1, 10, tasks)
    rows = lengths[:, None] * np.linalg.qr(random_rows(seed, 8))[0][:tasks]
    for name in ("pcgrad", "gradvac"):
        np.testing.assert_allclose(weigh(name, rows), 1, atol=1e-9)
    for name in ("upgrad", "dualproj"):
        np.testing.assert_allclose(weigh(name, rows), 1 / tasks, atol=1e-9)
    for name in ("nash_mtl", "imtl_g", "config", "aligned_mtl"):
        weights = weigh(name, rows) * lengths
        np.testing.assert_allclose(weights, weights.mean(), rtol=1e-7)
    weights = weigh("mgda", rows) * lengths**2
    np.testing.assert_allclose(weights, weights.mean(), rtol=1e-7)


@pytest.mark.parametrize("name", ["mgda", "sdmgrad", "epo", "imtl_g", "imtl", "upgrad", "dualproj", "aligned_mtl"])
@pytest.mark.parametrize("tasks", [2, 5])
def test_equal_gradients_give_the_gradient_itself(weigh, name: str, tasks: int) -> None:
    row = random_rows(0, 1)
    np.testing.assert_allclose(weigh(name, np.repeat(row, tasks, axis=0)).sum(), 1, rtol=1e-7)


@pytest.mark.parametrize("name", ["mgda", "cagrad"])
@some
@cases
def test_a_task_named_twice_changes_nothing_but_the_mean(weigh, name: str, seed: int, tasks: int) -> None:
    """The hull of the gradients is the same, so min-norm is; CAGrad at c = 1e6 forgets the mean."""
    rows = random_rows(seed, tasks)
    chosen = {"c": 1e6} if name == "cagrad" else {}
    twice = np.concatenate([rows, rows[:1]])
    updates = [direction(weigh(name, some, **chosen) @ some) for some in (rows, twice)]
    np.testing.assert_allclose(updates[0], updates[1], atol=1e-4 if chosen else 1e-7)


@some
@cases
def test_identities_between_methods(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    mean = np.full(tasks, 1 / tasks)
    same = [
        (weigh("sdmgrad", rows, weight=0.0), weigh("mgda", rows)),
        (weigh("sdmgrad", rows, weight=1e9), mean),
        (weigh("cagrad", rows, c=0.0), mean),
        (weigh("fairgrad", rows, alpha=1.0), weigh("nash_mtl", rows)),
        (weigh("gradvac", rows, rate=0.0), weigh("pcgrad", rows)),
        (weigh("imtl", rows), weigh("imtl_g", rows)),
        (weigh("upgrad", rows[:2]), weigh("pcgrad", rows[:2]) / 2),
    ]
    for first, second in same:
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-8)


@some
@cases
def test_a_large_alpha_nears_the_best_worst_task(weigh, seed: int, tasks: int) -> None:
    """Of unit directions MGDA's has the best worst progress; fairness stays within a factor T^(1/(α−1)) of it."""
    rows = random_rows(seed, tasks)
    best = (rows @ direction(weigh("mgda", rows) @ rows)).min()
    for alpha in (2.0, 5.0, 10.0):
        worst = (rows @ direction(weigh("fairgrad", rows, alpha=alpha) @ rows)).min()
        assert best * tasks ** (-1 / (alpha - 1)) <= worst <= best + 1e-9


@some
@cases
def test_nash_lengths_and_products(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks)
    weights = weigh("nash_mtl", rows)
    np.testing.assert_allclose(weights * (rows @ (weights @ rows)), 1, rtol=1e-8)
    assert np.linalg.norm(weights @ rows) == pytest.approx(tasks**0.5)
    assert np.linalg.norm(weigh("nash_mtl", rows * 1e-9, max_norm=1.0) @ rows * 1e-9) == pytest.approx(1)
    np.testing.assert_allclose(weigh("nash_mtl", rows, max_norm=1e3), weights)
