"""What methods that look at J promise of any gradients, and settings that they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from polytask.balance import BALANCERS, Engine, GradDrop, GradNorm, MetaBalance, MoCo
from polytask.balance.from_jacobian.graddrop import chance
from polytask.balance.from_jacobian.moco import onto_simplex

TASKS = ("a", "b", "c")
SIZES = (3, 4)  # of the two shared tensors of `step_on`


seeds = given(st.integers(0, 10**6), st.integers(2, 5))
some = settings(max_examples=20)


def gradients(seed: int, tasks: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    rows = np.random.default_rng(seed).normal(size=(tasks, sum(SIZES)))
    return {f"t{k}": row for k, row in enumerate(rows)}, {f"t{k}": 0.5 + k for k in range(tasks)}


@some
@seeds
def test_graddrop_leaves_one_sign_a_coordinate(step_on, seed: int, tasks: int) -> None:
    rows, losses = gradients(seed, tasks)
    _, update = step_on(GradDrop(list(rows)), rows, losses)
    jacobian = np.stack(list(rows.values()))
    positive, negative = np.maximum(jacobian, 0).sum(axis=0), np.minimum(jacobian, 0).sum(axis=0)
    is_one = np.isclose(update, positive) | np.isclose(update, negative)
    assert is_one.all()


def test_graddrop_keeps_each_sign_as_often_as_it_says(step_on) -> None:
    rows = {"a": np.array([2.0, 0, 0, 0, 0, 0, 1]), "b": np.array([-1.0, 1, 0, 0, 0, 0, -1])}
    balancer = GradDrop(["a", "b"])
    updates = np.array([step_on(balancer, rows, {"a": 1.0, "b": 1.0})[1] for _ in range(600)])
    assert set(updates[:, 0]) == {2.0, -1.0}
    assert (updates[:, 0] == 2).mean() == pytest.approx(2 / 3, abs=0.06)
    assert (updates[:, 6] == 1).mean() == pytest.approx(1 / 2, abs=0.06)
    assert set(updates[:, 1]) == {1.0}
    np.testing.assert_array_equal(chance(torch.zeros(2, 3)), [0.5, 0.5, 0.5])


@some
@seeds
def test_a_leak_of_one_is_the_sum(step_on, seed: int, tasks: int) -> None:
    rows, losses = gradients(seed, tasks)
    weights, update = step_on(GradDrop(list(rows), leaks=[1.0] * tasks), rows, losses)
    np.testing.assert_allclose(update, sum(rows.values()), atol=1e-12)
    assert weights == pytest.approx(dict.fromkeys(rows, 1.0))


@some
@seeds
def test_db_mtl_moves_by_every_task_alike_whatever_their_units(step_on, seed: int, tasks: int) -> None:
    rows, losses = gradients(seed, tasks)
    units = dict(zip(rows, 10.0 ** np.random.default_rng(seed).uniform(-1, 3, tasks), strict=True))
    scaled = {n: row * units[n] for n, row in rows.items()}
    _, update = step_on(BALANCERS["db_mtl"](list(rows)), rows, losses)
    _, same = step_on(BALANCERS["db_mtl"](list(rows)), scaled, {n: loss * units[n] for n, loss in losses.items()})
    np.testing.assert_allclose(same, update, rtol=1e-5, atol=1e-5)  # but for the 1e-8 beside the loss
    weights, _ = step_on(BALANCERS["db_mtl"](list(rows)), rows, losses)
    lengths = [weights[n] * np.linalg.norm(row) for n, row in rows.items()]
    longest = max(np.linalg.norm(row) / losses[n] for n, row in rows.items())
    np.testing.assert_allclose(lengths, longest, rtol=1e-6)


def test_db_mtl_trains_heads_on_logarithms_and_does_not_shrink_its_first_step() -> None:
    w, head = nn.Parameter(torch.ones(1)), nn.Parameter(torch.full((1,), 4.0))
    BALANCERS["db_mtl"](["a"]).backward({"a": (w * head).sum()}, shared=[w])
    assert head.grad.item() == pytest.approx(1 / 4)
    assert w.grad.item() == pytest.approx(1.0)


@some
@seeds
def test_metabalance_brings_every_tensor_to_the_main_length(step_on, seed: int, tasks: int) -> None:
    rows, losses = gradients(seed, tasks)
    alone = {
        n: step_on(MetaBalance(list(rows), main="t0", relax=1.0), {"t0": rows["t0"], n: rows[n]}, losses) for n in rows
    }
    for n, (_, update) in alone.items():
        if n != "t0":
            changed = update - rows["t0"]
            for cut in (slice(0, SIZES[0]), slice(SIZES[0], None)):
                assert np.linalg.norm(changed[cut]) == pytest.approx(np.linalg.norm(rows["t0"][cut]))
    _, update = step_on(MetaBalance(list(rows), main="t0", relax=0.0), rows, losses)
    np.testing.assert_allclose(update, sum(rows.values()))


def test_metabalance_by_strategy(step_on) -> None:
    rows = {"a": np.array([1.0] + [0] * 6), "b": np.array([0, 4.0] + [0] * 5), "c": np.array([0, 0, 0.5] + [0] * 4)}
    losses = dict.fromkeys(rows, 1.0)
    found = {
        strategy: step_on(MetaBalance(TASKS, main="a", relax=1.0, strategy=strategy), rows, losses)[0]
        for strategy in ("both", "reduce", "enlarge")
    }
    assert found["both"] == {"a": 1, "b": 0.25, "c": 2}
    assert found["reduce"] == {"a": 1, "b": 0.25, "c": 1}
    assert found["enlarge"] == {"a": 1, "b": 1, "c": 2}


def test_metabalance_leaves_alone_what_the_main_task_does_not_reach(step_on) -> None:
    rows = {"a": np.array([1.0, 0, 0, 0, 0, 0, 0]), "b": np.array([4.0, 0, 0, 4, 0, 0, 0])}
    _, update = step_on(MetaBalance(["a", "b"], main="a", relax=1.0), rows, {"a": 1.0, "b": 1.0})
    np.testing.assert_allclose(update, [2, 0, 0, 4, 0, 0, 0])


@pytest.mark.parametrize("seed", [0, 1])
def test_moco_settles_at_the_shortest_combination(step_on, seed: int, weigh) -> None:
    rows, losses = gradients(seed, 3)
    balancer = MoCo(list(rows), rescale="none", gamma_power=0.0)
    for _ in range(400):
        weights, update = step_on(balancer, rows, losses)
    jacobian = np.stack(list(rows.values()))
    expected = weigh("mgda", jacobian)
    np.testing.assert_allclose(list(weights.values()), expected, atol=1e-5)
    np.testing.assert_allclose(update, expected @ jacobian, atol=1e-5)


@some
@seeds
def test_the_simplex_projection_is_the_nearest_point(seed: int, tasks: int) -> None:
    point = np.random.default_rng(seed).normal(size=tasks) * 3
    found = onto_simplex(torch.from_numpy(point)).numpy()
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    by_scipy = minimize(
        lambda x: ((x - point) ** 2).sum(),
        np.full(tasks, 1 / tasks),
        jac=lambda x: 2 * (x - point),
        bounds=[(0, None)] * tasks,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": lambda x: np.ones(tasks)},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(found, by_scipy.x, atol=1e-5)


@pytest.mark.parametrize("name", ["moco", "db_mtl", "metabalance", "graddrop"])
@some
@seeds
def test_equal_gradients_give_a_positive_multiple(step_on, name: str, seed: int, tasks: int) -> None:
    rows, losses = gradients(seed, tasks)
    row = rows["t0"]
    chosen = {"main": "t0"} if name == "metabalance" else {}
    _, update = step_on(BALANCERS[name](list(rows), **chosen), dict.fromkeys(rows, row), losses)
    factor = update @ row / (row @ row)
    assert factor > 0
    np.testing.assert_allclose(update, factor * row, atol=1e-9)


def test_excess_mtl_leaves_a_noisy_task_that_has_learnt_all_it_can(step_on) -> None:
    """Losses say that the noisy one is worse; its gradients have no direction, and those of the other still do."""
    random = np.random.default_rng(0)
    balancer = BALANCERS["excess_mtl"](["noisy", "behind"], rate=0.1, warmup=10)
    for k in range(200):
        noise, pull = random.normal(size=sum(SIZES)) / (1 + k / 10), np.ones(sum(SIZES)) * (1 + k / 100)
        weights, _ = step_on(balancer, {"noisy": noise, "behind": pull}, {"noisy": 9.0, "behind": 1.0})
    assert weights["behind"] > 1.5
    assert sum(weights.values()) == pytest.approx(2)


def test_excess_mtl_of_a_task_that_starts_without_a_gradient(step_on) -> None:
    balancer = BALANCERS["excess_mtl"](["a", "b"], warmup=1)
    zero, row = np.zeros(sum(SIZES)), np.ones(sum(SIZES))
    for rows in ({"a": zero, "b": row}, {"a": row, "b": row}, {"a": 1e200 * row, "b": row}):
        weights, _ = step_on(balancer, rows, {"a": 1.0, "b": 1.0})
        assert weights == pytest.approx({"a": 1.0, "b": 1.0})


def test_gradnorm_gives_gradients_one_length_where_all_learn_alike(step_on) -> None:
    balancer = GradNorm(TASKS, warmup=1, learning_rate=4e-3)
    rows = {"a": np.ones(sum(SIZES)), "b": 3 * np.ones(sum(SIZES)), "c": 0.5 * np.ones(sum(SIZES))}
    for _ in range(400):
        weights, _ = step_on(balancer, rows, dict.fromkeys(TASKS, 1.0))
    lengths = [weights[n] * row[0] for n, row in rows.items()]
    np.testing.assert_allclose(lengths, np.mean(lengths), rtol=0.08)
    assert sum(weights.values()) == pytest.approx(3)


def test_rows_of_j_are_not_written_to(step_on) -> None:
    for name in ("graddrop", "moco", "db_mtl", "metabalance", "excess_mtl"):
        balancer = BALANCERS[name](["a", "b"], **({"main": "a"} if name == "metabalance" else {}))
        forward = balancer.forward

        def watching(signals, forward=forward):
            before = signals.jacobian.clone()
            found = forward(signals)
            assert torch.equal(signals.jacobian, before)
            return found

        balancer.forward = watching
        for k in range(3):
            step_on(balancer, {"a": np.arange(7.0) + k, "b": -np.ones(7)}, {"a": 1.0, "b": 2.0})


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("graddrop", {"leaks": {"a": 0.5, "b": 1.5}}, r"graddrop: the leak of task 'b' is 1.5, a number from 0 to 1"),
        ("graddrop", {"leaks": {"a": -0.5, "b": 1.0}}, r"graddrop: the leak of task 'a' is -0.5, a finite number >= 0"),
        ("moco", {"beta": 0.0}, "moco: beta=0.0, a number above 0 and at most 1"),
        ("moco", {"gamma": -1.0}, "moco: gamma=-1.0, a number above 0"),
        ("moco", {"rho": -1.0}, "moco: rho=-1.0, a number of at least 0"),
        ("moco", {"gamma_power": -1.0}, "moco: gamma_power=-1.0"),
        ("db_mtl", {"beta": 1.0}, "db_mtl: beta=1.0, a number from 0 to below 1"),
        ("db_mtl", {"beta_power": -1.0}, "db_mtl: beta_power=-1.0"),
        ("metabalance", {}, r"metabalance: it needs the main task: main='a', or another of \['a', 'b'\]"),
        ("metabalance", {"main": "aa"}, "metabalance: main='aa' is no task; did you mean 'a'"),
        ("metabalance", {"main": "a", "relax": 1.5}, "metabalance: relax=1.5, a number from 0 to 1"),
        ("metabalance", {"main": "a", "momentum": 1.0}, "metabalance: momentum=1.0"),
        ("excess_mtl", {"rate": 0.0}, "excess_mtl: rate=0.0, a number above 0"),
        ("excess_mtl", {"warmup": 0}, "excess_mtl: warmup=0, at least 1 step"),
        ("gradnorm", {"alpha": -1.0}, "gradnorm: alpha=-1.0"),
        ("gradnorm", {"learning_rate": 0.0}, "gradnorm: learning_rate=0.0"),
        ("gradnorm", {"warmup": 0}, "gradnorm: warmup=0, at least 1 step"),
    ],
)
def test_settings_that_cannot_be(name: str, given: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BALANCERS[name](["a", "b"], **given)


@pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if cls.levels == {"exact"}])
def test_exact_is_what_their_engine_is_by_default(name: str) -> None:
    chosen = {"main": "a"} if name == "metabalance" else {}
    assert BALANCERS[name](["a", "b"], engine=Engine(), **chosen).engine.level in BALANCERS[name].levels
