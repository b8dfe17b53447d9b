"""A look from elsewhere: right, and without a trace."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from polytask.gradients import Probe, length


class Counting(nn.Module):
    """Puts a new tensor in its buffer's place at every forward pass, and reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + x.detach().mean(dim=0)
        return x + 0.1 * self.seen


class Net(nn.Module):
    """Dropout, batch norm, a buffer that is replaced, a frozen layer, a tied weight, a sparse embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4, sparse=True)
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, 3))
        self.counting, self.frozen = Counting(), nn.Linear(3, 3)
        self.frozen.requires_grad_(False)
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 1)})
        self.again = self.heads["a"].weight
        self.index = torch.arange(15) % 5

    def losses(self) -> dict[str, Tensor]:
        features = self.frozen(self.counting(self.trunk(self.table(self.index))))
        return {name: (head(features) - 1).square().mean() for name, head in self.heads.items()}


def marks(net: nn.Module) -> dict[str, Tensor]:
    """All that a look might move."""
    found = {name: value.clone() for name, value in net.state_dict().items()}
    found |= {f"{n}.grad": p.grad.to_dense().clone() for n, p in net.named_parameters() if p.grad is not None}
    return found | {"random": torch.get_rng_state()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def looks(net: Net, probe: Probe) -> Iterator[object]:
    """Every kind of look, one after another."""
    yield probe.losses()
    direction = probe.gradient({"a": 1.0, "b": -2.0})
    yield direction
    with probe.moved(direction, 0.3):
        yield probe.losses()
        ahead = probe.validation_gradient(["b"])
        yield ahead
        with probe.moved(ahead, -2.0):
            yield probe.gradient({"b": 1.0})
        net.trunk[0].weight.data.zero_()  # even what somebody else does to the parameters meanwhile


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_look_leaves_no_trace(mode: str) -> None:
    net = Net().train(mode == "train")
    sum(net.losses().values()).backward()
    before = marks(net)
    buffers = dict(net.named_buffers())
    probe = Probe(net, losses=net.losses, validation=net.losses, learning_rate=0.1)
    seen = list(looks(net, probe))
    assert len(seen) == 5
    assert_same(marks(net), before)
    assert all(b is buffers[name] for name, b in net.named_buffers())


def test_an_error_within_a_look_leaves_no_trace() -> None:
    net = Net()
    before = marks(net)

    def broken() -> dict[str, Tensor]:
        net.losses()
        raise RuntimeError("the loader's")

    probe = Probe(net, losses=net.losses, validation=broken)
    direction = probe.gradient({"a": 1.0})
    with pytest.raises(RuntimeError, match="the loader's"), probe.moved(direction, 1.0):
        probe.validation_gradient(["a"])
    assert_same(marks(net), before)


def test_a_graph_that_waits_gives_the_gradients_it_would_have_given() -> None:
    net = Net()
    other = copy.deepcopy(net)
    state = torch.get_rng_state()
    losses = net.losses()
    list(looks(net, Probe(net, losses=net.losses, validation=net.losses)))
    sum(losses.values()).backward()
    torch.set_rng_state(state)
    sum(other.losses().values()).backward()
    assert_same(marks(net), marks(other))


def test_a_look_draws_the_masks_of_the_forward_pass_that_follows() -> None:
    net = Net()
    probe = Probe(net, losses=net.losses)
    first = probe.losses()
    torch.rand(7)
    state, buffers = torch.get_rng_state(), copy.deepcopy(net.counting.seen)
    again = probe.losses()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(loss.requires_grad for loss in first.values())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(net.counting.seen, buffers)


def test_the_forward_pass_itself_has_those_masks() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 1))
    probe = Probe(net, losses=lambda: {"a": net(torch.ones(1, 50)).sum()})
    passed = net(torch.ones(1, 50)).sum()
    torch.rand(3)
    assert torch.equal(probe.losses()["a"], passed)
    with probe.moved([torch.zeros(1, 50), torch.ones(1)], 2.0):
        assert float(probe.losses()["a"] - passed.detach()) == pytest.approx(2.0, abs=1e-5)


def test_gradients_are_those_of_the_weighted_sum() -> None:
    net = Net().eval()
    probe = Probe(net, losses=net.losses, validation=net.losses)
    found = probe.gradient({"a": 2.0, "b": 0.5})
    assert len(found) == len(probe.parameters) == len([p for p in net.parameters() if p.requires_grad])
    losses = net.losses()
    (2.0 * losses["a"] + 0.5 * losses["b"]).backward()
    for p, piece in zip(probe.parameters, found, strict=True):
        torch.testing.assert_close(piece, p.grad.to_dense() if p.grad.is_sparse else p.grad)
    names = {id(p): n for n, p in net.named_parameters()}
    pieces = dict(zip([names[id(p)] for p in probe.parameters], probe.validation_gradient({"b"}), strict=True))
    assert pieces["heads.a.bias"] is None
    assert pieces["heads.b.weight"].any()
    assert probe.validation_gradient(["c"]) is None


def test_half_precision_copies_of_parameters_are_made_anew() -> None:
    """Autocast keeps one a parameter until its outermost context ends, whatever became of the parameter."""
    net = nn.Linear(3, 1)
    x = torch.ones(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        probe = Probe(net, losses=lambda: {"a": net(x).float().mean()})
        before = net(x).float().mean()
        with probe.moved([torch.ones(1, 3), None], 8.0):
            ahead = probe.losses()["a"]
        assert float(ahead - before.detach()) == pytest.approx(24.0, rel=0.02)
        assert torch.equal(net(x).float().mean(), before)


def test_a_tied_weight_moves_once() -> None:
    net = Net().eval()
    net.other = net.heads  # all of it twice
    probe = Probe([net, net.heads], losses=net.losses)
    assert len({id(p) for p in probe.parameters}) == len(probe.parameters)
    before = net.again.clone()
    with probe.moved([torch.ones_like(p) for p in probe.parameters], 1.0):
        torch.testing.assert_close(net.again, before + 1)
    assert torch.equal(net.again, before)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_lengths_neither_overflow_nor_vanish(scale: float) -> None:
    assert length([torch.tensor([3.0]) * scale, None, torch.tensor([[4.0]]) * scale]) == pytest.approx(5 * scale)
    assert length([None]) == 0


def test_what_a_probe_cannot_be_made_of() -> None:
    net = nn.Linear(2, 1)
    losses = {"a": net(torch.ones(1, 2)).sum()}

    def make(modules=net, given=lambda: losses, **more):
        return Probe(modules, losses=given, **more)

    with pytest.raises(ValueError, match=r"modules holds Parameter, Parameter; .* wanted: \[trunk, \*heads\]"):
        make(net.parameters())
    with pytest.raises(ValueError, match="modules holds nothing"):
        make([])
    with pytest.raises(ValueError, match=r"learning_rate=-1.0, the optimiser's is wanted"):
        make(learning_rate=-1.0)
    with pytest.raises(ValueError, match="a look ahead needs learning_rate"):
        make().learning_rate  # noqa: B018
    with pytest.raises(ValueError, match="needs the losses of a validation batch"):
        make().validation_gradient(["a"])
    with pytest.raises(ValueError, match=r"losses\(\) gave \['a'\] and left out task 'b'"):
        make().gradient({"a": 1.0, "b": 1.0})
    with pytest.raises(ValueError, match="task 'a': its loss has no graph"):
        make(given=lambda: {"a": losses["a"].detach()}).gradient({"a": 1.0})
    with pytest.raises(ValueError, match="the losses reach no trainable parameter of its modules"):
        make(nn.Linear(1, 1)).gradient({"a": 1.0})
    with pytest.raises(ValueError, match="the losses reach no trainable parameter of its modules"):
        make(nn.ReLU()).gradient({"a": 1.0})
