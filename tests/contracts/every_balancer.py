"""Every balancer of the catalogue, and the losses that the contract tests put to it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, Probe

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
