"""FAMO: against autograd and torch's Adam, and the order of its calls."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from polytask.balance import FAMO, Balancer, Smooth

FAR, NEAR = {"a": 2.0, "b": 0.5}, {"a": 1.8, "b": 0.49}


def weigh(balancer: Balancer, losses: dict[str, float]) -> dict[str, float]:
    terms = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in losses.items()}
    return balancer.backward(terms, shared=[])


def numbers(losses: dict[str, float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in losses.items()}


class Definition:
    """The paper's algorithm by autograd and torch.optim.Adam, for tasks that are all there."""

    def __init__(self, minimums: list[float], rate: float, decay: float) -> None:
        self.minimums = torch.tensor(minimums, dtype=torch.float64)
        self.logits = torch.zeros(len(minimums), dtype=torch.float64, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=rate, weight_decay=decay)

    def weights(self, losses: np.ndarray) -> np.ndarray:
        terms = torch.tensor(losses, requires_grad=True)
        above = terms - self.minimums + 1e-8
        share = torch.softmax(self.logits.detach(), dim=0)
        ((share * above.log()).sum() / (share / above.detach()).sum()).backward()
        return terms.grad.numpy()

    def look(self, before: np.ndarray, after: np.ndarray) -> None:
        fall = (torch.tensor(before) - self.minimums + 1e-8).log() - (torch.tensor(after) - self.minimums + 1e-8).log()
        self.optimizer.zero_grad()
        (torch.softmax(self.logits, dim=0) @ fall).backward()
        self.optimizer.step()


@pytest.mark.parametrize(
    ("minimums", "rate", "decay"),
    [([0.0, 0.0, 0.0], 0.025, 0.001), ([-1.0, 0.05, -20.0], 0.3, 0.1), ([0.0] * 3, 1.0, 0.0)],
)
def test_it_is_the_papers_algorithm_over_many_steps(minimums: list[float], rate: float, decay: float) -> None:
    definition = Definition(minimums, rate, decay)
    balancer = FAMO(list("abc"), minimums=minimums, learning_rate=rate, decay=decay)
    random = np.random.default_rng(0)
    for _ in range(60):
        before = random.uniform(0.1, 3, 3)
        after = before * random.uniform(0.8, 1.1, 3)
        weights = weigh(balancer, dict(zip("abc", before.tolist(), strict=True)))
        np.testing.assert_allclose(list(weights.values()), definition.weights(before), rtol=1e-9)
        assert sum(weights.values()) == pytest.approx(1)
        balancer.after_step(numbers(dict(zip("abc", after.tolist(), strict=True))))
        definition.look(before, after)
        np.testing.assert_allclose(balancer.logits, definition.logits.detach(), rtol=1e-9, atol=1e-12)


def trained(factors: list[float], decay: float = 0.001) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Every step's direction and logits, on three losses whose units are these factors."""
    w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64))
    goals = torch.tensor([[0.0, 0, 1, 2], [2, 1, 0, -1], [-1, 1, 1, 0]], dtype=torch.float64)
    minimums = [-0.5 * c for c in factors]
    balancer, seen = FAMO(list("abc"), minimums=minimums, learning_rate=0.2, decay=decay), []

    def losses() -> dict[str, torch.Tensor]:
        return {n: c * (w - goal).square().mean() for n, c, goal in zip("abc", factors, goals, strict=True)}

    for _ in range(15):
        w.grad = None
        balancer.backward(losses(), shared=[w])
        direction = w.grad / w.grad.norm()
        with torch.no_grad():
            w -= 0.1 * direction
        balancer.after_step(losses())
        seen.append((direction.numpy().copy(), balancer.logits.clone()))
    return seen


def test_the_units_of_the_losses_do_not_matter() -> None:
    for (direction, logits), (other, others) in zip(trained([1, 1, 1]), trained([100.0, 0.01, 3.0]), strict=True):
        np.testing.assert_allclose(other, direction, atol=1e-5)
        torch.testing.assert_close(others, logits, rtol=1e-4, atol=1e-6)


def test_who_fell_least_gains() -> None:
    balancer = FAMO(["a", "b"], decay=0.0)
    weigh(balancer, FAR)
    balancer.after_step(numbers({"a": 0.2, "b": 0.5}))
    assert balancer.logits[0] < 0 < balancer.logits[1]


def test_after_step_left_out() -> None:
    balancer = FAMO(["a", "b"])
    weigh(balancer, FAR)
    with pytest.raises(ValueError, match=r"call balancer.after_step\(losses of the same batch\) after optimizer.step"):
        weigh(balancer, FAR)
    balancer.after_step(numbers(NEAR))
    weigh(balancer, FAR)


def test_a_step_that_was_not_taken_changes_nothing() -> None:
    balancer, other = FAMO(["a", "b"]), FAMO(["a", "b"])
    for one in (balancer, other):
        weigh(one, FAR)
        one.after_step(numbers(NEAR))
    for _ in range(3):  # gathering gradients
        weigh(balancer, NEAR)
        balancer.after_step(None)
    before = {k: v.clone() for k, v in other.state_dict().items() if k != "step"}
    for key, value in before.items():
        torch.testing.assert_close(balancer.state_dict()[key], value, rtol=0, atol=0, equal_nan=True)


