"""Mean teacher: the student keeps to what the average of its own past weights says, with a label or without."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from polytask.data import Batch
from polytask.feature import OutputSpec
from polytask.model import Model
from polytask.tasks import Fitted, Task, in_full_precision

#: Makes the context of a forward pass.
Cast = Callable[[], Any]
#: By name.
Tasks = Mapping[str, Task]


@dataclass(frozen=True, kw_only=True)
class MeanTeacher:
    """A penalty on how far the model's outputs are from those of its own moving average, on rows without labels too.

    Added to the losses, unseen by the balancer: weight · r(t) · Σ_tasks mean (p − p')², where p are the probabilities
    (of a regression the standardised output) of the model, p' those of the average, both in training mode and so with
    their own draws of dropout, noise and augmentation. r(t) = exp(−5 (1 − t)²) rises to 1 at t = 1, when `ramp` of all
    steps are done. The average is what validation judges and the Run keeps.

    Args:
        weight: of the penalty once it has risen, above 0.
        ramp: the share of all steps (epochs · steps an epoch) over which it rises, 0 to 1.
        decay: of the average, in (0, 1); of the first steps the plain mean is taken until that decays faster.

    Raises:
        ValueError: a number out of its range.

    Paper: Tarvainen and Valpola, Mean Teachers are Better Role Models, NeurIPS 2017, arXiv 1703.01780.

    Deviates: one decay, where the paper's rises after the ramp; several tasks' penalties are added up.
    """

    weight: float = 10.0
    ramp: float = 0.3
    decay: float = 0.99

    paper: ClassVar[str] = "tarvainen2017"

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"mean_teacher.weight={self.weight}: a number above 0")
        if not 0 <= self.ramp <= 1:
            raise ValueError(f"mean_teacher.ramp={self.ramp}: a share of all steps, 0 to 1")
        if not 0 < self.decay < 1:
            raise ValueError(f"mean_teacher.decay={self.decay}: a decay between 0 and 1, such as 0.99")

    def weight_at(self, share: float) -> float:
        """What the penalty weighs when this share of all steps is done.

        Example:
            >>> [round(MeanTeacher(weight=1.0, ramp=0.5).weight_at(share), 4) for share in (0, 0.25, 0.5, 1)]
            [0.0067, 0.2865, 1.0, 1.0]
        """
        risen = min(1.0, share / self.ramp) if self.ramp else 1.0
        return self.weight * math.exp(-5 * (1 - risen) ** 2)

    def average(self, averaged: Any, current: Any, number: Any) -> None:
        """Moves the average of `number` weights towards the next: what torch's AveragedModel calls."""
        decay = min(self.decay, 1 - 1 / (float(number) + 1))
        get_ema_multi_avg_fn(decay)(averaged, current, number)


class Teacher(ABC):
    """Who a step's outputs are compared with."""

    @abstractmethod
    def asks(self, names: Sequence[str], batch: Batch) -> list[str]:
        """The tasks whose outputs are wanted on a batch."""

    @abstractmethod
    def compare(self, batch: Batch, outputs: Mapping[str, Float[Tensor, "batch ..."]]) -> None:
        """Takes in the model's outputs on a batch."""

    @abstractmethod
    def penalty(self) -> Float[Tensor, ""] | None:
        """What all comparisons come to; None where there was none."""


class NoTeacher(Teacher):
    """Nobody: tasks with a label are asked, and nothing is compared."""

    def asks(self, names: Sequence[str], batch: Batch) -> list[str]:
        """Those with a label."""
        return [name for name in names if name in batch.labelled]

    def compare(self, batch: Batch, outputs: Mapping[str, Float[Tensor, "batch ..."]]) -> None:
        """Does nothing."""

    def penalty(self) -> Float[Tensor, ""] | None:
        """None."""
        return None


#: What a plain training has.
NONE = NoTeacher()


class AveragedTeacher(Teacher):
    """The average of a model's past weights, in one step.

    Args:
        model: the average.
        outputs: of the tasks that are compared.
        weight: of the penalty in this step.
        autocast: of the forward pass.
    """

    def __init__(self, model: Model, outputs: Mapping[str, OutputSpec], weight: float, autocast: Cast) -> None:
        self.model, self.outputs, self.weight, self.autocast = model, outputs, weight, autocast
        self._sums: dict[str, list[Tensor]] = {}
        self._rows: dict[str, int] = {}

    def asks(self, names: Sequence[str], batch: Batch) -> list[str]:
        """All that are compared, and those with a label."""
        return [n for n in names if n in self.outputs or n in batch.labelled] if batch.num_rows else []

    def compare(self, batch: Batch, outputs: Mapping[str, Float[Tensor, "batch ..."]]) -> None:
        """Runs the teacher on the same rows, under draws of its own."""
        names = [name for name in outputs if name in self.outputs]
        self.model.train()
        with torch.no_grad(), self.autocast():
            wanted = self.model(batch.inputs if batch.second is None else batch.second, names)
        for name in names:
            p, q = (self.outputs[name].probabilities(in_full_precision(x[name])) for x in (outputs, wanted))
            self._sums.setdefault(name, []).append((p - q).square().reshape(len(p), -1).mean(dim=1).sum())
            self._rows[name] = self._rows.get(name, 0) + len(p)

    def penalty(self) -> Float[Tensor, ""] | None:
        """The weighted sum over tasks of the mean over rows."""
        if not self._sums:
            return None
        means = [torch.stack(sums).sum() / self._rows[name] for name, sums in self._sums.items()]
        return self.weight * torch.stack(means).sum()


def compared(tasks: Tasks, fitted: Mapping[str, Fitted]) -> dict[str, OutputSpec]:
    """What the heads of the tasks give that can be compared: those whose outputs have no place that could move."""
    return {name: task.output_spec(fitted[name]) for name, task in tasks.items() if task.spatial is None}
