"""What the benchmarks of a training step run: models with batches of their own, each trained in its own way.

All stands of one setup begin with the same weights and see the same batches, in turn. The learning rate is so small
that the losses stay what they were: every method solves about the same problem in its last step as in its first.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from polytask.balance import BALANCERS, Balancer
from polytask.gradients import Engine, Probe

LEARNING_RATE = 1e-5
NUM_BATCHES = 8
#: Settings without which a balancer cannot be made, from the tasks.
NEEDED: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "fixed": lambda tasks: {"weights": [1.0] * len(tasks)},
    "achievement": lambda tasks: {"targets": [0.9] * len(tasks)},
    "cosine_gate": lambda tasks: {"main": tasks[0]},
    "metabalance": lambda tasks: {"main": tasks[0]},
    "gradnorm": lambda tasks: {"warmup": 1},  # after its first steps, which cost less
    "smooth": lambda tasks: {"of": "pcgrad"},
}


@dataclass(frozen=True)
class Setup:
    """What is trained: "mlp" (1.05 M parameters) or "cnn" (0.08 M), by how many tasks, on how many rows a step."""

    model: str
    tasks: int
    rows: int

    @property
    def names(self) -> list[str]:
        return [f"t{k}" for k in range(self.tasks)]


def make_trunk(model: str) -> tuple[nn.Sequential, int, tuple[int, ...]]:
    """The shared layers, how many features they give, and the shape of an input."""
    if model == "mlp":
        layers = nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU()
        return nn.Sequential(*layers), 512, (512,)
    first = nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(512, 128), nn.ReLU()), 128, (1, 28, 28)


@lru_cache(maxsize=1)
def batches_of(setup: Setup) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets, the same for all stands."""
    generator = torch.Generator().manual_seed(1)
    shape = make_trunk(setup.model)[2]
    return [
        (
            torch.randn(setup.rows, *shape, generator=generator),
            torch.randn(setup.rows, setup.tasks, generator=generator),
        )
        for _ in range(NUM_BATCHES)
    ]


class Stand:
    """A trunk, a linear head a task, and Adam; trained by the plain sum, in plain PyTorch."""

    def __init__(self, setup: Setup) -> None:
        torch.manual_seed(0)
        self.names = setup.names
        self.trunk, width, _ = make_trunk(setup.model)
        self.heads = nn.ModuleDict({name: nn.Linear(width, 1) for name in self.names})
        self.batches = itertools.cycle(batches_of(setup))
        self.optimizer = self.make_optimizer()

    def make_optimizer(self, *more: nn.Parameter) -> torch.optim.Optimizer:
        return torch.optim.Adam([*self.trunk.parameters(), *self.heads.parameters(), *more], lr=LEARNING_RATE)

    def losses(self, features: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {name: mse_loss(self.heads[name](features).squeeze(1), y[:, k]) for k, name in enumerate(self.names)}

    def step(self) -> None:
        """One training step."""
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        self.backward(x, y)
        self.optimizer.step()
        self.after(x, y)

    def backward(self, x: Tensor, y: Tensor) -> None:
        """Forward, and whatever fills `.grad`."""
        torch.stack(list(self.losses(self.trunk(x), y).values())).sum().backward()

    def after(self, x: Tensor, y: Tensor) -> None:
        """What a method does after the optimiser's step."""

    def shared_gradient(self) -> Tensor:
        return torch.cat([p.grad.reshape(-1) for p in self.trunk.parameters()])


class PlainLoop(Stand):
    """J and G by hand, a pass of autograd.grad a task; with equal weights: nothing is solved."""

    def backward(self, x: Tensor, y: Tensor) -> None:
        losses = self.losses(self.trunk(x), y)
        shared, rows = list(self.trunk.parameters()), []
        for k, (name, loss) in enumerate(losses.items()):
            own = list(self.heads[name].parameters())
            found = torch.autograd.grad(loss, [*shared, *own], retain_graph=k < len(losses) - 1)
            rows.append(torch.cat([g.reshape(-1) for g in found[: len(shared)]]))
            for parameter, gradient in zip(own, found[len(shared) :], strict=True):
                parameter.grad = gradient
        jacobian = torch.stack(rows)
        gramian = jacobian @ jacobian.T
        weights = torch.ones(len(gramian)) / len(gramian)
        pieces = (weights @ jacobian).split([p.numel() for p in shared])
        for parameter, piece in zip(shared, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)


class Balanced(Stand):
    """A balancer of the catalogue."""

    def __init__(self, setup: Setup, name: str, engine: Engine = Engine()) -> None:
        super().__init__(setup)
        choice = BALANCERS[name].with_(**NEEDED.get(name, lambda tasks: {})(self.names))
        self.balancer: Balancer = choice(self.names, torch.Generator().manual_seed(0), engine=engine)
        self.scores = dict.fromkeys(self.names, 0.5)
        self.needs_features = engine.level == "representation"

    def backward(self, x: Tensor, y: Tensor) -> None:
        more: dict[str, Any] = {}
        if self.balancer.looks_ahead:
            more["probe"] = self.probe(x, y)
        features = self.trunk(x)
        if self.needs_features:
            more["features"] = features
        losses = self.losses(features, y)
        self.balancer.backward(losses, shared=self.trunk.parameters(), scores=self.scores, **more)

    def probe(self, x: Tensor, y: Tensor) -> Any:
        """For a look ahead: the batch once more, and another in place of validation rows."""
        other_x, other_y = next(self.batches)
        return Probe(
            [self.trunk, *self.heads.values()],
            losses=lambda: self.losses(self.trunk(x), y),
            validation=lambda: self.losses(self.trunk(other_x), other_y),
            learning_rate=LEARNING_RATE,
        )

    def after(self, x: Tensor, y: Tensor) -> None:
        if self.balancer.looks_after:
            with torch.no_grad():
                self.balancer.after_step(self.losses(self.trunk(x), y))


@dataclass(frozen=True)
class Entry:
    """A stand to be made: whose it is, of which method, by which way of taking gradients.

    `way` is "losses" (one backward pass), "probe" (and one more forward pass), "exact" (every task's gradient of the
    shared parameters), "representation", "every=10", or "plain". A step costs the same as the one `cycle` steps before.
    """

    implementation: str
    method: str
    way: str
    make: Callable[[Setup], Stand]
    cycle: int = 1


PLAIN = (
    Entry("pytorch", "sum", "plain", Stand),
    Entry("pytorch", "plain loop", "plain", PlainLoop),
)


def balancers(*names: str) -> list[Entry]:
    """Balancers of the catalogue with the default engine."""
    return [
        Entry("polytask", name, way_of(BALANCERS[name]), partial(Balanced, name=name))
        for name in names
        if name in BALANCERS
    ]


def way_of(balancer: type[Balancer]) -> str:
    if balancer.reads & {"gramian", "jacobian"}:
        return "exact"
    return "probe" if "probe" in balancer.reads else "losses"


def short_ways(name: str) -> list[Entry]:
    """One balancer at the representation, and solved anew each 10 steps."""
    every, level = (partial(Balanced, name=name, engine=e) for e in (Engine(every=10), Engine(level="representation")))
    return [Entry("polytask", name, "every=10", every, 10), Entry("polytask", name, "representation", level)]
