"""The mean of the losses: the sum, with a learning rate that does not grow with the number of tasks."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals


class Mean(Balancer):
    """Σ L_i / T over the T tasks present: every weight is 1/T.

    The weights sum to 1. Under an optimiser that follows the gradient's length (SGD) it is `sum` at 1/T of
    the learning rate; under one that does not (Adam) it is nearly the same.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> Mean(["a", "b"]).backward({"a": 3 * w[0], "b": w.sum()}, shared=[w])
        {'a': 0.5, 'b': 0.5}
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    use_when: ClassVar[str] = "As `sum`, where a step should not grow with the number of tasks: 1/T of its length."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """1/T, T times."""
        return torch.full((len(signals.names),), 1 / len(signals.names), dtype=torch.float64)
