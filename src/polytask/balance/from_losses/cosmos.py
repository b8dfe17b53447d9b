"""COSMOS: a weighted sum that also turns the vector of losses towards a preferred direction."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class COSMOS(Balancer):
    """Σ r_i L_i − λ cos(r, L): w_i = r_i − λ (r_i/(‖r‖‖L‖) − cos(r, L) L_i/‖L‖²).

    The second term brings the losses into the proportions of r: a loss above its share gets more weight, one
    below it less, and *less than none* where λ is large or the losses are small: that task is then pushed back
    up. It vanishes for one task. ‖L‖ is clamped at 1e-8. Σ w_i L_i = Σ r_i L_i; the weights sum to nothing fixed.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        preferences: r, task -> number above 0, or a list in the order of `tasks`; 1/T where not given. Where the
            network of a step was given a preference (sharing `preference_conditioned`), r is that one.
        strength: λ, at least 0; 0 is the sum weighted by r.

    Raises:
        ValueError: a strength or preferences that cannot be; names the task.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> COSMOS(["above", "below"], strength=0.5).backward({"above": 2 * w, "below": w}, shared=[w])
        {'above': 0.531..., 'below': 0.436...}

    Paper: Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective Learning, ICDM 2021,
    2103.13392.

    Deviates: the paper draws r from a Dirichlet distribution in every step and lets the network read it, to learn
    the whole front: here sharing `preference_conditioned` does, and without it r is fixed and one point is learned.
    Its λ is 0.01 on tables, 2 to 8 on pictures.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "ruchte2021"
    use_when: ClassVar[str] = (
        "You want the losses in proportions of your own at the cost of a sum; strength has to be tuned."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
    follows_preference: ClassVar[bool] = True
    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        preferences: dict[str, float] | list[float] | None = None,
        strength: float = 0.01,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= strength < float("inf"):
            raise ValueError(f"cosmos: strength={strength}, a number of at least 0 is wanted, such as 0.01")
        self.strength = strength
        share = 1 / len(self.tasks)
        found = per_task(preferences, self.tasks, "preferences", "cosmos", default=share, above=0.0)
        self.register_buffer("preferences", found)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The slopes: r minus λ times those of the cosine."""
        given = signals.preference
        preferences = self.preferences[signals.index] if given is None else given
        if len(preferences) == 1:
            return preferences
        length = signals.losses.norm().clamp_min(1e-8)
        ray, losses = preferences / preferences.norm(), signals.losses / length
        return preferences - self.strength * (ray - (ray @ losses) * losses) / length
