"""Soft optimal uncertainty weighting: a softmax over the inverse losses."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals


class UWSO(Balancer):
    """w = softmax((1/L)/τ) over the tasks present: `uw_o`, normalised and tempered. The weights sum to 1.

    A small τ, or a loss near 0, gives one task everything: 1/L grows without bound. Losses are clamped at 1e-8.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        temperature: τ, above 0: large for equal weights. To be tuned, in the unit of 1/L.

    Raises:
        ValueError: a temperature that is not above 0.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> UWSO(["a", "b"], temperature=2.0).backward({"a": 2 * w, "b": w / 2}, shared=[w])
        {'a': 0.320..., 'b': 0.679...}

    Paper: Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott and Köhler, Analytical Uncertainty-Based Loss
    Weighting in Multi-Task Learning, GCPR 2024, 2408.07985 (there UW-SO).

    Deviates: the paper tunes τ on every data set and names no default; ours is 1. Losses of 0 or below are
    clamped.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "kirchdorfer2024"
    use_when: ClassVar[str] = "As `uw_o` with weights that sum to 1; only with a tuned temperature and no loss near 0."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        temperature: float = 1.0,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not temperature > 0:
            raise ValueError(f"uw_so: temperature={temperature}, a number above 0 is wanted, such as 1")
        self.temperature = temperature

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The softmax over the tasks present."""
        return torch.softmax(1 / signals.losses.clamp_min(1e-8) / self.temperature, dim=0)
