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
        tasks: names of all tasks.
        generator: not drawn from.
        engine: not asked.
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Ones."""
        return torch.ones(len(signals.names), dtype=torch.float64)
