"""IMTL-L: a learned scale a task that brings every loss to 1."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.task_adam import TaskAdam
from polytask.gradients import Engine, Signals


class IMTLL(Balancer):
    """Σ exp(s_i) L_i − s_i with s learned: w_i = exp(s_i).

    ds_i = exp(s_i) L_i − 1, so exp(s_i) settles at 1/L_i, where all scaled losses are 1. It is twice
    `uncertainty` with −s. s starts at 0 (all weights 1: the sum), moves by Adam and stays in [−10, 10], since
    a loss that reaches 0 or below has no minimum in s. The weights sum to nothing fixed.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        learning_rate: of s, above 0.

    Raises:
        ValueError: a learning rate that is not above 0.

    Example:
        >>> balancer = IMTLL(["small", "large"], learning_rate=0.1)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for _ in range(200):
        ...     weights = balancer.backward({"small": w / 4, "large": 4 * w}, shared=[])
        >>> {name: round(weight, 2) for name, weight in weights.items()}
        {'small': 4.0, 'large': 0.25}

    Paper: Liu, Li, Kuang, Xue, Chen, Yang, Liao and Zhang, Towards Impartial Multi-task Learning, ICLR 2021.

    Deviates: s has an Adam of its own, where the paper trains it with the network; it is bounded.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "liuliyang2021"
    use_when: ClassVar[str] = "As `uncertainty`, starting from the plain sum; losses have to be above 0."
    log_scale: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        learning_rate: float = 0.025,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        self.register_buffer("log_scale", torch.zeros(len(self.tasks), dtype=torch.float64))
        self.adam = TaskAdam(len(self.tasks), learning_rate, "imtl_l")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """exp(s) of the tasks present; then s takes its step."""
        s = self.log_scale[signals.index]
        scale = torch.exp(s)
        self.adam.move(self.log_scale, signals.index, scale * signals.losses - 1)
        return scale
