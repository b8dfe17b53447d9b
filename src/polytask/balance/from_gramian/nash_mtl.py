"""Nash-MTL: the tasks bargain over the direction of the update."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals, power_root, solve_live


class NashMTL(Balancer):
    """Σ a_i g_i with a > 0 and (JJᵀa)_i = 1/a_i: the d in a ball that maximises Σ log ⟨g_i, d⟩.

    No task is hurt, and the direction does not depend on the units of the single losses. a_i ⟨g_i, Jᵀa⟩ = 1
    for every task, so ‖Jᵀa‖² = T always: the update says nothing about how large the gradients are, the
    learning rate alone sets the step; let it decay.

    The length is neither a sum's nor a mean's: √T, or `max_norm` where that is less.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        max_norm: the update is shortened to this length, above 0; None for √T. The public implementations
            take 1.

    Raises:
        ValueError: a max_norm that is not above 0.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 100 * w[0], "short": w[1]}
        >>> weights = NashMTL(["long", "short"]).backward(losses, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'long': 0.01, 'short': 1.0}
        >>> w.grad
        tensor([1., 1.])

    Paper: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik and Fetaya, Multi-Task Learning as a
    Bargaining Game, ICML 2022, 2202.01017.

    Deviates: solved to 1e-8 by Newton's method, not by a sequence of convex programs, so a step never keeps
    an older a. At a Pareto stationary point, where the paper stops, there is no a; the weights are those of
    the convex combination of unit gradients that vanishes, and so is the update.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "navon2022"
    use_when: ClassVar[str] = (
        "No task may be hurt, whatever its scale; steps keep one length: let the learning rate decay."
    )
    degree = 0.0

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        max_norm: float | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"nash_mtl: max_norm={max_norm}, a number above 0 is wanted, such as 1")
        self.max_norm = float("inf") if max_norm is None else max_norm

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The bargaining solution, shortened to `max_norm`."""

        def solve(gramian: np.ndarray) -> np.ndarray:
            weights = power_root(gramian, alpha=1.0).weights
            length = float(np.sqrt(max(weights @ gramian @ weights, 0.0)))
            return weights * (self.max_norm / length) if length > self.max_norm else weights

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names), degree=self.degree)
