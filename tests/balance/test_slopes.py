"""Weights of methods that minimise one number: the slopes of that number, by autograd."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polytask.balance import BALANCERS

from_losses = st.lists(st.floats(0.01, 100), min_size=3, max_size=3)
R = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
Z = torch.tensor([0.1, -1.0, 0.0], dtype=torch.float64)
E = torch.tensor([1.0, 5.0, 20.0], dtype=torch.float64)


def penalised(losses: Tensor) -> Tensor:
    return losses.sum() + 1.5 * (E * (losses / E - 1).clamp_min(0) ** 2).sum() / 2


#: name -> (settings, the number that is minimised).
OBJECTIVES: dict[str, tuple[dict, Callable[[Tensor], Tensor]]] = {
    "sum": ({}, lambda x: x.sum()),
    "mean": ({}, lambda x: x.mean()),
    "scale_invariant": ({"weights": R.tolist()}, lambda x: (R * x.log()).sum()),
    "uw_o": ({}, lambda x: x.log().sum()),
    "gls": ({}, lambda x: x.prod() ** (1 / 3)),
    "achievement": ({}, lambda x: x.prod() ** (1 / 3)),
    "tchebycheff": ({"preferences": R.tolist(), "ideals": Z.tolist()}, lambda x: (R * (x - Z)).max()),
    "stch": (
        {"of": "losses", "mu": 0.7, "preferences": R.tolist(), "ideals": Z.tolist()},
        lambda x: 0.7 * torch.logsumexp(R * (x - Z) / 0.7, dim=0),
    ),
    "cosmos": (
        {"strength": 2.0, "preferences": R.tolist()},
        lambda x: R @ x - 2 * torch.nn.functional.cosine_similarity(R, x, dim=0),
    ),
    "penalty_coefficients": ({"expectations": E.tolist(), "strength": 1.5, "limit": 1e6}, penalised),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@given(values=from_losses)
def test_weights_are_the_slopes(name: str, values: list[float]) -> None:
    settings, objective = OBJECTIVES[name]
    losses = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    objective(losses).backward()
    if name == "tchebycheff" and int((losses.grad != 0).sum()) > 1:
        return  # at a tie autograd shares out; the method takes the first
    terms = {
        task: torch.tensor(v, dtype=torch.float64, requires_grad=True) for task, v in zip("abc", values, strict=True)
    }
    weights = BALANCERS[name](list("abc"), **settings).backward(terms, shared=[])
    assert list(weights.values()) == pytest.approx(losses.grad.tolist(), rel=1e-9, abs=1e-12)


def test_of_equal_tasks_tchebycheff_takes_the_first(step) -> None:
    balancer = BALANCERS["tchebycheff"](["a", "b", "c"])
    assert step(balancer, {"c": 2.0, "b": 2.0, "a": 1.0}) == pytest.approx({"c": 0, "b": 1 / 3, "a": 0})


def test_cosmos_pushes_back_what_is_far_below_its_share(step) -> None:
    weights = step(BALANCERS["cosmos"](["a", "b"], strength=2.0), {"a": 1.0, "b": 0.1})
    assert weights["b"] < 0 < weights["a"]
    assert step(BALANCERS["cosmos"](["a", "b"], strength=2.0), {"a": 0.2}) == {"a": 0.5}


#: What the weights sum to while all tasks are present, whatever the losses; T is "tasks".
SUMS = {"mean": 1, "uw_so": 1, "rlw": 1, "cov_weighting": 1, "sum": "tasks", "dwa": "tasks"}
#: What Σ w L is.
PRODUCTS = {"scale_invariant": 3, "uw_o": 3, "stch": 3}


@pytest.mark.parametrize("name", [*SUMS, *PRODUCTS])
@given(first=from_losses, second=from_losses)
def test_the_scale_is_what_is_said(name: str, first: list[float], second: list[float]) -> None:
    balancer = BALANCERS[name](list("abc"))
    for epoch in range(7):
        values = dict(zip("abc", second if epoch % 2 else first, strict=True))
        terms = {task: torch.tensor(v, dtype=torch.float64, requires_grad=True) for task, v in values.items()}
        weights = balancer.backward(terms, shared=[], epoch=epoch)
        if name in SUMS:
            assert sum(weights.values()) == pytest.approx(3 if SUMS[name] == "tasks" else 1)
        else:
            assert sum(w * values[task] for task, w in weights.items()) == pytest.approx(PRODUCTS[name])


@pytest.mark.parametrize(
    "name",
    [
        "uw_o",
        "uw_so",
        "scale_invariant",
        "gls",
        "ema_normalised",
        "cov_weighting",
        "stch",
        "achievement",
        "dwa",
        "penalty_coefficients",
    ],
)
@pytest.mark.parametrize("loss", [0.0, -3.0])
def test_losses_that_have_to_be_positive_are_clamped(step, name: str, loss: float) -> None:
    found, clamped = BALANCERS[name](["a", "b"]), BALANCERS[name](["a", "b"])
    for epoch in range(7):
        weights = step(found, {"a": loss, "b": 1.0}, epoch=epoch)
        assert weights == step(clamped, {"a": 1e-8, "b": 1.0}, epoch=epoch)
