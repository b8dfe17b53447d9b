"""Dynamic task prioritisation: more weight where the validation skill is low."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.score_average import ScoreAverage
from polytask.gradients import Engine, Signals


class DTP(Balancer):
    """w_i = −(1 − k_i)^γ log k_i, with k_i the task's validation skill, averaged over validations.

    A focal loss of the skill: hard tasks count most, mastered ones hardly. k ← βk + (1 − β) skill once a
    validation, and is held in [0.001, 0.999] where it is used, since a skill may be below 0. A task without a
    skill yet, so every task before the first validation, weighs 1. The weights sum to nothing fixed: they fall
    towards 0 as all tasks get good, which slows training down.

    In an own loop the skills are handed over: `balancer.backward(losses, shared=…, epoch=…, scores={"task": 0.7})`.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        gamma: γ, at least 0: large to forget tasks that are nearly mastered.
        momentum: β, at least 0 and below 1.

    Raises:
        ValueError: a gamma or a momentum that cannot be.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> skills = {"hard": 0.2, "easy": 0.9}
        >>> DTP(["hard", "easy"]).backward({"hard": w, "easy": w}, shared=[w], scores=skills)
        {'hard': 1.287..., 'easy': 0.010...}

    Paper: Guo, Haque, Huang, Yeung and Fei-Fei, Dynamic Task Prioritization for Multitask Learning, ECCV 2018.

    Deviates: the paper's indicator is a metric such as the accuracy on training batches, moved every step; ours is
    the validation skill, on one scale for all kinds of task. Of its two levels (examples and tasks) this is the
    tasks'. β = 0.9 and γ = 1 are those of a later comparison's code (Yun and Cho 2023).
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "guo2018"
    use_when: ClassVar[str] = (
        "Hard tasks should count more, by validation skill; steps get shorter as all tasks get good."
    )

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        gamma: float = 1.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not gamma >= 0:
            raise ValueError(f"dtp: gamma={gamma}, a number of at least 0 is wanted, such as 1")
        if not 0 <= momentum < 1:
            raise ValueError(f"dtp: momentum={momentum}, a number from 0 to below 1 is wanted, such as 0.9")
        self.gamma = gamma
        self.skill = ScoreAverage(len(self.tasks), momentum)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The focal weights; 1 where no skill is known."""
        skill = self.skill(signals)
        k = skill.clamp(1e-3, 1 - 1e-3)
        return torch.where(skill.isnan(), 1.0, -((1 - k) ** self.gamma) * k.log())
