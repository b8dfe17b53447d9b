"""Every loss divided by the moving average of itself."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class EMANormalised(Balancer):
    """w_i = c_i / m_i with m_i ← βm_i + (1 − β)L_i: all tasks' losses are brought near 1.

    m starts at the task's first loss and takes in the present one before it divides. Losses are clamped at
    1e-8. The weights sum to nothing fixed, but Σ w_i L_i stays near Σ c_i.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        momentum: β, at least 0 and below 1; 0 is `scale_invariant`.
        weights: c, task -> number of at least 0, or a list in the order of `tasks`; 1 where not given.

    Raises:
        ValueError: a momentum or weights that cannot be.

    Example:
        >>> balancer = EMANormalised(["a", "b"], momentum=0.5)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for loss in (4.0, 2.0):
        ...     weights = balancer.backward({"a": loss * w, "b": 0.5 * w}, shared=[w])
        >>> weights  # m of "a" is now 3
        {'a': 0.333..., 'b': 2.0}

    Paper: Lakkapragada, Sleiman, Surabhi and Wall, Mitigating Negative Transfer in Multi-Task Learning with
    Exponential Moving Average Loss Weighting Strategies, 2022, 2211.12999.

    Deviates: of the paper's strategies this is the one that divides by the average; β = 0.9 is ours. Losses of
    0 or below are clamped.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "lakkapragada2022"
    use_when: ClassVar[str] = "As `scale_invariant`, where the loss of one batch is too noisy to divide by."
    weights: Tensor
    average: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        momentum: float = 0.9,
        weights: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= momentum < 1:
            raise ValueError(f"ema_normalised: momentum={momentum}, a number from 0 to below 1 is wanted, such as 0.9")
        self.momentum = momentum
        found = per_task(weights, self.tasks, "weights", "ema_normalised", default=1.0, least=0.0)
        self.register_buffer("weights", found)
        self.register_buffer("average", torch.full((len(self.tasks),), torch.nan, dtype=torch.float64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """c/m of the tasks present, after their losses joined m."""
        losses, before = signals.losses.clamp_min(1e-8), self.average[signals.index]
        after = self.momentum * before + (1 - self.momentum) * losses
        average = torch.where(before.isnan(), losses, after)
        self.average[signals.index] = average
        return self.weights[signals.index] / average
