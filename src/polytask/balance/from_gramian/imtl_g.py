"""IMTL-G: the update on which every task's gradient has the same projection."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals, equal_cosines, solve_live


class IMTLG(Balancer):
    """Σ w_i g_i with ⟨Jᵀw, g_i⟩/‖g_i‖ equal for all tasks, Σ w_i = 1 (or −1).

    With cosines C and norms n: w ∝ v = C⁻¹1/n, divided by |Σv|. The direction does not depend on the units of
    the single losses. Weights may be negative. Linearly independent gradients all make progress along it.

    The weights sum to ±1: the length is that of a *mean*, but unbounded as Σv nears 0.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = IMTLG(["long", "short"]).backward({"long": 3 * w[0], "short": w[1]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'long': 0.25, 'short': 0.75}

    Paper: Liu, Li, Kuang, Xue, Chen, Yang, Liao and Zhang, Towards Impartial Multi-task Learning, ICLR 2021.

    Deviates: the paper divides by Σv, which turns the update uphill for every task where Σv < 0 (possible
    even if all cosines are positive). Where |Σv| is nothing beside Σ|v| the update is zero. Where gradients
    are linearly dependent the paper's inverse does not exist; C⁻¹1 is then the shortest least-squares
    solution, and projections may differ.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "liuliyang2021"
    use_when: ClassVar[str] = "Gradients of very different length; unsteady where they are nearly dependent."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights of equal projections."""
        return solve_live(signals.gramian, equal_projections, idle=1.0 / len(signals.names))


def equal_projections(gramian: Float[np.ndarray, "tasks tasks"]) -> Float[np.ndarray, " tasks"]:
    """IMTL-G's weights; all zero where no combination with Σw = ±1 is in sight.

    Example:
        >>> equal_projections(np.array([[9.0, -3.0], [-3.0, 5.0]])).round(6)
        array([0.427051, 0.572949])
    """
    solution, norms = equal_cosines(gramian)
    weights = solution / norms
    total = abs(weights.sum())
    if total <= 1e-8 * np.abs(weights).sum():
        return np.zeros(len(weights))
    return np.asarray(weights / total)
