"""Optimisers that take each task's gradient apart: against their papers' rules, and inside a training."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from polytask.balance import Engine
from polytask.catalogue import cite, entries
from polytask.config import build
from polytask.errors import ConfigError
from polytask.experiment import Experiment
from polytask.train import OPTIMIZERS, AdaTask, MConFIG, TaskOptimizer, Training, task_losses, training_step
from polytask.train.optimizers import make_optimizer

TASKS = ("a", "b", "c")
ours = pytest.mark.parametrize("name", ["adatask", "m_config"])


class Net(nn.Module):
    """A trunk, a middle part that a and b share, a head a task."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk, self.middle, self.unused = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(2, 2)
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.heads = nn.ModuleDict({name: nn.Linear(5, 1) for name in TASKS})
        self.double()

    def shared(self) -> list[nn.Parameter]:
        parts = (self.trunk, self.middle, self.unused, self.frozen)
        return [p for part in parts for p in part.parameters()]

    def losses(self, k: int, names="abc") -> dict[str, torch.Tensor]:
        inputs = torch.linspace(-1, 1, 32, dtype=torch.float64).reshape(8, 4) * (1 + k % 3)
        first = self.frozen(self.trunk(inputs).tanh())
        features = {"a": self.middle(first), "b": self.middle(first).tanh(), "c": first}
        units = {"a": 1.0, "b": 100.0, "c": 0.01}
        return {n: units[n] * (self.heads[n](features[n]) - k % 2).square().mean() for n in names}


#: Who is there in each step; c comes late.
PRESENT = ["ab", "ab", "a", "abc", "c", "abc", "bc", "abc", "abc", "ab"]


def make(name: str, net: Net, **more) -> TaskOptimizer:
    return OPTIMIZERS[name](net.parameters(), lr=0.01, shared=net.shared(), tasks=TASKS, **more)


def train(net: Net, optimizer: TaskOptimizer, steps=PRESENT, first: int = 0) -> None:
    for k, names in enumerate(steps, first):
        optimizer.zero_grad()
        optimizer.backward(net.losses(k, names))
        optimizer.step()


def task_gradients(net: Net, k: int, names: str) -> dict[str, dict[str, np.ndarray]]:
    """task -> parameter -> gradient, by one backward pass a task."""
    found = {}
    for name in names:
        net.zero_grad()
        net.losses(k, names)[name].backward()
        found[name] = {key: p.grad.numpy().copy() for key, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    return found


class Moments:
    """Adam, AdaGrad or RMSProp of one gradient, as in their papers."""

    def __init__(self, rule: str = "adam") -> None:
        self.rule, self.count, self.mean, self.square = rule, 0, 0.0, 0.0

    def step(self, gradient: np.ndarray) -> np.ndarray:
        self.count += 1
        if self.rule == "adagrad":
            self.square = self.square + gradient**2
            return gradient / (np.sqrt(self.square) + 1e-8)
        self.square = 0.999 * self.square + 0.001 * gradient**2
        if self.rule == "rmsprop":
            return gradient / (np.sqrt(self.square) + 1e-8)
        self.mean = 0.9 * self.mean + 0.1 * gradient
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.999**self.count)
        return mean / (np.sqrt(square) + 1e-8)


def move(net: Net, key: str, by: np.ndarray) -> None:
    with torch.no_grad():
        net.get_parameter(key).sub_(0.01 * torch.from_numpy(by))


# Against the papers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["adam", "adagrad", "rmsprop"])
def test_adatask_is_its_rule_for_every_task_and_parameter(rule: str) -> None:
    net, reference = Net(), Net()
    train(net, make("adatask", net, rule=rule))
    moments: dict[tuple[str, str], Moments] = {}
    for k, names in enumerate(PRESENT):
        gradients = task_gradients(reference, k, names)
        reached = {key for found in gradients.values() for key in found}
        for key in sorted(reached):
            # Where one task reaches a shared parameter, the others' gradients there are zero.
            zero = np.zeros(reference.get_parameter(key).shape)
            tasks = [n for n in names if not key.startswith("heads") or key in gradients[n]]
            each = [moments.setdefault((n, key), Moments(rule)).step(gradients[n].get(key, zero)) for n in tasks]
            move(reference, key, sum(each))
    for (key, p), wanted in zip(net.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p, wanted, rtol=1e-10, atol=1e-12, msg=key)
    assert torch.equal(net.unused.weight, Net().unused.weight)
    assert torch.equal(net.frozen.weight, Net().frozen.weight)


