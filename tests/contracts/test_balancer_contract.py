"""What every balancer promises of its weights, over every member of the catalogue."""

import pytest
import torch
from every_balancer import (
    BY_COORDINATE,
    DEGENERATE,
    DRAWN_WEIGHTS,
    DRAWS,
    SETTINGS,
    TASKS,
    UNIT_TOLERANCE,
    directed,
    every,
    from_gradients,
    gaussian,
    impartial,
    make,
    of_weights,
    weigh,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.balance import BALANCERS


@every
@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_whatever_the_gradients(name: str, case: str, dtype: torch.dtype) -> None:
    weights, gradient = weigh(make(name), DEGENERATE[case].to(dtype))
    assert weights.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient.dtype == dtype


@every
@pytest.mark.parametrize("loss", [0.0, 1e-30, 1e30, -1.0])
def test_finite_whatever_the_losses(name: str, loss: float) -> None:
    balancer = make(name)
    for _ in range(4):
        weights, gradient = weigh(balancer, gaussian(0), losses=[loss, 1.0, loss])
        assert weights.isfinite().all()
        assert gradient.isfinite().all()


@from_gradients
def test_gradients_in_one_direction_stay_there(name: str) -> None:
    weights, gradient = weigh(make(name), torch.ones(3, 4, dtype=torch.float64))
    assert weights.sum() > 0
    torch.testing.assert_close(gradient, gradient[0].expand(4))


@impartial
def test_opposite_gradients_of_equal_length_cancel(name: str) -> None:
    rows = torch.tensor([[1.0, -2.0], [-1.0, 2.0]], dtype=torch.float64)
    _, gradient = weigh(make(name, ["a", "b"]), rows, "ab", losses=[1.0, 1.0])
    if name in BY_COORDINATE:
        assert sorted(gradient.abs().tolist()) == [1.0, 2.0]
    else:
        assert gradient.abs().max() < 1e-11  # epo leaves 1e-12 of slack to its linear program


@every
@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_order_of_the_tasks_does_not_matter(name: str, seed: int) -> None:
    jacobian, order = gaussian(seed), torch.randperm(3, generator=torch.Generator().manual_seed(seed))
    direct, permuted = make(name), make(name)
    losses = torch.tensor([1.0, 2.0, 3.0])
    names = [TASKS[k] for k in order]
    for _ in range(2):
        weights, gradient = weigh(direct, jacobian, losses=losses.tolist())
        other, same = weigh(permuted, jacobian[order], names, losses[order].tolist())
        if name not in DRAWS:
            torch.testing.assert_close(other, weights[order], rtol=1e-7, atol=1e-9)
            torch.testing.assert_close(same, gradient, rtol=1e-7, atol=1e-8)


@of_weights
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-20, 1e-3, 1e3, 1e20]))
def test_the_unit_of_all_gradients_changes_the_update_as_declared(name: str, seed: int, scale: float) -> None:
    balancer = make(name)
    weights, _ = weigh(balancer, gaussian(seed))
    scaled, _ = weigh(make(name), gaussian(seed) * scale)
    tolerance = UNIT_TOLERANCE.get(name, 1e-6)
    torch.testing.assert_close(scaled * scale ** (1 - balancer.degree), weights, rtol=tolerance, atol=1e-8)


@directed
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-20, 1e-3, 1e3, 1e20]))
def test_the_unit_of_all_gradients_changes_a_direction_as_declared(name: str, seed: int, scale: float) -> None:
    first, second = make(name), make(name)
    for k in range(3):
        weights, gradient = weigh(first, gaussian(seed + k))
        others, scaled = weigh(second, gaussian(seed + k) * scale)
        torch.testing.assert_close(scaled / scale**first.degree, gradient, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(others, weights, rtol=1e-6, atol=1e-8)


@every
@pytest.mark.parametrize("loss", [0.5, 2.0])
@pytest.mark.parametrize("num_tasks", [1, 2, 3])
def test_weights_are_like_a_sum_or_a_mean_as_declared(name: str, num_tasks: int, loss: float) -> None:
    tasks = TASKS[:num_tasks]
    balancer = make(name, tasks)
    weights, _ = weigh(balancer, torch.eye(num_tasks, dtype=torch.float64), tasks, [loss] * num_tasks)
    if balancer.weights_like != "neither":
        each = 1.0 if balancer.weights_like == "sum" else 1 / num_tasks
        assert float(weights.sum()) == pytest.approx(num_tasks * each)
        if name not in DRAWN_WEIGHTS:
            torch.testing.assert_close(weights, torch.full_like(weights, each))


@of_weights
def test_what_goes_around_another_has_its_traits(name: str) -> None:
    """Traits of an object, not of its class: a setting may move them."""
    other = make(name)
    smooth = BALANCERS["smooth"](TASKS, of={name: SETTINGS.get(name, lambda _: {})(TASKS)})
    traits = ("reads", "scales", "weights_like", "is_impartial", "degree", "levels", "looks_after", "looks_ahead")
    for trait in traits:
        assert getattr(smooth, trait) == getattr(other, trait), trait


@every
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_tasks_that_change_places_change_weights_where_it_is_impartial(name: str, seed: int) -> None:
    balancer, other = make(name), make(name)
    order = torch.tensor([2, 0, 1])
    jacobian, losses = gaussian(seed), torch.tensor([1.0, 2.0, 3.0])
    weights, _ = weigh(balancer, jacobian, losses=losses.tolist())
    moved, _ = weigh(other, jacobian[order], losses=losses[order].tolist())
    if balancer.is_impartial and name not in DRAWS:
        torch.testing.assert_close(moved, weights[order], rtol=1e-7, atol=1e-9)


@from_gradients
def test_a_vanished_gradient_leaves_the_others_as_they_are(name: str) -> None:
    rows = torch.tensor([[3.0, 0], [-1, 2], [0, 0]], dtype=torch.float64)
    weights, _ = weigh(make(name), rows)
    nearly, _ = weigh(make(name), rows + torch.tensor([[0.0], [0], [1e-20]], dtype=torch.float64))
    torch.testing.assert_close(nearly[:2], weights[:2])
    assert (weights[:2] > 0).any()


@from_gradients
@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_rotating_the_parameters_changes_nothing(name: str, seed: int) -> None:
    rotation = torch.linalg.qr(gaussian(seed + 1, 7)).Q
    weights, gradient = weigh(make(name), gaussian(seed))
    rotated, turned = weigh(make(name), gaussian(seed) @ rotation)
    if name not in BY_COORDINATE:
        torch.testing.assert_close(rotated, weights, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(turned, gradient @ rotation, rtol=1e-6, atol=1e-7)
