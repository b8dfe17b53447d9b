"""What every balancer promises, over every member of the catalogue."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, Probe
from polytask.papers import PAPERS

TASKS = ("a", "b", "c")
#: Settings of methods that cannot be built without any.
SETTINGS: dict[str, Any] = {
    "fixed": lambda tasks: {"weights": {name: 1.0 + ord(name) % 3 for name in tasks}},
    "cosine_gate": lambda tasks: {"main": min(tasks)},
    "metabalance": lambda tasks: {"main": min(tasks)},
    "smooth": lambda _: {"of": "pcgrad"},
    "famo": lambda tasks: {"minimums": dict.fromkeys(tasks, -2.0)},  # some losses here are below 0
}
#: Methods that draw: permuting the tasks permutes the weights in distribution only.
DRAWS = {"pcgrad", "gradvac", "rlw", "smooth"}
#: How far the unit of the gradients may move weights: one step of Adam, whose sign a difference of losses gives.
UNIT_TOLERANCE = {"auto_lambda": 2e-3}
#: Of these, weights that are alike on average only.
DRAWN_WEIGHTS = {"rlw"}
#: Methods that look at single coordinates: opposite gradients do not cancel, and a rotation changes them.
BY_COORDINATE = {"graddrop"}

every = pytest.mark.parametrize("name", BALANCERS)
from_gradients = pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if cls.scales == "gradients"])
impartial = pytest.mark.parametrize(
    "name", [n for n, cls in BALANCERS.items() if cls.scales == "gradients" and cls.is_impartial]
)
from_losses = pytest.mark.parametrize(
    "name",
    [n for n, cls in BALANCERS.items() if cls.scales == "losses" and not cls.reads & {"gramian", "jacobian"}],
)
of_weights = pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if not cls.gives_direction])
directed = pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if cls.gives_direction])


def make(name: str, tasks: Sequence[str] = TASKS) -> Balancer:
    return BALANCERS[name](tasks, **SETTINGS.get(name, lambda _: {})(tasks))


def balance(
    balancer: Balancer, losses: Callable[[], dict[str, Tensor]], shared: Sequence[nn.Parameter], **more: Any
) -> dict[str, float]:
    """A backward pass with all that the method may ask for: a probe before it, the losses after the step."""
    if balancer.looks_ahead:
        parameters = nn.ParameterList({id(p): p for p in reached(losses())}.values())
        more["probe"] = Probe(parameters, losses=losses, validation=losses, learning_rate=0.1)
    terms = losses()
    weights = balancer.backward(terms, shared=shared, **more)
    after(balancer, {name: float(loss.detach()) for name, loss in terms.items()})
    return weights


def after(balancer: Balancer, losses: dict[str, float]) -> None:
    """The step lowered every loss, by a share that depends on the task."""
    if balancer.looks_after:
        lower = {name: loss - abs(loss) * (ord(name) % 3) / 10 for name, loss in losses.items()}
        balancer.after_step({name: torch.tensor(loss) for name, loss in lower.items()})


def reached(losses: dict[str, Tensor]) -> list[Tensor]:
    """The parameters that losses reach."""
    found, waiting, seen = [], [loss.grad_fn for loss in losses.values()], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found += [node.variable] if hasattr(node, "variable") else []
            waiting += [following for following, _ in node.next_functions]
    return found


def weigh(
    balancer: Balancer, jacobian: Tensor, tasks: Sequence[str] = TASKS, losses: Sequence[float] = (1, 2, 3)
) -> Any:
    """Weights and shared gradient for losses with these gradients."""
    shared = nn.Parameter(torch.zeros(jacobian.shape[1], dtype=jacobian.dtype))

    def terms() -> dict[str, Tensor]:
        return {n: row @ shared + loss for n, row, loss in zip(tasks, jacobian, losses, strict=False)}

    weights = balance(balancer, terms, [shared])
    assert list(weights) == list(tasks)
    return torch.tensor(list(weights.values()), dtype=torch.float64), shared.grad


def gaussian(seed: int, num_tasks: int = 3, num_params: int = 7) -> Tensor:
    return torch.randn(num_tasks, num_params, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Model(nn.Module):
    """A trunk, a middle part that only a and b reach, a head a task."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.middle = nn.Linear(4, 5), nn.Linear(5, 5)
        self.frozen, self.unused = nn.Linear(4, 5), nn.Linear(2, 2)
        self.frozen.requires_grad_(False)
        self.heads = nn.ModuleDict({name: nn.Linear(5, 1) for name in TASKS})

    def shared(self) -> list[nn.Parameter]:
        return [p for part in (self.trunk, self.middle, self.frozen, self.unused) for p in part.parameters()]

    def losses(self, tasks: Sequence[str] = TASKS) -> dict[str, Tensor]:
        inputs = torch.linspace(-1, 1, 32, dtype=self.trunk.weight.dtype).reshape(8, 4)
        first = (self.trunk(inputs) + self.frozen(inputs)).tanh()
        features = {"a": self.middle(first), "b": self.middle(first).tanh(), "c": first}
        signs = {"a": 1.0, "b": -1.0, "c": 2.0}
        return {n: (self.heads[n](features[n]) - signs[n]).square().mean() for n in tasks}

    def gradients(self) -> dict[str, Tensor]:
        found = {n: p.grad.clone() for n, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return found


def plain(model: Model, weights: dict[str, float]) -> dict[str, Tensor]:
    """The gradients of a weighted sum, by PyTorch alone."""
    model.zero_grad()
    sum(weight * model.losses()[name] for name, weight in weights.items()).backward()
    return model.gradients()


DEGENERATE = {
    "zero": torch.zeros(3, 4),
    "one zero": torch.tensor([[1.0, 2, 0, 0], [0, 0, 0, 0], [0, -1, 1, 0]]),
    "duplicate": torch.ones(3, 4),
    "opposite": torch.tensor([[1.0, 2, 3, 4], [-1, -2, -3, -4], [1, 2, 3, 4]]),
    "stationary": torch.tensor([[1.0, 0], [0, 1], [-0.8, -0.8]]),
    "tiny": torch.tensor([[3.0, 0], [-1, 2], [0, -1]]) * 1e-30,
    "huge": torch.tensor([[3.0, 0], [-1, 2], [0, -1]]) * 1e30,
    "tiny beside huge": torch.tensor([[1e-30, 1e-30], [-1e30, 1e30], [1, -1]]),
}


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
        weights = balancer.backward(model.losses(), shared=[])
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
