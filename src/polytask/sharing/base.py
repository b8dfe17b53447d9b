"""What every sharing scheme is: who runs which stage with whom."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import choose
from polytask.feature import Feature, Inputs, MakeEncoder


class Sharing(nn.Module, ABC):
    """Runs the stages for the tasks asked for.

    A concrete scheme is built as `TheSharing(make_encoder, tasks, generator, **settings)`, makes its own fresh chains
    by calling `make_encoder(copy)`, and sets `tasks` and `widths`.

    Args:
        make_encoder: builds a fresh chain of stages; equal `copy` numbers start from equal weights.
        tasks: task -> the stages its head reads (0 the first, -1 the last).
        generator: for the draws of schemes that draw.

    Attributes:
        tasks: task -> the stages its head reads, in order.
        widths: channels after each stage, as heads read them.
    """

    tasks: Mapping[str, tuple[int, ...]]
    widths: Sequence[int]
    #: `TheSharing.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)

    @abstractmethod
    def __init__(
        self, make_encoder: MakeEncoder, tasks: Mapping[str, tuple[int, ...]], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.tasks = dict(tasks)

    @abstractmethod
    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage for each of these tasks, running only what they need."""

    @abstractmethod
    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The parameters that this task alone reaches."""

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that at least two tasks' losses reach: all that no task owns."""
        owned = {id(p) for task in self.tasks for p in self.task_parameters(task)}
        return (p for p in self.parameters() if id(p) not in owned)

    def depth(self, task: str) -> int:
        """How many stages this task needs: up to the last one its head reads."""
        return max(stage % len(self.widths) for stage in self.tasks[task]) + 1

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """Losses of the scheme itself from the last forward; no balancer sees them.

        The step adds them to the tasks' losses: where it has several forwards, the mean of each name over those that
        gave it.
        """
        return {}
