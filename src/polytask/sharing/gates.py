"""Gates: how much of each expert a task takes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.sharing.last import LastForward
from polytask.sharing.record import Record


class Gate(nn.Module, ABC):
    """Weights of experts, ≥ 0 and (but for DSelect-k at its start) summing to 1.

    Attributes:
        num_experts: how many it weighs.
    """

    num_experts: int

    @abstractmethod
    def __init__(self, num_experts: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        #: `weights` `[B, experts]` or `[experts]`, and what a kind of gate needs for its penalties.
        self.last = LastForward()

    @abstractmethod
    def forward(self, vectors: Float[Tensor, "batch channels"]) -> Float[Tensor, "..."]:
        """`[B, experts]`, or `[experts]` where all rows have the same weights."""

    def penalty(self) -> Float[Tensor, ""] | None:
        """A loss of the gate itself from its last forward; None where it has none."""
        return None

    def mean_weights(self) -> Float[Tensor, " experts"] | None:
        """The weights of the last forward, averaged over its rows."""
        weights = self.last.values.get("weights")
        return None if weights is None else weights.detach().float().reshape(-1, self.num_experts).mean(dim=0)


#: `make_gate(channels, experts, generator)` builds a fresh gate.
MakeGate = Callable[[int, int, torch.Generator], Gate]


class SoftmaxGate(Gate):
    """softmax(W z + b), starting at the plain mean; in training, weights may be dropped and the rest renormalised.

    Args:
        channels: of the vectors that it reads.
        num_experts: how many it weighs.
        dropout: probability that an expert's weight is zeroed for a row, in [0, 1). Where all are, the largest is kept.

    Paper: Ma, Zhao, Yi, Chen, Hong, Chi: Modeling task relationships in multi-task learning with multi-gate
        mixture-of-experts. KDD 2018; dropout: Zhao et al.: Recommending what video to watch next. RecSys 2019.
    """

    def __init__(self, channels: int, num_experts: int, *, dropout: float = 0.0) -> None:
        super().__init__(num_experts)
        self.dropout = dropout
        self.linear = nn.Linear(channels, num_experts)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch experts"]:
        """A row of weights for every row."""
        weights = self.linear(vectors).softmax(dim=1)
        if self.training and self.dropout:
            weights = _dropped(weights, self.dropout)
        self.last.values["weights"] = weights
        return weights


def _dropped(weights: Tensor, probability: float) -> Tensor:
    """Some weights of each row zeroed, the rest brought back to a sum of 1; the largest stays where none is left."""
    kept = torch.rand_like(weights) >= probability
    largest = functional.one_hot(weights.argmax(dim=1), weights.shape[1]).bool()
    is_empty = (weights * kept).sum(dim=1, keepdim=True) == 0
    weights = weights * torch.where(is_empty, largest, kept)
    return weights / weights.sum(dim=1, keepdim=True)


def check_share(scheme: str, setting: str, value: float) -> None:
    """Raises ValueError for a probability of dropping something that is not in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{scheme}: {setting} is in [0, 1), got {value}")


def entropy(weights: Float[Tensor, " experts"]) -> float:
    """−Σ w log w in nats: 0 where one expert has all, log E where all have alike.

    Example:
        >>> entropy(torch.tensor([1.0, 0.0])), round(entropy(torch.tensor([0.5, 0.5])), 4)
        (0.0, 0.6931)
    """
    return float(torch.special.entr(weights.double()).sum())


def gate_records(rows: Mapping[str, Mapping[str, float]], experts: Sequence[str], where: str) -> dict[str, Record]:
    """What gates have learnt, as tables.

    Args:
        rows: stream -> expert -> its mean weight; experts that a stream cannot take are left out.
        experts: all of them, in order.
        where: behind the titles.
    """
    if not rows:
        return {}
    shares = [[row.get(name, 0.0) for name in experts] for row in rows.values()]
    loads = [sum(column) / len(rows) for column in zip(*shares, strict=True)]
    spread = [[entropy(torch.tensor([*row.values()]))] for row in rows.values()]
    return {
        f"gates{where}": Record("shares", tuple(rows), tuple(experts), shares),
        f"gate entropy{where}": Record("amounts", tuple(rows), ("nats",), spread),
        f"expert load{where}": Record("shares", ("all",), tuple(experts), [loads]),
    }