def test_m_config_is_adam_around_config_one_task_a_step() -> None:
    net, reference = Net(), Net()
    train(net, make("m_config", net))
    shared = [k for k, p in reference.named_parameters() if k.startswith(("trunk", "middle"))]
    shapes = [reference.get_parameter(k).shape for k in shared]
    mean, count = {}, dict.fromkeys(TASKS, 0)
    heads: dict[str, Moments] = {}
    turn, combined, last, square = 0, 0, 0.0, 0.0
    for k, names in enumerate(PRESENT):
        gradients = task_gradients(reference, k, names)
        chosen = next(TASKS[(turn + j) % 3] for j in range(3) if TASKS[(turn + j) % 3] in names)
        turn = TASKS.index(chosen) + 1
        row = np.concatenate(
            [gradients[chosen].get(k, np.zeros(s)).ravel() for k, s in zip(shared, shapes, strict=True)]
        )
        mean[chosen] = 0.9 * mean.get(chosen, 0.0) + 0.1 * row
        count[chosen] += 1
        if all(count.values()):
            combined += 1
            rows = np.stack([mean[n] / (1 - 0.9 ** count[n]) for n in TASKS])
            unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            direction = np.linalg.pinv(unit) @ np.ones(3)
            direction /= np.linalg.norm(direction)
            update = (rows @ direction).sum() * direction
            moment = update * (1 - 0.9**combined)
            fake = (moment - 0.9 * last) / (1 - 0.9)
            last, square = moment, 0.999 * square + 0.001 * fake**2
            update = update / (np.sqrt(square / (1 - 0.999**combined)) + 1e-8)
        else:
            update = np.zeros_like(row)
        parts = np.split(update, np.cumsum([s.numel() for s in shapes])[:-1])
        for key, part, shape in zip(shared, parts, shapes, strict=True):
            move(reference, key, part.reshape(shape))
        for n in names:
            for key in (f"heads.{n}.weight", f"heads.{n}.bias"):
                move(reference, key, heads.setdefault(key, Moments()).step(gradients[n][key]))
    assert combined >= 4
    for (key, p), wanted in zip(net.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p, wanted, rtol=1e-8, atol=1e-11, msg=key)


@pytest.mark.parametrize("name", ["adatask", "m_config"])
def test_one_task_alone_is_adam(name: str) -> None:
    net, plain = Net(), Net()
    optimizer = OPTIMIZERS[name](net.parameters(), lr=0.01, shared=net.shared(), tasks=["a"])
    adam = torch.optim.Adam(plain.parameters(), lr=0.01)
    for k in range(6):
        optimizer.zero_grad()
        assert optimizer.backward(net.losses(k, "a")) == {"a": 1.0}
        optimizer.step()
        adam.zero_grad()
        plain.losses(k, "a")["a"].backward()
        adam.step()
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


def test_every_task_moves_a_parameter_by_the_same_whatever_its_unit() -> None:
    w = nn.Parameter(torch.zeros(3))
    optimizer = AdaTask([w], lr=0.1, shared=[w], tasks=TASKS)
    optimizer.backward({"a": 1e-3 * w[0], "b": 1e3 * w[1], "c": 1e3 * w[0] - w[2]})
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.tensor([-0.2, -0.1, 0.1]), rtol=1e-4, atol=0)


def test_m_config_uses_the_weights_of_config() -> None:
    w = nn.Parameter(torch.zeros(2))
    optimizer = MConFIG([w], lr=0.1, shared=[w], tasks=["a", "b"])
    rows = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([-1.0, 2.0])}
    for _ in range(2):
        assert not w.any()
        optimizer.zero_grad()
        optimizer.backward({n: row @ w for n, row in rows.items()})
        optimizer.step()
    assert torch.equal(torch.sign(w.detach()), torch.tensor([-1.0, -1.0])), "u/|u| in the first step with both"


