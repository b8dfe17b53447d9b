"""Steps of a balancer on losses that are only numbers, and its weights for given gradient rows: without a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from polytask.balance import BALANCERS, Balancer, Probe, Signals


def take_step(balancer: Balancer, losses: Mapping[str, float], **more: Any) -> dict[str, float]:
    """The weights for these losses; their gradients differ in length and direction. The step then lowers each loss."""
    shared = torch.nn.Parameter(torch.zeros(len(balancer.tasks), 3, dtype=torch.float64))
    places = {name: balancer.tasks.index(name) for name in losses}

    def terms() -> dict[str, torch.Tensor]:
        return {n: loss + (places[n] + 1) * shared[places[n]].sum() - shared.mean() for n, loss in losses.items()}

    if balancer.looks_ahead:
        parameters = torch.nn.ParameterList([shared])
        more["probe"] = Probe(parameters, losses=terms, validation=terms, learning_rate=0.1)
    weights = balancer.backward(terms(), shared=[shared], **more)
    if balancer.looks_after:
        balancer.after_step({n: torch.tensor(loss * (1 - (places[n] + 1) / 10)) for n, loss in losses.items()})
    return weights


@pytest.fixture
def step() -> Callable[..., dict[str, float]]:
    """A step on given numbers: `step(balancer, {"a": 1.0}, epoch=0)` -> the weights."""
    return take_step


#: Two shared tensors.
SIZES = (3, 4)


def take_step_on(
    balancer: Balancer, rows: Mapping[str, np.ndarray], losses: Mapping[str, float]
) -> tuple[dict[str, float], np.ndarray]:
    """Weights and the update of losses with these gradients, on two shared tensors of 3 and 4 numbers."""
    shared = [torch.nn.Parameter(torch.zeros(size, dtype=torch.float64)) for size in SIZES]
    terms = {n: torch.from_numpy(row) @ torch.cat(shared) + losses[n] for n, row in rows.items()}
    weights = balancer.backward(terms, shared=shared)
    return weights, np.concatenate([p.grad.numpy() for p in shared])


@pytest.fixture(scope="session")
def step_on() -> Callable[..., tuple[dict[str, float], np.ndarray]]:
    """`step_on(balancer, {"a": gradient of 7 numbers}, {"a": loss})` -> weights and update."""
    return take_step_on


def weights_of(balancer: Balancer, rows: np.ndarray, losses: Sequence[float] | None = None) -> np.ndarray:
    names = balancer.tasks[: len(rows)]
    values = torch.ones(len(rows)) if losses is None else torch.tensor(losses)
    signals = Signals(
        names=names,
        index=torch.arange(len(rows)),
        step=0,
        epoch=None,
        scores=torch.full((len(rows),), torch.nan, dtype=torch.float64),
        reads=balancer.reads,
        losses=values.to(torch.float64),
        gramian=lambda: torch.from_numpy(rows @ rows.T),
    )
    return balancer(signals).numpy()


@pytest.fixture(scope="session")
def weigh() -> Callable[..., np.ndarray]:
    """`weigh(name, rows, losses=None, **settings)`: the weights of a fresh balancer of that name."""

    def weigh(name: str, rows: np.ndarray, losses: Sequence[float] | None = None, **settings: object) -> np.ndarray:
        return weights_of(BALANCERS[name]([f"t{k}" for k in range(len(rows))], **settings), rows, losses)

    return weigh


@pytest.fixture(scope="session")
def signal() -> Callable[..., np.ndarray]:
    """`signal(balancer, rows, losses=None)`: the weights of that balancer, whose state moves."""
    return weights_of
