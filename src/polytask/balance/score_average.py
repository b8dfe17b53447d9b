"""Validation skills as a balancer may trust them: averaged over validations."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.gradients import Signals


class ScoreAverage(nn.Module):
    """k ← βk + (1 − β) score, once a validation; k starts at the first score.

    A score is new where it differs from the task's last one, or where the epoch does: steps between two
    validations see the same score and move nothing. NaN (no validation yet, or a skill that is not defined)
    moves nothing either.

    Args:
        num_tasks: length of the state.
        momentum: β, at least 0 and below 1.
    """

    average: Tensor
    last: Tensor
    epoch: Tensor

    def __init__(self, num_tasks: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("average", torch.full((num_tasks,), torch.nan, dtype=torch.float64))
        self.register_buffer("last", torch.full((num_tasks,), torch.nan, dtype=torch.float64))
        self.register_buffer("epoch", torch.full((num_tasks,), -1, dtype=torch.int64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The averages of the tasks present; NaN for a task that was never scored."""
        epoch = -1 if signals.epoch is None else signals.epoch
        is_new = (signals.scores != self.last[signals.index]) | (self.epoch[signals.index] != epoch)
        is_new &= ~signals.scores.isnan()
        index, score = signals.index[is_new], signals.scores[is_new]
        before = self.average[index]
        after = self.momentum * before + (1 - self.momentum) * score
        self.average[index] = torch.where(before.isnan(), score, after)
        self.last[index] = score
        self.epoch[index] = epoch
        return self.average[signals.index]
