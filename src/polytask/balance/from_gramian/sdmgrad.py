"""SDMGrad: MGDA held near the mean gradient."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals, factor, shortest_combination, solve_live


class SDMGrad(Balancer):
    """(Jᵀw + λg₀)/(1 + λ) with w the minimum over the simplex of ‖Jᵀw + λg₀‖, g₀ the mean gradient.

    It is the d that maximises min_i ⟨g_i, d⟩ − ‖d‖²/2 + λ⟨g₀, d⟩. λ = 0 is MGDA, a large λ the mean; every
    task has at least the weight λ/(T(1 + λ)). For λ > 0 a task may be hurt.

    The weights sum to 1: the update has the length of a *mean* of the gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        weight: λ, at least 0.

    Raises:
        ValueError: a negative weight.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 3 * w[0], "short": w[1] / 2}
        >>> weights = SDMGrad(["long", "short"], weight=1.0).backward(losses, shared=[w])  # MGDA: 0.027 for "long"
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'long': 0.25, 'short': 0.75}

    Paper: Xiao, Ban and Ji, Direction-oriented Multi-objective Learning: Simple and Provable Stochastic
    Algorithms, NeurIPS 2023, 2305.18409.

    Deviates: w is solved exactly on the batch's gradients; the paper takes stochastic steps on w with
    gradients of two further batches. The paper's update is Jᵀw + λg₀; like its authors' code we divide by
    1 + λ.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "xiao2023"
    use_when: ClassVar[str] = "Between the mean and `mgda`: the worst-off tasks are helped, but one may be hurt."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        weight: float = 0.3,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= weight < float("inf"):
            raise ValueError(f"sdmgrad: weight={weight}, a number of at least 0 is wanted, such as 0.3")
        self.weight = weight

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Min-norm weights of the gradients moved by λg₀, mixed with the mean's."""
        share = 1.0 / len(signals.names)

        def solve(gramian: np.ndarray) -> np.ndarray:
            columns = factor(gramian)
            moved = columns + self.weight * share * columns.sum(axis=1, keepdims=True)
            return (shortest_combination(moved) + self.weight * share) / (1 + self.weight)

        return solve_live(signals.gramian, solve, idle=share)
