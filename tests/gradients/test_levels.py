"""Gradients at the representation, and passes with weights that are known beforehand."""

import pytest
import torch
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, CAGrad, GradDrop, PCGrad, Signals
from polytask.gradients import Engine, weighted_backward
from polytask.gradients.loop import by_loop

AT_REPRESENTATION = Engine(level="representation")


class Counted(torch.autograd.Function):
    """Counts how often gradients pass."""

    passes = 0

    @staticmethod
    def forward(ctx, features: Tensor) -> Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        Counted.passes += 1
        return gradient


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)
        self.heads = nn.ModuleDict({name: nn.Linear(4, 1) for name in "xyz"})
        self.double()

    def features(self) -> Tensor:
        inputs = torch.linspace(-2, 2, 60, dtype=torch.float64).reshape(10, 6).sin()
        return self.second(Counted.apply(self.first(inputs)).tanh()).tanh()

    def losses(self, features: Tensor | None = None, names: str = "xyz") -> dict[str, Tensor]:
        features = self.features() if features is None else features
        targets = {"x": 1.0, "y": -1.0, "z": 3.0}
        return {n: (self.heads[n](features) - targets[n]).square().mean() for n in names}

    def shared(self) -> list[nn.Parameter]:
        return [*self.first.parameters(), *self.second.parameters()]

    def gradients(self) -> dict[str, Tensor]:
        found = {n: p.grad.clone() for n, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return found


def at_features(net: Net) -> Tensor:
    """The rows of Z, by PyTorch alone."""
    features = net.features().detach().requires_grad_()
    losses = net.losses(features).values()
    return torch.stack([torch.autograd.grad(loss, features)[0].flatten() for loss in losses])


def close(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert set(first) == set(second)
    for name, gradient in first.items():
        torch.testing.assert_close(gradient, second[name])


@pytest.mark.parametrize("is_given", [True, False])
def test_the_gramian_is_that_of_the_representation(is_given: bool) -> None:
    net = Net()
    features = net.features()
    found = AT_REPRESENTATION.differentiate(net.losses(features), net.shared(), features=features if is_given else None)
    rows = at_features(net)
    torch.testing.assert_close(found.gramian(), rows @ rows.T)
    assert all(found.reached)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_sizes_that_squares_do_not_hold(size: float) -> None:
    net = Net().float()
    net.features = lambda: net.second(net.first(torch.ones(3, 6)))
    losses = {name: loss * (size if name == "x" else 1) for name, loss in net.losses().items()}
    gramian = AT_REPRESENTATION.differentiate(losses, net.shared()).gramian()
    plain = AT_REPRESENTATION.differentiate(net.losses(), net.shared()).gramian()
    assert float(gramian[0, 0] / size**2) == pytest.approx(float(plain[0, 0]), rel=1e-4)
    assert float(gramian[0, 1] / size) == pytest.approx(float(plain[0, 1]), rel=1e-4)


def test_one_pass_whatever_the_number_of_tasks_and_the_update_of_the_weights() -> None:
    net, balancer = Net(), CAGrad(["x", "y", "z"], engine=AT_REPRESENTATION)
    losses, Counted.passes = net.losses(), 0
    weights = balancer.backward(losses, shared=net.shared())
    assert Counted.passes == 1
    found = net.gradients()
    assert list(weights.values()) == pytest.approx(solved(CAGrad, at_features(net)), rel=1e-6)
    net.losses()
    expected = weighted(net, weights)
    close(found, expected)


def solved(method: type[Balancer], rows: Tensor) -> list[float]:
    gramian = rows @ rows.T
    balancer = method(["x", "y", "z"])
    signals = Signals(
        names=("x", "y", "z"), index=torch.arange(3), step=0, epoch=None, scores=torch.full((3,), torch.nan),
        reads=balancer.reads, losses=torch.ones(3), gramian=lambda: gramian,
    )  # fmt: skip
    return balancer(signals).tolist()


def weighted(net: Net, weights: dict[str, float]) -> dict[str, Tensor]:
    """Weighted gradients on shared parameters, plain ones on heads, by PyTorch alone."""
    sum(weight * net.losses()[name] for name, weight in weights.items()).backward()
    shared = {name: g for name, g in net.gradients().items() if not name.startswith("heads")}
    sum(net.losses()[name] for name in weights).backward()
    return {name: g for name, g in net.gradients().items() if name.startswith("heads")} | shared


def test_a_penalty_may_use_the_same_graph() -> None:
    net, balancer = Net(), PCGrad(["x", "y", "z"], engine=AT_REPRESENTATION)
    features = net.features()
    balancer.backward(net.losses(features), shared=net.shared(), penalty=features.square().mean())
    assert len(net.gradients()) == 10


def test_undeclared_shared_parameters_get_the_plain_sum() -> None:
    net = Net()
    found = AT_REPRESENTATION.differentiate(net.losses(), list(net.second.parameters()))
    own = {id(p): g for p, g in found.own}
    exact = {
        id(p): g for p, g in by_loop(net.losses(), list(net.second.parameters()), retain_graph=False, with_own=True).own
    }
    assert set(own) == set(exact)
    for key, gradient in own.items():
        torch.testing.assert_close(gradient, exact[key])


def test_one_task_alone_has_nobody_to_meet() -> None:
    net = Net()
    found = AT_REPRESENTATION.differentiate(net.losses(names="y"), net.shared())
    exact = by_loop(net.losses(names="y"), net.shared(), retain_graph=False, with_own=True)
    torch.testing.assert_close(found.gramian(), exact.gramian())


def test_tasks_that_read_different_features_are_refused() -> None:
    net = Net()
    early = net.first(torch.ones(3, 6, dtype=torch.float64)).tanh()
    late = net.second(early)
    losses = {"x": net.heads["x"](late).mean(), "y": net.heads["y"](late).mean(), "z": early.mean()}
    with pytest.raises(ValueError, match="the tasks x, y, z do not read one and the same representation"):
        AT_REPRESENTATION.differentiate(losses, net.shared())
    with pytest.raises(ValueError, match="task 'z' reaches the shared part past features"):
        AT_REPRESENTATION.differentiate(losses, net.shared(), features=late)
    found = AT_REPRESENTATION.differentiate(losses, net.shared(), features=[early, late])
    assert found.gramian().shape == (3, 3)


def test_a_shared_parameter_past_the_representation_is_refused() -> None:
    net = Net()
    losses = net.losses()
    losses["y"] = losses["y"] + net.first.bias.sum()
    with pytest.raises(ValueError, match=r"task 'y' reaches shared\[1\] \[8\] past the representation"):
        AT_REPRESENTATION.differentiate(losses, net.shared())


def test_features_without_a_graph() -> None:
    net, balancer = Net(), PCGrad(["x", "y", "z"], engine=AT_REPRESENTATION)
    with pytest.raises(ValueError, match=r"features\[0\] is a tensor without a graph: pass what the trunk gave"):
        balancer.backward(net.losses(), shared=net.shared(), features=torch.ones(2))


def test_there_is_no_jacobian_at_the_representation() -> None:
    net = Net()
    with pytest.raises(ValueError, match="use level='exact'"):
        AT_REPRESENTATION.differentiate(net.losses(), net.shared()).jacobian()


def test_weighted_backward_is_one_pass() -> None:
    net = Net()
    losses, Counted.passes = net.losses(), 0
    weights = {"x": 0.5, "y": -2.0, "z": 0.0}
    weighted_backward(losses, net.shared(), list(weights.values()))
    assert Counted.passes == 1
    close(net.gradients(), weighted(net, weights))


def test_weighted_backward_adds_and_leaves_undeclared_parameters_their_sum() -> None:
    net = Net()
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    weighted_backward(net.losses(), list(net.second.parameters()), [2.0, 3.0, 4.0])
    found = net.gradients()
    plain = weighted(net, {"x": 1.0, "y": 1.0, "z": 1.0})
    scaled = weighted(net, {"x": 2.0, "y": 3.0, "z": 4.0})
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, 1 + (scaled if name.startswith("second") else plain)[name])


def test_weights_are_solved_each_so_many_steps() -> None:
    net, balancer = Net(), PCGrad(["x", "y", "z"], engine=Engine(every=3))
    seen = []
    for _ in range(7):
        losses, Counted.passes = net.losses(), 0
        weights = balancer.backward(losses, shared=net.shared())
        seen.append((Counted.passes, tuple(weights.values())))
        close(net.gradients(), weighted(net, weights))
        with torch.no_grad():
            for p in net.parameters():
                p += 0.1 * torch.randn_like(p)
    assert [passes == 1 for passes, _ in seen] == [False, True, True, False, True, True, False]
    assert seen[0][1] == seen[1][1] == seen[2][1]
    assert seen[3][1] != seen[0][1]
    assert int(balancer.step) == 7


def test_a_task_without_kept_weights_is_not_made_to_wait() -> None:
    net, balancer = Net(), PCGrad(["x", "y", "z"], engine=Engine(every=100))
    balancer.backward(net.losses(names="xy"), shared=net.shared())
    assert balancer.kept.isnan().tolist() == [False, False, True]
    balancer.backward(net.losses(), shared=net.shared())
    assert not balancer.kept.isnan().any()


@pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if "gramian" in cls.reads and n != "smooth"])
def test_every_method_from_the_gramian_keeps_its_weights_or_says_why_not(name: str) -> None:
    settings = {"cosine_gate": {"main": "x"}}.get(name, {})
    net = Net()
    first, second = (BALANCERS[name](["x", "y", "z"], engine=Engine(every=2), **settings) for _ in range(2))
    first.backward(net.losses(), shared=net.shared())
    second.load_state_dict(first.state_dict())
    weights = [b.backward(net.losses(), shared=net.shared()) for b in (first, second)]
    assert weights[0] == weights[1]
    if name != "imtl":  # whose factors of the losses go on moving
        assert list(weights[0].values()) == first.kept.tolist()


def test_what_a_method_does_not_admit() -> None:
    with pytest.raises(ValueError, match="GradDrop: level='representation'"):
        GradDrop(["x"], engine=AT_REPRESENTATION)
    with pytest.raises(ValueError, match="GradDrop: every=2"):
        GradDrop(["x"], engine=Engine(every=2))
    with pytest.raises(ValueError, match="MoCo"):
        BALANCERS["smooth"](["x"], of="moco", engine=AT_REPRESENTATION)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"every": 0}, "every=0"), ({"chunk": 0}, "chunk=0")],
)
def test_settings_that_cannot_be(settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Engine(**settings)
