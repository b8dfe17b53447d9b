"""Uncertainty weighting whose regulariser is never negative."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.task_adam import TaskAdam
from polytask.gradients import Engine, Signals


class UncertaintyRevised(Balancer):
    """Σ L_i/(2σ_i²) + log(1 + σ_i²) with σ learned: w_i = 1/(2σ_i²), total loss never below 0.

    With s = log σ²: ds = σ²/(1 + σ²) − L/(2σ²), so σ² settles at (L + √(L² + 8L))/4: near L/2 for a large
    loss, as in `uncertainty`, and near √(L/2) for a small one, whose weight so grows more slowly. s starts at 0
    (all weights 1/2), moves by Adam and stays in [−10, 10]. The weights sum to nothing fixed.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        learning_rate: of s, above 0.

    Raises:
        ValueError: a learning rate that is not above 0.

    Example:
        >>> balancer = UncertaintyRevised(["small", "large"], learning_rate=0.1)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for _ in range(300):
        ...     weights = balancer.backward({"small": w, "large": 4 * w}, shared=[])
        >>> {name: round(weight, 2) for name, weight in weights.items()}
        {'small': 0.5, 'large': 0.18}

    Paper: Liebel and Körner, Auxiliary Tasks in Multi-task Learning, 2018, 1805.06334.

    Deviates: log σ² is learned in place of σ, so that it cannot reach 0; it has an Adam of its own, and takes
    part in no weight decay and no schedule.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "liebel2018"
    use_when: ClassVar[str] = "As `uncertainty`, where a loss near 0 should gain weight more slowly."
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
        self.adam = TaskAdam(len(self.tasks), learning_rate, "uncertainty_revised")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """1/(2σ²) of the tasks present; then s takes its step."""
        s = self.log_variance[signals.index]
        weights = torch.exp(-s) / 2
        self.adam.move(self.log_variance, signals.index, torch.sigmoid(s) - weights * signals.losses)
        return weights
