"""DualProj: the mean gradient, projected where it hurts no task."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals, cone_projection, solve_live


class DualProj(Balancer):
    """π(g₀): the update nearest to the mean gradient g₀ with ⟨g_i, d⟩ ≥ 0 for every task.

    On coefficients Jᵀv with v the minimum of vᵀGv over v ≥ 1/T. Without conflict with g₀ it is the mean.

    The update has the length of a *mean* of the gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = DualProj(["a", "b"]).backward({"a": 3 * w[0], "b": w[1] - w[0]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'a': 0.5, 'b': 0.75}
        >>> w.grad  # "b" is left as it is
        tensor([0.7500, 0.7500])

    Paper: Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, 1706.08840.

    Deviates: there the gradient of the current task is projected against those of earlier tasks; here the
    mean of all against all.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "lopezpaz2017"
    use_when: ClassVar[str] = (
        "As `upgrad`, but the update itself is nearest to the mean; a weak task may just not be hurt."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The coefficients of the projected mean."""
        share = 1.0 / len(signals.names)

        def solve(gramian: np.ndarray) -> np.ndarray:
            return cone_projection(gramian, np.full(len(gramian), share))

        return solve_live(signals.gramian, solve, idle=share)
