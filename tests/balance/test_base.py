"""The door for one's own loop: sums bit for bit, accumulation, scaling, penalties, bad input."""

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, CAGrad, Engine, PCGrad, Probe, Signals, Sum
from polytask.config import ConfigError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(8, 1) for name in ("x", "y", "z")})

    def losses(self, names: str = "xyz") -> dict[str, Tensor]:
        features = self.trunk(torch.linspace(-2, 2, 60).reshape(10, 6).sin())
        targets = {"x": 1.0, "y": -1.0, "z": 3.0}
        return {n: (self.heads[n](features) - targets[n]).square().mean() for n in names}

    def gradients(self) -> list[Tensor | None]:
        found = [None if p.grad is None else p.grad.clone() for p in self.parameters()]
        self.zero_grad()
        return found


def same(first: list[Tensor | None], second: list[Tensor | None]) -> bool:
    return all(a is b is None or torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("names", ["xyz", "zxy", "y"])
def test_sum_is_plain_pytorch_bit_for_bit(names: str) -> None:
    net = Net()
    sum(net.losses(names).values()).backward()
    expected = net.gradients()
    assert Sum(["x", "y", "z"]).backward(net.losses(names), shared=net.trunk.parameters()) == dict.fromkeys(names, 1.0)
    assert same(net.gradients(), expected)


def test_one_task_under_pcgrad_is_plain_pytorch_bit_for_bit() -> None:
    net = Net()
    net.losses("y")["y"].backward()
    expected = net.gradients()
    PCGrad(["x", "y", "z"]).backward(net.losses("y"), shared=net.trunk.parameters())
    assert same(net.gradients(), expected)


@pytest.mark.parametrize(("rescale", "expected"), [(0, 1.4), (1, 1.4 / 1.16), (2, 1.0)])
def test_one_task_under_cagrad(rescale: int, expected: float) -> None:
    net = Net()
    weights = CAGrad(["x"], rescale=rescale).backward(net.losses("x"), shared=net.trunk.parameters())
    assert weights["x"] == pytest.approx(expected)


def settings(name: str) -> dict:
    needed = {"fixed": {"weights": [1.0, 2.0, 3.0]}, "smooth": {"of": "cagrad"}}
    return {"main": "x"} if name in ("cosine_gate", "metabalance") else needed.get(name, {})


def probe(balancer: Balancer, net: Net) -> Probe | None:
    return Probe(net, losses=net.losses, validation=net.losses, learning_rate=0.1) if balancer.looks_ahead else None


def or_zero(gradient: Tensor | None, like: Tensor | None) -> Tensor:
    """A loss of weight 0 leaves no gradient where it alone reaches."""
    return torch.zeros_like(like) if gradient is None else gradient


@pytest.mark.parametrize("name", BALANCERS)
@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_scaler_changes_the_gradients_size_and_not_the_weights(name: str, is_enabled: bool) -> None:
    net = Net()
    first, second = (BALANCERS[name](["x", "y", "z"], **settings(name)) for _ in range(2))
    more = {"shared": list(net.trunk.parameters()), "probe": probe(first, net)}
    weights = first.backward(net.losses(), penalty=net.trunk[0].weight.square().sum(), **more)
    expected = net.gradients()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=is_enabled)
    scaled = second.backward(net.losses(), scaler=scaler, penalty=net.trunk[0].weight.square().sum(), **more)
    assert scaled == pytest.approx(weights, rel=1e-6)
    for got, plain in zip(net.gradients(), expected, strict=True):
        assert (got is None) == (plain is None)
        if got is not None:
            torch.testing.assert_close(got, plain * (1024 if is_enabled else 1))


@pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if "gramian" in cls.reads])
def test_an_overflow_under_a_scaler_is_left_to_the_scaler(name: str) -> None:
    net, balancer = Net(), BALANCERS[name](["x", "y", "z"], **settings(name))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = [p.clone() for p in net.parameters()]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    losses = {k: v * 100 for k, v in net.losses().items()}
    assert set(balancer.backward(losses, shared=net.trunk.parameters(), scaler=scaler).values()) == {1.0}
    assert int(balancer.step) == 0
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() < 2.0**127
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("name", BALANCERS)
def test_a_penalty_is_added_as_it_is(name: str) -> None:
    net = Net()
    shared = list(net.trunk.parameters())
    first, second = (BALANCERS[name](["x", "y", "z"], **settings(name)) for _ in range(2))
    first.backward(net.losses(), shared=shared, probe=probe(first, net))
    without = net.gradients()
    extra = nn.Parameter(torch.ones(2))
    losses = net.losses()
    # It shares the losses' graph, and reaches what no loss does.
    penalty = losses["x"] * 0.5 + extra.square().sum()
    second.backward(losses, shared=shared, penalty=penalty, probe=probe(second, net))
    with_penalty = net.gradients()
    assert extra.grad.tolist() == [2, 2]
    (net.losses()["x"] * 0.5).backward()
    for got, before, added in zip(with_penalty, without, net.gradients(), strict=True):
        if added is None:
            torch.testing.assert_close(got, before)
        else:
            torch.testing.assert_close(got, or_zero(before, added) + added)


