"""What every balancer promises of its backward pass, its state and what it says of itself."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from every_balancer import TASKS, Model, balance, directed, every, from_losses, gaussian, make, of_weights, plain, weigh
from torch import Tensor, nn

from polytask.balance import BALANCERS, Probe
from polytask.papers import PAPERS


@pytest.fixture(autouse=True, params=["the loop", "layers"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models as small as here are taken by the loop: by layers too."""
    if request.param == "layers":
        monkeypatch.setattr("polytask.gradients.engine.is_looped", lambda *_: False)


@directed
def test_one_task_alone_gives_a_direction_along_its_gradient(name: str) -> None:
    """Shared parameters by one positive factor, heads by one of their own."""
    model, balancer = Model().double(), make(name)
    for _ in range(2):
        model.zero_grad()
        expected = plain(model, {"b": 1.0})
        assert balancer.backward(model.losses("b"), shared=model.shared())["b"] > 0
        found = model.gradients()
        for is_head in (True, False):
            keys = [key for key in expected if key.startswith("heads") == is_head]
            one, other = (torch.cat([of[key].flatten() for key in keys]) for of in (found, expected))
            factor = one @ other / (other @ other)
            assert factor > 0
            torch.testing.assert_close(one, factor * other)
        assert not any(g.any() for key, g in found.items() if key not in expected)


@of_weights
def test_one_task_alone_is_a_positive_multiple_of_its_gradient(name: str) -> None:
    model = Model().double()
    expected = plain(model, {"b": 1.0})
    weights = balance(make(name), lambda: model.losses("b"), model.shared())
    assert weights["b"] > 0
    found = model.gradients()
    assert set(found) == set(expected)
    for key, gradient in found.items():
        is_scaled = BALANCERS[name].scales == "losses" or not key.startswith("heads")
        torch.testing.assert_close(gradient, expected[key] * (weights["b"] if is_scaled else 1))


@of_weights
def test_the_update_is_what_the_weights_say(name: str) -> None:
    """Jᵀw on shared parameters; heads scaled by loss weights, and never by gradient weights. What only losses of
    weight 0 reach has no gradient."""
    model = Model().double()
    alone = {task: plain(model, {task: 1.0}) for task in TASKS}
    weights = balance(make(name), model.losses, model.shared())
    found = model.gradients()
    counted = [t for t in TASKS if weights[t] != 0 or BALANCERS[name].scales == "gradients"]
    assert set(found) == {k for task in counted for k in alone[task]}
    for key, gradient in found.items():
        is_own = BALANCERS[name].scales == "gradients" and key.startswith("heads")
        terms = [(1 if is_own else weights[t]) * alone[t][key] for t in TASKS if key in alone[t]]
        torch.testing.assert_close(gradient, sum(terms))


@every
def test_tasks_that_share_nothing_train_their_own(name: str) -> None:
    model, balancer = Model().double(), make(name)
    for _ in range(2):
        weights = balance(balancer, model.losses, [])
        assert all(np.isfinite(list(weights.values())))
        assert model.trunk.weight.grad is not None
        model.zero_grad()


@every
def test_backward_adds_to_what_is_there(name: str) -> None:
    model, balancer = Model().double(), make(name)
    same = copy.deepcopy(balancer)
    balance(balancer, model.losses, model.shared())
    once = model.gradients()
    for p in model.parameters():
        p.grad = torch.ones_like(p) if p.requires_grad else None
    balance(same, model.losses, model.shared())
    for key, gradient in model.gradients().items():
        torch.testing.assert_close(gradient, 1 + once.get(key, torch.zeros_like(gradient)))


