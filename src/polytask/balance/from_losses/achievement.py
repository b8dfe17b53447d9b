"""Achievement-based weighting: more weight where the twin's skill is still far away."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.balance.score_average import ScoreAverage
from polytask.gradients import Engine, Signals


class Achievement(Balancer):
    """Π L_i^{v_i}, v = softmax((1 − k_i/p_i)^γ), with k_i/p_i the share of the single-task skill achieved so far.

    p_i = (1 + margin) · target_i is the task's potential; k_i its validation skill, averaged over validations
    (k ← βk + (1 − β) skill); the share is held in [0, 1]. The weighted geometric mean keeps any loss's unit out:
    its slopes are w_i = v_i Π L^v / L_i. Tasks without a skill yet count as having achieved nothing, so before
    the first validation it is `gls`. v sums to 1, w to nothing fixed. Losses are clamped at 1e-8.

    In an own loop the skills are handed over: `balancer.backward(losses, shared=…, epoch=…, scores={"task": 0.7})`.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        targets: task -> validation skill of a model for it alone (its twin in a study), above 0; or a list in the
            order of `tasks`; 1, a perfect prediction, where not given.
        gamma: γ, at least 0: large to leave tasks near their target to themselves.
        margin: by what share a target may be outdone, at least 0.
        momentum: β, at least 0 and below 1.
        mean: "geometric", the paper's, or "arithmetic": Σ v_i L_i, w = v, which sums to 1.

    Raises:
        ValueError: a setting that cannot be; names the task.

    Example:
        >>> balancer = Achievement(["near", "far"], targets={"near": 0.8, "far": 0.8}, mean="arithmetic")
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> balancer.backward({"near": w, "far": w}, shared=[w], scores={"near": 0.8, "far": 0.2})
        {'near': 0.359..., 'far': 0.640...}

    Paper: Yun and Cho, Achievement-Based Training Progress Balancing for Multi-Task Learning, ICCV 2023.

    Deviates: achievement is a ratio of skills, not of accuracies, so that chance is 0. A task beyond its potential
    stays at weight exp(0); the square in the authors' code would let it rise again. The softmax, γ = 2, margin
    0.05 and β = 0.9 are that code's.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "yun2023"
    use_when: ClassVar[str] = "You know what each task reaches alone, and all should come equally near to it."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
    potentials: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        targets: dict[str, float] | list[float] | None = None,
        gamma: float = 2.0,
        margin: float = 0.05,
        momentum: float = 0.9,
        mean: Literal["geometric", "arithmetic"] = "geometric",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        for name, value in {"gamma": gamma, "margin": margin}.items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"achievement: {name}={value}, a number of at least 0 is wanted")
        if not 0 <= momentum < 1:
            raise ValueError(f"achievement: momentum={momentum}, a number from 0 to below 1 is wanted, such as 0.9")
        if mean not in ("geometric", "arithmetic"):
            raise ValueError(f"achievement: mean={mean!r}, 'geometric' or 'arithmetic' is wanted")
        self.gamma, self.mean = gamma, mean
        found = per_task(targets, self.tasks, "targets", "achievement", default=1.0, above=0.0)
        self.register_buffer("potentials", (1 + margin) * found)
        self.skill = ScoreAverage(len(self.tasks), momentum)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """v, or the slopes of the geometric mean with these exponents."""
        share = (self.skill(signals).nan_to_num(0) / self.potentials[signals.index]).clamp(0, 1)
        exponents = torch.softmax((1 - share) ** self.gamma, dim=0)
        if self.mean == "arithmetic":
            return exponents
        losses = signals.losses.clamp_min(1e-8)
        return exponents * (exponents @ losses.log()).exp() / losses
