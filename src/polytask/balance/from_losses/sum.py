"""The plain sum: the baseline that every balancer has to beat."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals


class Sum(Balancer):
    """Σ L_i: every weight is 1. Bit for bit what `sum(losses.values()).backward()` does.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> Sum(["a", "b"]).backward({"a": 3 * w[0], "b": w.sum()}, shared=[w])
        {'a': 1.0, 'b': 1.0}
        >>> w.grad
        tensor([4., 1.])
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    use_when: ClassVar[str] = "First, with a tuned learning rate and regularisation: often nothing here does better."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Ones."""
        return torch.ones(len(signals.names), dtype=torch.float64)