# As an optimiser -----------------------------------------------------------------------------------------------------


@ours
def test_an_absent_tasks_moments_stand_still(name: str) -> None:
    net = Net()
    optimizer = make(name, net)
    train(net, optimizer, ["abc"] * 4)
    before = copy.deepcopy(optimizer.state_dict()["state"])
    heads = {k: v.clone() for k, v in net.heads["b"].state_dict().items()}
    train(net, optimizer, ["ac"] * 3)
    after, rows = optimizer.state_dict()["state"], 0
    for key, state in before.items():
        for what, value in state.items():
            if what in ("mean", "square", "step") and value.shape[:1] == (3,):
                rows += 1
                assert torch.equal(value[1], after[key][what][1])
    assert rows >= 4
    assert all(torch.equal(v, net.heads["b"].state_dict()[k]) for k, v in heads.items())


@ours
def test_its_state_goes_into_a_fresh_one_bit_for_bit(name: str) -> None:
    net = Net()
    optimizer = make(name, net)
    train(net, optimizer, PRESENT)
    other = copy.deepcopy(net)
    fresh = make(name, other)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(net, optimizer, PRESENT, first=3)
    train(other, fresh, PRESENT, first=3)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


@ours
def test_several_backward_add_up_to_one_step(name: str) -> None:
    whole, parts = Net(), Net()
    one, other = make(name, whole), make(name, parts)
    for k in range(4):
        one.zero_grad()
        one.backward({n: 2 * loss for n, loss in whole.losses(k).items()})
        one.step()
        other.zero_grad()
        other.backward(parts.losses(k))
        other.backward(parts.losses(k))
        other.step()
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(p, q)


@ours
def test_a_penalty_is_added_as_it_is_and_decay_is_apart(name: str) -> None:
    moved, start = [], None
    for decay, scale in ((0.0, None), (0.0, 3.0), (0.5, None)):
        net = Net()
        optimizer = make(name, net)
        train(net, optimizer, ["abc"] * 4)
        optimizer.param_groups[0]["weight_decay"] = decay
        start = net.trunk.weight.detach().clone()
        optimizer.zero_grad()
        optimizer.backward(net.losses(0), penalty=scale and scale * net.trunk.weight.square().sum())
        optimizer.step()
        moved.append(net.trunk.weight.detach() - start)
    torch.testing.assert_close(moved[1], moved[0] - 0.01 * 6 * start)
    torch.testing.assert_close(moved[2], moved[0] - 0.01 * 0.5 * start)


@ours
def test_a_learning_rate_over_time_and_zero_steps(name: str) -> None:
    net = Net()
    optimizer = make(name, net)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 0.0)
    before = [p.detach().clone() for p in net.parameters()]
    train(net, optimizer, ["abc"] * 4)
    schedule.step()
    assert all(torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True))
    optimizer.zero_grad()
    optimizer.step()


@ours
def test_what_it_cannot_take(name: str) -> None:
    net = Net()
    optimizer = make(name, net)
    with pytest.raises(ValueError, match=r"unknown task 'd' in losses; there are 'a', 'b', 'c'|unknown task 'd'"):
        optimizer.backward({"d": net.losses(0)["a"]})
    with pytest.raises(ValueError, match="task 'a': its loss is nan"):
        optimizer.backward({"a": net.losses(0)["a"] * float("nan")})
    with pytest.raises(ValueError, match="task 'a': its gradient on the shared parameters is not finite"):
        optimizer.backward({"a": (net.trunk.weight * 0).sum().sqrt()})
    with pytest.raises(ValueError, match="no loss reaches any of the shared parameters"):
        optimizer.backward({"a": net.heads["a"].weight.sum()})
    assert optimizer.backward({"a": net.heads["a"].weight.sum()}, allow_unreached=True) == {"a": 1.0}
    optimizer.step()
    with pytest.raises(ValueError, match=r"it takes no closure: call backward\(losses\), then step\(\)"):
        optimizer.step(lambda: 0.0)
    net.losses(0)["a"].backward()
    with pytest.raises(ValueError, match=r"call its backward\(losses\) before step\(\)"):
        optimizer.step()


