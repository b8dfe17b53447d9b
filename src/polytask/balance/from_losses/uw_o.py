"""Uncertainty weighting at its optimum: every task weighs the inverse of its loss."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals


class UWO(Balancer):
    """w_i = 1 / L_i: twice what `uncertainty` would settle at, taken at once in every step.

    Minimising L/σ + log σ over σ gives σ = L, so no variance needs to be learnt; a squared loss, L/(2σ²) + log σ,
    gives 1/(2L), and the factor is left out. The weights are those of `scale_invariant`. Losses are clamped at
    1e-8. The weights sum to nothing fixed, but Σ w_i L_i is the number of tasks.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> UWO(["small", "large"]).backward({"small": w / 4, "large": 4 * w}, shared=[w])
        {'small': 4.0, 'large': 0.25}

    Paper: Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott and Köhler, Analytical Uncertainty-Based Loss
    Weighting in Multi-Task Learning, GCPR 2024, 2408.07985 (there UW-O).

    Deviates: losses of 0 or below are clamped.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "kirchdorfer2024"
    use_when: ClassVar[str] = "As `uncertainty` without its delay: weights follow every batch's loss, noise included."

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """1/L of the tasks present."""
        return 1 / signals.losses.clamp_min(1e-8)
