"""IMTL: impartial in the losses (IMTL-L, for heads) and in the gradients (IMTL-G, for shared parameters)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.from_gramian.imtl_g import equal_projections
from polytask.balance.task_adam import TaskAdam
from polytask.gradients import Engine, Signals, solve_live


class IMTL(Balancer):
    """Losses e^(s_i) L_i with s learned, so that all come to 1; their gradients combined as `IMTLG` does.

    s_i follows the slope of e^(s_i) L_i − s_i, which is e^(s_i) L_i − 1, and settles at −log L_i. Heads take
    the gradient of e^(s_i) L_i; shared parameters take Σ w_i e^(s_i) g_i with w as of IMTL-G on the gradients
    e^(s_i) g_i. s starts at 0, moves by Adam, and stays in [−10, 10], since a loss that reaches 0 or below
    has no minimum in s. The weights that `backward` returns are w_i e^(s_i), of the raw gradients.

    The weights w sum to ±1: the update has the length of a *mean* of the gradients of the scaled losses.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        learning_rate: of s, above 0.

    Raises:
        ValueError: a learning rate that is not above 0.

    Example:
        >>> balancer = IMTL(["small", "large"], learning_rate=0.1)
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> for _ in range(300):
        ...     weights = balancer.backward({"small": w[0] / 4, "large": 4 * w[1]}, shared=[w])
        >>> balancer.log_scale.exp().numpy().round(1)  # 1/loss
        array([4. , 0.2])

    Paper: Liu, Li, Kuang, Xue, Chen, Yang, Liao and Zhang, Towards Impartial Multi-task Learning, ICLR 2021.

    Deviates: as `IMTLG` does; and s has an Adam of its own, so it takes part in no weight decay and no
    schedule.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "liuliyang2021"
    use_when: ClassVar[str] = "Losses and gradients both of very different scale; unsteady as `imtl_g` is."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
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
        self.adam = TaskAdam(len(self.tasks), learning_rate, "imtl")

    def loss_factors(
        self, index: Int[Tensor, " present"], losses: Float[Tensor, " present"]
    ) -> Float[Tensor, " present"]:
        """e^s of the tasks present."""
        return torch.exp(self.log_scale[index])

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """IMTL-G's weights on the gradients of the scaled losses; then s takes its step."""
        weights = solve_live(signals.gramian, equal_projections, idle=1.0 / len(signals.names))
        slope = torch.exp(self.log_scale[signals.index]) * signals.losses - 1
        self.adam.move(self.log_scale, signals.index, slope)
        return weights