def test_without_a_step_since_the_last_look_nothing_happens() -> None:
    balancer = FAMO(["a", "b"])
    balancer.after_step(numbers(NEAR))
    weigh(balancer, FAR)
    balancer.after_step(numbers(NEAR))
    logits = balancer.logits.clone()
    balancer.after_step(numbers({"a": 0.1, "b": 0.49}))
    assert torch.equal(balancer.logits, logits)


def test_a_step_that_a_scaler_skipped() -> None:
    w = nn.Parameter(torch.ones(2))
    balancer, optimizer = FAMO(["a", "b"]), torch.optim.SGD([w], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    taken = []
    for _ in range(6):
        optimizer.zero_grad()
        balancer.backward({"a": 9 * w[0] ** 2, "b": 9 * w[1] ** 2}, shared=[w], scaler=scaler)
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        taken.append(scaler.get_scale() >= scale)
        balancer.after_step({"a": 9 * w[0] ** 2, "b": 9 * w[1] ** 2} if taken[-1] else None)
    assert not all(taken)
    assert any(taken)
    assert int(balancer.adam.count[0]) == sum(taken)


def test_an_absent_task_stands_still() -> None:
    balancer = FAMO(["a", "b", "c"])
    weigh(balancer, FAR)
    balancer.after_step(numbers(NEAR))
    assert balancer.logits[2] == 0
    logits = balancer.logits.clone()
    assert weigh(balancer, {"c": 3.0, "a": 1.0})["a"] == pytest.approx(3 / (3 + math.exp(-float(logits[0]))))
    balancer.after_step(numbers({"a": 1.0, "c": 1.0}))
    assert balancer.logits[1] == logits[1]
    assert balancer.adam.count.tolist() == [2, 1, 1]


def test_the_shortcut_takes_the_next_batch_for_a_look() -> None:
    shortcut, looking = FAMO(["a", "b", "c"], next_batch=True), FAMO(["a", "b", "c"])
    assert (shortcut.reads, shortcut.looks_after) == ({"losses"}, False)
    assert (looking.reads, looking.looks_after) == ({"losses", "probe"}, True)
    weigh(shortcut, FAR)
    shortcut.after_step(numbers({"a": 7.0}))  # asked for nothing
    weigh(looking, FAR)
    looking.after_step(numbers(NEAR))
    assert weigh(shortcut, NEAR) == pytest.approx(weigh(looking, NEAR))
    torch.testing.assert_close(shortcut.logits, looking.logits)
    weigh(shortcut, {"b": 0.3, "c": 1.0})  # only b was in both batches: alone it has no slope but the decay
    assert shortcut.logits[1] == pytest.approx(float(looking.logits[1]), abs=0.03)
    torch.testing.assert_close(shortcut.logits[[0, 2]], looking.logits[[0, 2]])
    shortcut.after_step(None)
    logits = shortcut.logits.clone()
    weigh(shortcut, FAR)
    assert torch.equal(shortcut.logits, logits)


def test_a_checkpoint_between_the_step_and_the_look() -> None:
    first, second = FAMO(["a", "b"]), FAMO(["a", "b"])
    weigh(first, FAR)
    second.load_state_dict(first.state_dict())
    for balancer in (first, second):
        balancer.after_step(numbers(NEAR))
    assert weigh(first, NEAR) == weigh(second, NEAR)


def test_momentum_around_it_passes_the_look_on() -> None:
    smooth = Smooth(["a", "b"], of="famo", momentum=0.5)
    assert smooth.looks_after
    weigh(smooth, FAR)
    smooth.after_step(numbers(NEAR))
    assert smooth.of.logits.tolist() == pytest.approx([-0.025, 0.025], abs=1e-4)
    assert not Smooth(["a"], of={"famo": {"next_batch": True}}).looks_after


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda b: weigh(b, {"a": -0.3, "b": 1.0}), r"the loss of task 'a' is -0.3, below its minimum 0: .*'a': -0.6"),
        (lambda b: b.after_step(numbers({"a": 1.0, "b": -1.0})), "the loss of task 'b' is -1, below its minimum 0"),
        (lambda b: b.after_step(numbers({"a": 1.0})), "task 'b' has no loss: after_step wants those of the same batch"),
        (lambda b: b.after_step(numbers({**NEAR, "c": 1.0})), "task 'c' has a loss, but was not in the step"),
        (
            lambda b: b.after_step(numbers({"a": math.nan, "b": 1.0})),
            "task 'a': its loss is nan: lower the learning rate",
        ),
        (
            lambda b: b.after_step(numbers({"a": 1.0, "b": math.inf})),
            "task 'b': its loss is inf: lower the learning rate",
        ),
    ],
)
def test_losses_that_cannot_be(call: Callable[[FAMO], object], says: str) -> None:
    balancer = FAMO(["a", "b", "c"])
    weigh(balancer, FAR)
    if "minimum 0: " in says:
        balancer.after_step(None)
    logits = balancer.logits.clone()
    with pytest.raises(ValueError, match=says):
        call(balancer)
    assert torch.equal(balancer.logits, logits)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"decay": -1.0}, "famo: decay=-1.0"),
        ({"learning_rate": 0.0}, "famo: learning_rate=0.0"),
        ({"minimums": [0.0]}, "famo: 1 minimums for the 2 tasks"),
        ({"minimums": {"a": 0.0, "c": 0.0}}, "famo: a minimum for the unknown task 'c'"),
    ],
)
def test_settings_that_cannot_be(settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FAMO(["a", "b"], **settings)
