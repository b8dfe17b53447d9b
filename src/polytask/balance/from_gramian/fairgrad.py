"""FairGrad: α-fair division of the update's progress among the tasks."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals, power_root, solve_live


class FairGrad(Balancer):
    """Σ a_i g_i with a > 0 and (JJᵀa)_i = a_i^(−1/α): the d in a ball that maximises Σ ⟨g_i, d⟩^(1−α)/(1−α).

    α = 1 is Nash-MTL; towards 0 it is the sum, towards infinity every task makes the same progress, in
    MGDA's direction. No task is hurt.

    The length is neither a sum's nor a mean's: gradients c times as long give an update c^((1−α)/(1+α)) times
    as long, for the default α = 2 a *shorter* one. Set the learning rate anew, or clip the gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        alpha: α, 0.5 to 10.

    Raises:
        ValueError: an alpha outside 0.5 to 10, where rounding takes over: `sum` and `mgda` are the limits.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 8 * w[0], "short": w[1]}
        >>> weights = FairGrad(["long", "short"], alpha=2.0).backward(losses, shared=[w])
        >>> {name: round(weight, 4) for name, weight in weights.items()}
        {'long': 0.0625, 'short': 1.0}

    Paper: Ban and Ji, Fair Resource Allocation in Multi-Task Learning, ICML 2024, 2402.15638.

    Deviates: solved to 1e-8 by Newton's method, not by least squares from a start. The authors' code
    multiplies by the number of tasks and clips the update to length 1, which the paper does not; nor do we.
    At a Pareto stationary point there is no a; the weights are then as for `NashMTL`.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "ban2024"
    use_when: ClassVar[str] = (
        "As `nash_mtl`, with a choice between sum and worst-off task; tune the learning rate anew."
    )

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        alpha: float = 2.0,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0.5 <= alpha <= 10:
            limits = "its limits 0 and infinity are the balancers sum and mgda"
            raise ValueError(f"fairgrad: alpha={alpha}, a number from 0.5 to 10 is wanted, such as 2; {limits}")
        self.alpha = alpha
        self.degree = (1 - alpha) / (1 + alpha)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The α-fair weights."""

        def solve(gramian: np.ndarray) -> np.ndarray:
            return power_root(gramian, self.alpha).weights

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names), degree=self.degree)
