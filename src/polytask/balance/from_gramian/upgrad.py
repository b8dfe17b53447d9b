"""UPGrad: the mean of the gradients, each projected where it hurts no task."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals, cone_projections, solve_live


class UPGrad(Balancer):
    """(1/T) Σ_i π(g_i), π the projection onto the cone {d : ⟨g_j, d⟩ ≥ 0 for all j}.

    On coefficients π(Jᵀu) = Jᵀv with v the minimum of vᵀGv over v ≥ u. No task is hurt; without conflict it
    is the mean; the cone does not depend on lengths, so a gradient c times as long counts c times as much.

    The update has the length of a *mean* of the gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = UPGrad(["a", "b"]).backward({"a": 3 * w[0], "b": 2 * w[1] - w[0]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'a': 0.667, 'b': 0.8}

    Paper: Quinton and Rey, Jacobian Descent for Multi-Objective Optimization, 2024, 2406.16232.

    Deviates: solved exactly, where the authors' code adds 1e-4 to the diagonal of the normalised Gramian.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "quinton2024"
    use_when: ClassVar[str] = "No task may be hurt, but lengths should count; without conflict it is the mean."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The summed coefficients of the projected gradients."""
        share = 1.0 / len(signals.names)

        def solve(gramian: np.ndarray) -> np.ndarray:
            return np.asarray(cone_projections(gramian, np.eye(len(gramian)) * share).sum(axis=0))

        return solve_live(signals.gramian, solve, idle=share)