@every
def test_an_absent_task_keeps_its_state_and_its_parameters(name: str) -> None:
    model, balancer = Model(), make(name)
    for _ in range(3):
        balance(balancer, model.losses, model.shared(), epoch=0)
    model.zero_grad()
    before = copy.deepcopy(balancer.state_dict())
    for _ in range(3):
        balance(balancer, lambda: model.losses("ac"), model.shared(), epoch=0)
    assert all(p.grad is None for p in model.heads["b"].parameters())
    for key, value in balancer.state_dict().items():
        if value.shape[:1] == (3,):  # [tasks], and [tasks, params] of those that remember gradients
            torch.testing.assert_close(value[1], before[key][1], rtol=0, atol=0, equal_nan=True)


@every
def test_state_goes_into_a_fresh_object_bit_for_bit(name: str) -> None:
    first = make(name)
    losses = np.random.default_rng(0).uniform(0.1, 2, size=(80, 3))
    for k, values in enumerate(losses[:60]):
        weigh(first, gaussian(k), losses=values)
    second = make(name)
    second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()}, strict=True)
    for k, values in enumerate(losses[60:]):
        for one, other in zip(*(weigh(b, gaussian(k), losses=values) for b in (first, second)), strict=True):
            assert torch.equal(one, other)


@every
def test_deterministic(name: str) -> None:
    first, second = make(name), make(name)
    torch.manual_seed(1)
    one = [torch.cat(weigh(first, gaussian(k, 3))) for k in range(5)]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert all(torch.equal(a, torch.cat(weigh(second, gaussian(k, 3)))) for k, a in enumerate(one))
    assert torch.equal(torch.get_rng_state(), state), "drew from the global random state"


@every
def test_state_stays_in_double_precision_on_the_cpu(name: str) -> None:
    balancer = make(name).half().to("meta")
    assert all(v.device.type == "cpu" and v.dtype != torch.float16 for v in balancer.state_dict().values())
    assert not list(balancer.parameters()), "a balancer joins no optimiser"


@every
def test_it_reads_only_what_it_declares(name: str) -> None:
    """Anything else that it looked at would raise."""
    balancer = make(name)
    forward, seen = balancer.forward, []

    def watching(signals: Any) -> Any:
        undeclared = {"losses", "gramian", "jacobian"} - balancer.reads
        for what in undeclared:
            with pytest.raises(AttributeError, match=f"reads '{what}' but declares"):
                getattr(signals, what)
        seen.append(undeclared)
        return forward(signals)

    balancer.forward = watching
    for k in range(25):
        weigh(balancer, gaussian(k))
    assert len(seen) == 25


@directed
def test_a_direction_of_its_own_scales_no_losses_and_is_exact(name: str) -> None:
    assert BALANCERS[name].scales == "gradients"
    assert "jacobian" in BALANCERS[name].reads
    assert BALANCERS[name].levels == {"exact"}


@every
def test_its_paper_is_known(name: str) -> None:
    assert BALANCERS[name].paper is None or BALANCERS[name].paper in PAPERS
    assert (BALANCERS[name].paper is None) == ("Paper:" not in (BALANCERS[name].__doc__ or ""))


@every
def test_it_says_in_a_line_when_to_use_it(name: str) -> None:
    line = BALANCERS[name].__dict__.get("use_when", "")
    assert 20 <= len(line) <= 100
    assert line.endswith(".")
    assert sum(cls.use_when == line for cls in BALANCERS.values()) == 1, "what another says"


@from_losses
def test_a_method_from_losses_takes_one_backward_pass_and_a_look_ahead_two_more(name: str) -> None:
    forward, backward = [], []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            forward.append(1)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            backward.append(1)
            return gradient

    w = nn.Parameter(torch.ones(2))

    def losses() -> dict[str, Tensor]:
        features = Counted.apply(w)
        return {t: features.sum() * k for k, t in enumerate(TASKS, 1)}

    balancer = make(name)
    more = {}
    if balancer.looks_ahead:
        more["probe"] = Probe(nn.ParameterList([w]), losses=losses, validation=losses, learning_rate=0.1)
    balancer.backward(losses(), shared=[w], **more)
    assert (len(forward), len(backward)) == ((5, 3) if balancer.looks_ahead else (1, 1))
