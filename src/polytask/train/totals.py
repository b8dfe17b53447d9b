"""Running sums of an epoch: losses, weights, penalties, rows."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


class Totals:
    """Running sums of an epoch, kept on the device so that no step waits for a number."""

    def __init__(self, tasks: Iterable[str]) -> None:
        names = list(tasks)
        self.losses: dict[str, Tensor | None] = dict.fromkeys(names)
        self.steps = dict.fromkeys(names, 0)
        self.weights = dict.fromkeys(names, 0.0)
        self.rows = 0
        self.penalty: Tensor | None = None
        self.penalties = 0
        self.consistency: Tensor | None = None
        self.consistencies = 0

    def add(
        self,
        losses: Mapping[str, Tensor],
        weights: Mapping[str, float],
        rows: int,
        penalty: Tensor | None = None,
        consistency: Tensor | None = None,
    ) -> None:
        """Takes in one step."""
        if penalty is not None:
            self.penalty = penalty.detach() if self.penalty is None else self.penalty + penalty.detach()
            self.penalties += 1
        if consistency is not None:
            before_it = 0.0 if self.consistency is None else self.consistency
            self.consistency, self.consistencies = before_it + consistency.detach(), self.consistencies + 1
        for name, loss in losses.items():
            # Apple's GPUs have no float64.
            wide = torch.float32 if loss.device.type == "mps" else torch.float64
            before, now = self.losses[name], loss.detach().to(wide)
            self.losses[name] = now if before is None else before + now
            self.steps[name] += 1
            self.weights[name] += weights[name]
        self.rows += rows

    def mean_losses(self) -> dict[str, float]:
        """Mean training loss of every task that had a step."""
        return {n: float(total) / self.steps[n] for n, total in self.losses.items() if total is not None}

    def mean_penalty(self) -> float | None:
        """Mean penalty of the steps that had one; None where none had."""
        return None if self.penalty is None else float(self.penalty) / self.penalties

    def mean_consistency(self) -> float | None:
        """Mean penalty of the mean teacher; None where there is none."""
        return None if self.consistency is None else float(self.consistency) / self.consistencies

    def mean_weights(self) -> dict[str, float]:
        """Mean balancer weight of every task that had a step."""
        return {n: total / self.steps[n] for n, total in self.weights.items() if self.steps[n]}
