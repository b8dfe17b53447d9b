"""Gramian methods against their own problem, solved on full gradients by scipy or step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, minimize

from polytask.balance import BALANCERS
from polytask.balance.from_gramian.epo import controlled_ascent
from polytask.balance.from_gramian.gradvac import turned

some = settings(max_examples=30)
cases = given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 10))


def random_rows(seed: int, tasks: int, params: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(tasks, params))
    return rows / np.sqrt((rows**2).sum(axis=1).mean())


def on_simplex(function, tasks: int) -> np.ndarray:
    found = minimize(
        function,
        np.full(tasks, 1 / tasks),
        bounds=[(0, 1)] * tasks,
        constraints=LinearConstraint(np.ones((1, tasks)), 1, 1),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x


@some
@cases
def test_mgda_and_sdmgrad_by_slsqp(weigh, seed: int, tasks: int, params: int) -> None:
    rows = random_rows(seed, tasks, params)
    mean = rows.mean(axis=0)
    for weight in (0.0, 0.3, 2.0):
        other = on_simplex(lambda w, weight=weight: ((w @ rows + weight * mean) ** 2).sum(), tasks)
        update = weigh("sdmgrad", rows, weight=weight) @ rows
        np.testing.assert_allclose(update, (other @ rows + weight * mean) / (1 + weight), atol=2e-4)
    length = np.linalg.norm(weigh("mgda", rows) @ rows)
    assert length <= np.linalg.norm(on_simplex(lambda w: ((w @ rows) ** 2).sum(), tasks) @ rows) + 1e-9


def projected_on_cone(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The point nearest to `wanted` among those that hurt no task, by SLSQP on the point itself."""
    found = minimize(
        lambda d: ((d - wanted) ** 2).sum(),
        np.zeros(len(wanted)),
        jac=lambda d: 2 * (d - wanted),
        constraints=LinearConstraint(rows, 0, np.inf),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x


@some
@cases
def test_dualproj_and_upgrad_by_projection_in_full(weigh, seed: int, tasks: int, params: int) -> None:
    rows = random_rows(seed, tasks, params)
    np.testing.assert_allclose(weigh("dualproj", rows) @ rows, projected_on_cone(rows, rows.mean(axis=0)), atol=1e-5)
    each = np.mean([projected_on_cone(rows, row) for row in rows], axis=0)
    np.testing.assert_allclose(weigh("upgrad", rows) @ rows, each, atol=1e-5)


@some
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_nash_and_fairgrad_have_the_fairest_direction(weigh, seed: int, tasks: int) -> None:
    """Of all directions of their length theirs has the largest Σ log progress, or −Σ 1/progress at α = 2."""
    rows = random_rows(seed, tasks, 8)
    utilities = {"nash_mtl": np.log, "fairgrad": lambda x: -1 / x}
    for name, utility in utilities.items():
        update = weigh(name, rows) @ rows
        best = utility(rows @ update).sum()
        generator = np.random.default_rng(seed)
        for spread in (1e-3, 1e-2, 1e-1):
            other = update + spread * np.linalg.norm(update) * generator.normal(size=8)
            other *= np.linalg.norm(update) / np.linalg.norm(other)
            if (rows @ other > 0).all():
                assert utility(rows @ other).sum() <= best + 1e-9


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
@some
@given(seed=st.integers(0, 10**6), tasks=st.integers(2, 6))
def test_aligned_gradients_are_orthogonal_and_equally_long(weigh, scale: str, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks, 8)
    columns = []
    for k in range(tasks):  # the weights are linear in the preference: B column by column
        preference = [1e-9] * tasks
        preference[k] = 1.0
        columns.append(weigh("aligned_mtl", rows, scale=scale, preferences=preference))
    aligned = np.array(columns) @ rows
    gramian = aligned @ aligned.T
    np.testing.assert_allclose(gramian, gramian[0, 0] * np.eye(tasks), atol=1e-6)
    values = np.linalg.eigvalsh(rows @ rows.T)
    expected = {"min": values[0], "median": values[(tasks - 1) // 2], "rmse": values.mean()}[scale]
    assert gramian[0, 0] == pytest.approx(expected, rel=1e-5)
    u, _, v = np.linalg.svd(rows, full_matrices=False)  # the paper's form: the polar factor
    np.testing.assert_allclose(aligned, np.sqrt(expected) * (u @ v), atol=1e-6)


@some
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_config_by_the_papers_formula(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks, 8)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    best = np.linalg.pinv(unit) @ np.ones(tasks)
    best /= np.linalg.norm(best)
    np.testing.assert_allclose(weigh("config", rows) @ rows, (rows @ best).sum() * best, rtol=1e-7, atol=1e-9)


@some
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_imtl_g_by_the_papers_formula(weigh, seed: int, tasks: int) -> None:
    rows = random_rows(seed, tasks, 8)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    across, turned = rows[0] - rows[1:], unit[0] - unit[1:]
    rest = rows[0] @ turned.T @ np.linalg.inv(across @ turned.T)
    expected = np.append(1 - rest.sum(), rest)
    weights = weigh("imtl_g", rows)
    np.testing.assert_allclose(weights * np.sign(weights.sum()), expected, rtol=1e-5, atol=1e-6)


def vaccinated(rows: np.ndarray, orders: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 of the paper on full gradients."""
    total, seen = np.zeros(rows.shape[1]), target.copy()
    for i, order in enumerate(orders):
        v = rows[i].copy()
        for j in order:
            if j != i:
                length, other, rho = np.linalg.norm(v), np.linalg.norm(rows[j]), target[i, j]
                phi = v @ rows[j] / length / other
                seen[i, j] = phi
                if phi < rho:
                    gain = length * (rho * np.sqrt(1 - phi**2) - phi * np.sqrt(1 - rho**2))
                    v += gain / (other * np.sqrt(1 - rho**2)) * rows[j]
        total += v
    return total, seen


@some
@cases
def test_gradvac_is_the_papers(seed: int, tasks: int, params: int) -> None:
    generator = np.random.default_rng(seed)
    rows = random_rows(seed, tasks, params)
    orders = np.stack([generator.permutation(tasks) for _ in range(tasks)])
    target = generator.uniform(-0.5, 0.9, (tasks, tasks))
    weights, seen = turned(rows @ rows.T, orders, target)
    update, expected = vaccinated(rows, orders, target)
    np.testing.assert_allclose(weights @ rows, update, atol=1e-7)
    np.testing.assert_allclose(seen, expected, atol=1e-7)


def test_gradvac_targets_follow_the_cosines_of_live_tasks(signal) -> None:
    rows = np.array([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    balancer = BALANCERS["gradvac"](["a", "b", "c"], rate=0.5)
    signal(balancer, rows)
    signal(balancer, rows)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 0.75 / 2**0.5
    np.testing.assert_allclose(balancer.target.numpy(), expected)


@some
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_epo_is_the_linear_programs_best(seed: int, tasks: int) -> None:
    """The paper's program, written with one row a constraint and solved by interior points."""
    generator = np.random.default_rng(seed)
    rows = random_rows(seed, tasks, 8)
    losses, preference = generator.uniform(0.1, 3, tasks), generator.dirichlet(np.full(tasks, 3.0))
    gramian = rows @ rows.T
    share = preference * losses / (preference @ losses)
    a = preference * (np.log(tasks * share) - share @ np.log(tasks * share))
    pull, largest = gramian @ a, share.argmax()
    bounds, limits = [-gramian[largest]], [0.0]
    for j in range(tasks):
        if pull[j] <= 0 and j != largest:
            bounds.append(-gramian[j])
            limits.append(-pull[j] if (pull > 0).any() else 0.0)
    other = linprog(-pull, A_ub=np.array(bounds), b_ub=limits, A_eq=np.ones((1, tasks)), b_eq=[1], method="highs-ipm")
    weights = controlled_ascent(gramian, losses, preference)
    assert weights @ pull == pytest.approx(-other.fun, abs=1e-8)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert (gramian @ weights)[largest] >= -1e-9


def test_epo_descends_on_all_once_losses_stand_as_preferred(weigh) -> None:
    rows = random_rows(3, 3, 8)
    weights = weigh("epo", rows, [1.0, 2.0, 4.0], preferences=[4.0, 2.0, 1.0])
    gramian = rows @ rows.T
    assert (gramian @ weights).min() > -1e-9
    other = linprog(-gramian.sum(axis=0), A_ub=-gramian, b_ub=np.zeros(3), A_eq=np.ones((1, 3)), b_eq=[1])
    assert gramian.sum(axis=0) @ weights == pytest.approx(-other.fun)


def test_epo_reaches_the_preferred_ratio_on_a_convex_problem(weigh) -> None:
    """Two parabolas with minima at 0 and 1: where r1 L1 = r2 L2 is known."""
    x, preference = 0.9, np.array([0.8, 0.2])
    for _ in range(300):
        losses = [x**2, (x - 1) ** 2]
        rows = np.array([[2 * x], [2 * (x - 1)]])
        x -= 0.02 * float((weigh("epo", rows, losses, preferences=preference.tolist()) @ rows)[0])
    assert x == pytest.approx(1 / 3, abs=0.02)  # 4 x² = (1 − x)²


def test_cosine_gate_weighs_and_gates(weigh, signal) -> None:
    rows = np.array([[2.0, 0], [3, 3], [-1, 5], [0, 1], [0, 0]])
    assert weigh("cosine_gate", rows, main="t0").tolist() == pytest.approx([1, 0.5**0.5, 0, 0, 0])
    assert weigh("cosine_gate", rows, main="t0", soft=False).tolist() == [1, 1, 0, 0, 0]
    absent = BALANCERS["cosine_gate"](["a", "b", "c"], main="c")
    assert signal(absent, rows[1:3]).tolist() == [1, 1]
    vanished = weigh("cosine_gate", rows[[4, 1, 2]], main="t0")
    assert vanished.tolist() == [1, 0, 0]


def test_imtl_scales_heads_and_shared_alike(signal) -> None:
    balancer = BALANCERS["imtl"](["a", "b"], learning_rate=0.1)
    rows = np.array([[3.0, 0], [-1, 2]])
    for _ in range(400):
        signal(balancer, rows, [4.0, 0.25])
    factors = balancer.log_scale.exp().numpy()
    np.testing.assert_allclose(factors, [0.25, 4.0], rtol=1e-2)