def test_a_penalty_without_a_graph_adds_nothing() -> None:
    net = Net()
    shared = list(net.trunk.parameters())
    for name in ("sum", "pcgrad"):
        found = []
        for penalty in (None, torch.tensor(3.0)):
            BALANCERS[name](["x", "y", "z"]).backward(net.losses(), shared=shared, penalty=penalty)
            found.append(net.gradients())
        assert same(*found)


@pytest.mark.parametrize("penalty", [torch.tensor([1.0]), torch.tensor(float("inf"))])
def test_a_penalty_has_to_be_a_finite_scalar(penalty: Tensor) -> None:
    net = Net()
    with pytest.raises(ValueError, match=r"penalty is .* a finite scalar is wanted"):
        Sum(["x"]).backward(net.losses("x"), shared=net.trunk.parameters(), penalty=penalty)


def test_losses_that_nothing_reads_are_not_fetched_from_the_device() -> None:
    w = nn.Parameter(torch.ones(2, device="meta"))  # a device whose numbers cannot be fetched
    unread = [name for name in BALANCERS if not BALANCERS[name].reads]
    assert {"sum", "fixed", "rlw", "dtp"} <= set(unread)
    for name in unread:
        balancer = BALANCERS[name](["x", "y"], **({"weights": [0.5, 2.0]} if name == "fixed" else {}))
        balancer.backward({"x": w.sum(), "y": w.square().sum()}, shared=[w])
        assert w.grad.shape == (2,)
    w = nn.Parameter(torch.ones(2))
    nan = float("nan")
    for name in set(BALANCERS) - set(unread):
        with pytest.raises(ValueError, match="task 'y': its loss is nan"):
            BALANCERS[name](["x", "y"], **settings(name)).backward({"x": w.sum(), "y": w.sum() * nan}, shared=[w])


def test_a_weight_of_zero_leaves_no_gradient_at_all() -> None:
    net = Net()
    fixed = BALANCERS["fixed"](["x", "y", "z"], weights=[1.0, 0.0, 2.0])
    fixed.backward(net.losses(), shared=net.trunk.parameters())
    assert all(p.grad is None for p in net.heads["y"].parameters())
    found = net.gradients()
    losses = net.losses()
    (losses["x"] + 2 * losses["z"]).backward()
    assert same(found, net.gradients())
    assert fixed.backward(net.losses("y"), shared=net.trunk.parameters()) == {"y": 0.0}
    assert all(p.grad is None for p in net.parameters())
    penalty = net.trunk[0].weight.square().sum()
    fixed.backward(net.losses("y"), shared=net.trunk.parameters(), penalty=penalty)
    torch.testing.assert_close(net.trunk[0].weight.grad, 2 * net.trunk[0].weight)


@pytest.mark.parametrize("name", BALANCERS)
def test_losses_may_reach_no_shared_parameter_where_that_is_allowed(name: str) -> None:
    net, unreached = Net(), nn.Parameter(torch.ones(3))
    balancer = BALANCERS[name](["x", "y", "z"], **settings(name))
    if balancer.scales == "gradients":
        with pytest.raises(ValueError, match="no loss reaches any of the shared parameters"):
            balancer.backward(net.losses(), shared=[unreached])
    look = probe(balancer, net)
    weights = balancer.backward(net.losses(), shared=[unreached], allow_unreached=True, probe=look)
    scales_heads = balancer.scales == "losses" or name == "db_mtl"  # whose heads train on logarithms
    found, factor = net.gradients(), weights if scales_heads else dict.fromkeys("xyz", 1.0)
    sum(factor[k] * loss for k, loss in net.losses().items()).backward()
    for got, wanted in zip(found, net.gradients(), strict=True):
        torch.testing.assert_close(or_zero(got, wanted), wanted)
    assert unreached.grad is None


def test_a_balancer_without_forward_cannot_be_built() -> None:
    class Half(Balancer):
        scales = "losses"

    with pytest.raises(TypeError, match=r"abstract.*forward"):
        Half(["x"])


class NormBalanced(Balancer):
    """An own method in a few lines: reads G, scales losses."""

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[str] = "losses"

    def forward(self, signals: Signals) -> Tensor:
        weights = 1 / signals.gramian.diagonal().sqrt()
        return weights / weights.sum()


