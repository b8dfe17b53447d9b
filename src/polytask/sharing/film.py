"""FiLM: a scale and a shift of every channel for each task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import along_channels
from polytask.sharing.conditioned_chain import ConditionedChain, conditioned_stages


class Modulation(nn.Module):
    """(1 + g) h + b, a number of each a channel, behind a stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, stage: nn.Module, source: Inputs | Feature) -> Feature:
        """The stage's feature, modulated."""
        feature: Feature = stage(source)
        values = feature.values
        gain, shift = along_channels(self.gain, values), along_channels(self.shift, values)
        return feature._replace(values=(1 + gain) * values + shift)


class FiLM(Sharing):
    """One trunk for all tasks; behind each conditioned stage every task scales and shifts the channels its own way.

    h_t <- (1 + g_t) h_t + b_t, with g_t and b_t learnt vectors of task t, 0 at the start: hard sharing, bit for bit.
    What lies before the first conditioned stage runs once, all else once a task asked for.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        stages: the conditioned stages, 0 the first, -1 the last; all but the first where not given.

    Raises:
        ValueError: stages that the encoder does not have, or none.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = FiLM(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator(), stages=(-1,))
        >>> [tuple(p.shape) for p in sharing.task_parameters("sold")]
        [(4,), (4,)]

    Paper: Perez, Strub, de Vries, Dumoulin, Courville: FiLM: visual reasoning with a general conditioning layer. AAAI
        2018. arXiv 1709.07871.

    Deviates: there a network of the question gives the scales and shifts of an example; here the task alone does.
    """

    paper: ClassVar[str] = "perez2018"
    use_when: ClassVar[str] = "tasks want the same features in other strengths: two numbers a channel and task"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        self.chain = ConditionedChain(
            encoder.stages,
            {task: self.depth(task) for task in self.tasks},
            conditioned_stages("film", stages, len(self.widths)),
            lambda stage: Modulation(self.widths[stage]),
        )

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, modulated for each task."""
        found: dict[str, list[Feature]] = self.chain(inputs, tasks)
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's scales and shifts, and stages that no other task's head needs."""
        return self.chain.parameters_of(task, self.own_stages(task))