@ours
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lr": 0.0}, "lr=0.0, a number above 0"),
        ({"betas": (0.9, 1.0)}, "two numbers from 0 to below 1"),
        ({"eps": -1.0}, "at least 0 is wanted of both"),
        ({"weight_decay": -1.0}, "at least 0 is wanted of both"),
        ({"tasks": []}, r"tasks=\[\]: name each task once"),
        ({"tasks": ["a", "a"]}, "name each task once"),
        ({"engine": Engine(every=2)}, "it takes the exact gradients of every step"),
        ({"engine": Engine(level="representation")}, "it takes the exact gradients of every step"),
        ({"params": [{"params": [nn.Parameter(torch.ones(1))]}]}, "params is a list of groups"),
    ],
)
def test_settings_that_cannot_be(name: str, given: dict, says: str) -> None:
    w = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match=says):
        OPTIMIZERS[name](**{"params": [w], "shared": [w], "tasks": ["a"], **given})


def test_an_unknown_rule() -> None:
    w = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="AdaTask: rule='sgd', 'adam', 'adagrad' or 'rmsprop' is wanted"):
        AdaTask([w], shared=[w], tasks=["a"], rule="sgd")


# In a training -------------------------------------------------------------------------------------------------------


@ours
@pytest.mark.parametrize("agenda", ["joint", "alternating"])
def test_it_trains_in_the_balancers_place(training, name: str, agenda: str) -> None:
    session = training.session(optimizer=name, learning_rate=0.02, agenda=agenda)
    asked = []
    session.balancer.register_forward_pre_hook(lambda *_: asked.append(1))
    seen = []
    for epoch in range(8):
        for step in session.agenda.steps(epoch):
            losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast)
            seen.append(sum(loss.item() for loss in losses.values()))
            training_step(losses, session.shared, session.balancer, session.optimizer, epoch=epoch, scores={})
    assert not asked
    assert np.mean(seen[-4:]) < 0.6 * np.mean(seen[:4])


def test_what_it_is_shown_as() -> None:
    found = {entry.name: entry for entry in entries("optimizers")}
    assert found["adatask"].reads == found["m_config"].reads == ("jacobian",)
    assert (found["adatask"].paper, found["m_config"].paper) == ("yang2023", "liu2025")
    assert found["adatask"].settings == ("rule", "betas", "eps", "weight_decay")
    assert found["adamw"].reads == ()
    assert "AdaTask" in cite("adatask")


@ours
def test_a_balancer_beside_it_is_refused(training, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} stands in the place of a balancer, so PCGrad would have no effect"):
        training.session(optimizer=name, balancer="pcgrad")
    values = {
        "tasks": {"y": {"kind": "regression"}},
        "balancer": "cagrad",
        "train": {"optimizer": {name: {"eps": 0.1}}},
    }
    with pytest.raises(ConfigError, match=f"{name} stands in the place of a balancer, so CAGrad would have no effect"):
        Experiment.read(values)
    assert Experiment.read(values | {"balancer": "sum"}).train.optimizer == {name: {"eps": 0.1}}


@ours
def test_cutting_a_sum_of_gradients_that_is_not_there_is_refused(name: str) -> None:
    w = nn.Parameter(torch.ones(1))
    for clip in ({"clip_norm": 1.0}, {"clip_value": 1.0}):
        with pytest.raises(
            ConfigError, match=f"{name} sees no sum of gradients that clip_norm or clip_value could cut"
        ):
            make_optimizer([w], build(Training, {"optimizer": name, **clip}), shared=[w], tasks=["a"])
    settings = build(Training, {"optimizer": {name: {"shared": []}}})
    with pytest.raises(ConfigError, match=f"train.optimizer.{name}: unknown setting 'shared'"):
        make_optimizer([w], settings, shared=[w], tasks=["a"])
    made = make_optimizer([w], build(Training, {"optimizer": name, "weight_decay": 0.1}), shared=[w], tasks=["a"])
    assert made.param_groups[0]["weight_decay"] == made.param_groups[1]["weight_decay"] == 0.1
