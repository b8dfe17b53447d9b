"""PCGrad against the paper's algorithm on full gradients."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.balance import PCGrad, Signals
from polytask.balance.from_gramian.pcgrad import projected


def on_gradients(rows: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Algorithm 1 of the paper, literally."""
    total = np.zeros(rows.shape[1])
    for i, order in enumerate(orders):
        v = rows[i].copy()
        for j in order:
            if j != i and v @ rows[j] < 0:
                v -= (v @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        total += v
    return total


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12))
def test_the_update_is_the_papers(seed: int, tasks: int, params: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(tasks, params))
    orders = np.stack([generator.permutation(tasks) for _ in range(tasks)])
    found = projected(rows @ rows.T, orders) @ rows
    np.testing.assert_allclose(found, on_gradients(rows, orders), atol=1e-8)


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_two_tasks_are_never_hurt(seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(2, 3))
    gramian = rows @ rows.T
    assert (gramian @ projected(gramian, np.array([[0, 1], [0, 1]])) > -1e-12).all()


def test_the_mean_over_orders_is_that_of_many_draws(weigh) -> None:
    rows = np.random.default_rng(3).normal(size=(4, 3))
    np.testing.assert_allclose(weigh("pcgrad", rows, orders=3000), weigh("pcgrad", rows, orders="all"), atol=0.03)


def test_all_orders_draw_nothing_and_do_not_depend_on_the_order_of_tasks(weigh) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(weigh("pcgrad", rows[::-1], orders="all"), weigh("pcgrad", rows, orders="all")[::-1])


def test_without_conflict_it_is_the_sum() -> None:
    assert projected(np.array([[4.0, 1.0], [1.0, 2.0]]), np.array([[1, 0], [0, 1]])).tolist() == [1, 1]


def test_the_orders_come_from_the_given_generator() -> None:
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.normal(size=(6, 4)))

    def weights(balancer: PCGrad) -> torch.Tensor:
        return balancer(
            Signals(
                names=tuple("abcdef"),
                index=torch.arange(6),
                step=0,
                epoch=None,
                scores=torch.zeros(6, dtype=torch.float64),
                reads=PCGrad.reads,
                losses=torch.zeros(6, dtype=torch.float64),
                gramian=lambda: rows @ rows.T,
            )
        )

    source = torch.Generator().manual_seed(7)
    before = source.get_state()
    first, second, other = PCGrad(list("abcdef"), source), PCGrad(list("abcdef"), source), PCGrad(list("abcdef"))
    assert torch.equal(source.get_state(), before)
    drawn = [weights(first) for _ in range(3)]
    assert not torch.equal(drawn[0], drawn[1])
    assert all(torch.equal(a, weights(second)) for a in drawn)
    assert not torch.equal(weights(other), drawn[0])
