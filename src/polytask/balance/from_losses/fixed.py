"""Weights chosen by hand: tuned, they match most balancers."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class Fixed(Balancer):
    """Σ w_i L_i with given w. A task of weight 0 is measured but teaches nothing.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        weights: task -> weight >= 0, for every task; or a list in the order of `tasks`.

    Raises:
        ValueError: weights missing, left over, negative, not finite, or all zero; names the task.

    Example:
        >>> Fixed(["a", "b"], weights={"a": 1.0, "b": 0.1}).weights
        tensor([1.0000, 0.1000], dtype=torch.float64)
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    use_when: ClassVar[str] = (
        "You know, or can tune, how much each task counts: the baseline that a method has to beat."
    )
    is_impartial: ClassVar[bool] = False
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
        self.register_buffer("weights", per_task(weights, self.tasks, "weights", "fixed", least=0.0))
        if not self.weights.any():
            raise ValueError("fixed: all weights are 0, so nothing would be learnt: give one task a weight above 0")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The given weights of the tasks present."""
        return self.weights[signals.index]
