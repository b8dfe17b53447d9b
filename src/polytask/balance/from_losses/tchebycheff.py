"""Tchebycheff scalarisation: only the task that is worst off, by given preferences, is trained."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class Tchebycheff(Balancer):
    """max_i λ_i (L_i − z_i): w_j = λ_j for the task where the maximum is, 0 for all others.

    Every Pareto optimum is the minimum for some λ, in a concave part of the front too, which no weighted sum
    can reach. Of equal tasks the one that `tasks` names first is taken. A task of weight 0 is as absent in that
    step: what it alone reaches has no gradient. `stch` is the smooth form. The weights sum to λ_j.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        preferences: λ, task -> number above 0, or a list in the order of `tasks`; 1/T where not given.
        ideals: z, task -> the loss that is hoped for, below what can be reached; 0 where not given.

    Raises:
        ValueError: preferences or ideals missing, left over, or not allowed; names the task.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> Tchebycheff(["a", "b"], preferences=[1.0, 5.0]).backward({"a": 2 * w, "b": w / 2}, shared=[w])
        {'a': 0.0, 'b': 5.0}

    Paper: Bowman, On the Relationship of the Tchebycheff Norm and the Efficient Frontier of Multiple-Criteria
    Objectives, 1976.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "bowman1976"
    use_when: ClassVar[str] = (
        "Only the worst-off task matters, by your preferences; one task learns a step, so it is slow."
    )
    preferences: Tensor
    ideals: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        preferences: dict[str, float] | list[float] | None = None,
        ideals: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        share = 1 / len(self.tasks)
        found = per_task(preferences, self.tasks, "preferences", "tchebycheff", default=share, above=0.0)
        self.register_buffer("preferences", found)
        self.register_buffer("ideals", per_task(ideals, self.tasks, "ideals", "tchebycheff", default=0.0))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """λ of the worst-off task, and zeros."""
        preferences = self.preferences[signals.index]
        distances = preferences * (signals.losses - self.ideals[signals.index])
        is_worst = distances == distances.max()
        is_worst &= signals.index == signals.index[is_worst].min()
        return torch.where(is_worst, preferences, 0.0)
