"""The sum of the losses' logarithms: no loss's unit matters."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class ScaleInvariant(Balancer):
    """Σ c_i log L_i: w_i = c_i / L_i. Multiplying a loss by a constant changes no update.

    With all c_i = 1 its weights are those of `uw_o`. Losses are clamped at 1e-8. The weights sum to nothing
    fixed, but Σ w_i L_i = Σ c_i.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        weights: c, task -> number of at least 0, or a list in the order of `tasks`; 1 where not given.

    Raises:
        ValueError: weights missing, left over, negative or not finite; names the task.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> ScaleInvariant(["small", "large"]).backward({"small": w / 2, "large": 2 * w}, shared=[w])
        {'small': 2.0, 'large': 0.5}

    Paper: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik and Fetaya, Multi-Task Learning as a Bargaining
    Game, ICML 2022, 2202.01017 (a baseline there, "scale-invariant").

    Deviates: the paper has no c; losses of 0 or below are clamped.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "navon2022"
    use_when: ClassVar[str] = "Units of the losses must not matter, and all of them are above 0; nothing to tune."
    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        weights: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        found = per_task(weights, self.tasks, "weights", "scale_invariant", default=1.0, least=0.0)
        self.register_buffer("weights", found)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """c/L of the tasks present."""
        return self.weights[signals.index] / signals.losses.clamp_min(1e-8)