def test_an_own_balancer_may_read_the_gramian_and_scale_losses() -> None:
    net, alone = Net(), {}
    for task in "xyz":
        net.losses(task)[task].backward()
        alone[task] = net.gradients()
    weights = NormBalanced(["x", "y", "z"]).backward(net.losses(), shared=net.trunk.parameters())
    norms = [torch.cat([g.flatten() for g in alone[t][:4]]).norm().item() for t in "xyz"]
    inverse = [1 / n for n in norms]
    assert list(weights.values()) == pytest.approx([i / sum(inverse) for i in inverse], rel=1e-5)
    for k, got in enumerate(net.gradients()):
        terms = [weights[t] * alone[t][k] for t in "xyz" if alone[t][k] is not None]
        torch.testing.assert_close(got, sum(terms))


class Nosy(Sum):
    def forward(self, signals: Signals) -> Tensor:
        return signals.losses


class Careless(Sum):
    def forward(self, signals: Signals) -> Tensor:
        return torch.full((len(signals.names),), torch.nan, dtype=torch.float64)


def test_what_is_not_declared_cannot_be_read() -> None:
    net = Net()
    with pytest.raises(AttributeError, match="reads 'losses' but declares nothing"):
        Nosy(["x"]).backward(net.losses("x"), shared=[])


def test_weights_that_are_not_finite_are_refused() -> None:
    net = Net()
    with pytest.raises(ValueError, match="Careless gave the weights"):
        Careless(["x"]).backward(net.losses("x"), shared=[])


def test_signals_of_a_step() -> None:
    seen = []

    class Curious(Sum):
        def forward(self, signals: Signals) -> Tensor:
            seen.append((signals.names, signals.index.tolist(), signals.step, signals.epoch, signals.scores.tolist()))
            return super().forward(signals)

    net, balancer = Net(), Curious(["x", "y", "z"])
    balancer.backward(net.losses("zx"), shared=[], epoch=4, scores={"x": 0.5, "z": 0.25})
    balancer.backward(net.losses("y"), shared=[])
    assert seen[0] == (("z", "x"), [2, 0], 0, 4, [0.25, 0.5])
    assert seen[1][:4] == (("y",), [1], 1, None)
    assert seen[1][4][0] != seen[1][4][0]


@pytest.mark.parametrize("name", ["sum", "pcgrad"])
def test_an_unknown_task_is_answered_with_its_nearest_name(name: str) -> None:
    w = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="unknown task 'incom' in losses; did you mean 'income'"):
        BALANCERS[name](["income", "age"]).backward({"incom": w.sum()}, shared=[w])


def test_a_used_up_iterator_is_no_silent_sum() -> None:
    net, balancer = Net(), PCGrad(["x", "y"])
    shared = net.trunk.parameters()
    balancer.backward(net.losses("xy"), shared=shared)
    with pytest.raises(ValueError, match=r"nothing \(left\) in it: keep a list"):
        balancer.backward(net.losses("xy"), shared=shared)
    balancer.backward(net.losses("xy"), shared=[])
    balancer.backward(net.losses("x"), shared=iter([]))


def test_a_gradient_that_is_not_finite_names_its_task() -> None:
    w = nn.Parameter(torch.zeros(2))
    losses = {"fine": w.sum(), "root": (w.square().sum()).sqrt()}  # the root's slope at 0 is 0/0
    with pytest.raises(ValueError, match="task 'root': its gradient on the shared parameters is not finite"):
        PCGrad(["fine", "root"]).backward(losses, shared=[w])


@pytest.mark.parametrize(
    ("tasks", "says"),
    [([], "there are none"), (["a", "b", "a"], "'a' is there twice"), ("ab", "a list of names is wanted")],
)
def test_tasks_are_named_once(tasks: list[str] | str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sum(tasks)


def test_a_choice_is_checked_when_it_is_made() -> None:
    choice = CAGrad.with_(c=0.2)
    balancer = choice(["x", "y"], engine=Engine(chunk=7))
    assert isinstance(balancer, CAGrad)
    assert (balancer.c, balancer.engine.chunk) == (0.2, 7)
    with pytest.raises(ConfigError, match="rescal"):
        CAGrad.with_(rescal=1)
    with pytest.raises(ConfigError):
        CAGrad.with_(rescale=5)


def test_a_model_trains_in_the_documented_loop() -> None:
    torch.manual_seed(0)
    net, balancer = Net(), PCGrad(["x", "y", "z"])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    first = {k: v.item() for k, v in net.losses().items()}
    for _ in range(100):
        optimizer.zero_grad()
        balancer.backward(net.losses(), shared=net.trunk.parameters())
        optimizer.step()
    assert all(v.item() < 0.1 * first[k] for k, v in net.losses().items())


def test_a_balancer_brings_nothing_else_of_polytask() -> None:
    code = (
        "import sys; from polytask.balance import PCGrad; "
        "print(*sorted({m.split('.')[1] for m in sys.modules if m.startswith('polytask.')}), "
        "*sorted({'pandas', 'sklearn', 'torchmetrics', 'pyarrow', 'typer', 'rich'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    own = {"errors", "wording", "conversion", "config", "papers", "gradients", "balance", "feature", "random_state"}
    assert set(shown) <= own
