"""Dynamic weight average: more weight where the loss falls slowly."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals


class DWA(Balancer):
    """w = T softmax(r/τ), r_i = the ratio of the task's mean losses of the last two epochs.

    r_i near 1: the loss stands still, the task gets more; r_i small: it falls quickly, the task gets less. A
    task's mean is over the batches where it was present; one without two means yet weighs 1. Losses are
    clamped at 1e-8. The weights sum to the number of tasks present.

    Where nobody counts epochs (`backward(…)` without `epoch=`), every `window` steps are one.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        temperature: τ, above 0: large for equal weights.
        window: steps in place of an epoch where no epoch is given, at least 1.

    Raises:
        ValueError: a temperature or a window that cannot be.

    Example:
        >>> balancer = DWA(["falls", "stands"], temperature=1.0)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for epoch, loss in enumerate([4.0, 2.0, 1.0]):
        ...     weights = balancer.backward({"falls": loss * w, "stands": 3 * w}, shared=[w], epoch=epoch)
        >>> weights
        {'falls': 0.755..., 'stands': 1.244...}

    Paper: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019, 1803.10704.

    Deviates: tasks may be absent, and epochs may be windows of steps; both are the paper's rule otherwise.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "liu2019"
    use_when: ClassVar[str] = "Tasks learn at different speeds, and the scales of their losses are right already."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    epoch: Tensor
    total: Tensor
    count: Tensor
    last: Tensor
    before: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        temperature: float = 2.0,
        window: int = 25,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not temperature > 0:
            raise ValueError(f"dwa: temperature={temperature}, a number above 0 is wanted, such as 2")
        if window < 1:
            raise ValueError(f"dwa: window={window}, at least 1 step is wanted, such as 25")
        self.temperature = temperature
        self.window = window
        zeros = torch.zeros(len(self.tasks), dtype=torch.float64)
        self.register_buffer("epoch", torch.full((), -1, dtype=torch.int64))
        self.register_buffer("total", zeros.clone())
        self.register_buffer("count", zeros.clone())
        self.register_buffer("last", zeros + torch.nan)
        self.register_buffer("before", zeros + torch.nan)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Weights from the two finished epochs; the losses join the mean of the running one."""
        epoch = signals.step // self.window if signals.epoch is None else signals.epoch
        if epoch != int(self.epoch):
            self._finish_epoch()
            self.epoch.fill_(epoch)
        self.total[signals.index] += signals.losses
        self.count[signals.index] += 1
        ratio = (self.last.clamp_min(1e-8) / self.before.clamp_min(1e-8))[signals.index]
        weights = torch.ones_like(ratio)
        is_known = ~ratio.isnan()
        weights[is_known] = is_known.sum() * torch.softmax(ratio[is_known] / self.temperature, dim=0)
        return weights

    def _finish_epoch(self) -> None:
        seen = self.count > 0
        self.before[seen] = self.last[seen]
        self.last[seen] = self.total[seen] / self.count[seen]
        self.total.zero_()
        self.count.zero_()
