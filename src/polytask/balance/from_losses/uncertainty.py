"""Uncertainty weighting: a learned variance a task."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.task_adam import TaskAdam
from polytask.gradients import Engine, Signals


class Uncertainty(Balancer):
    """Σ (exp(−s_i) L_i + s_i) / 2 with s_i = log σ_i² learned: w_i = exp(−s_i) / 2.

    ds_i = (1 − exp(−s_i) L_i) / 2, so s_i settles at log L_i, where every task counts alike whatever its
    loss's unit. s starts at 0 (all weights 1/2: the sum's learning rate halved), moves by Adam, and stays in
    [−10, 10], since a loss that reaches 0 or below has no minimum in s.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        learning_rate: of s, above 0.

    Raises:
        ValueError: a learning rate that is not above 0.

    Example:
        >>> balancer = Uncertainty(["small", "large"], learning_rate=0.1)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for _ in range(200):
        ...     weights = balancer.backward({"small": w / 4, "large": 4 * w}, shared=[])
        >>> {name: round(weight, 2) for name, weight in weights.items()}  # half of 1/loss
        {'small': 2.0, 'large': 0.13}

    Paper: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry
    and Semantics, CVPR 2018, 1705.07115.

    Deviates: the paper derives exp(−s)L/2 + s/2 for regression and exp(−s)L + s/2 for classification. Like
    the public implementations, one form serves all losses here; a factor 2 on L only moves the settled s by
    log 2. s has an Adam of its own, so it takes part in no weight decay and no schedule.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "kendall2018"
    use_when: ClassVar[str] = "Losses above 0 in different units, and no budget to tune weights."
    log_variance: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        learning_rate: float = 0.025,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        self.register_buffer("log_variance", torch.zeros(len(self.tasks), dtype=torch.float64))
        self.adam = TaskAdam(len(self.tasks), learning_rate, "uncertainty")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """exp(−s)/2 of the tasks present; then s takes its step."""
        s = self.log_variance[signals.index]
        precision = torch.exp(-s)
        self.adam.move(self.log_variance, signals.index, (1 - precision * signals.losses) / 2)
        return precision / 2
