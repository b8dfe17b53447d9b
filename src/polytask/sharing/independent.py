"""No sharing: a chain of stages for every task, in one model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.starts import Initialisation, cut, own_chains


class Independent(Sharing):
    """Every task has the whole chain to itself: f_t = s^t_L(… s^t_1(x)).

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        initialisation: "equal": all chains start from the same weights, as single-task twins would; "own": each from
            draws of its own.

    Raises:
        ValueError: an initialisation that is not known.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = Independent(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> list(sharing({NUMBERS: torch.ones(3, 2)}, ["sold"]))  # the other chain is not run
        ['sold']
        >>> list(sharing.shared_parameters())
        []
    """

    use_when: ClassVar[str] = "the yardstick: what sharing has to beat"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        chains = own_chains("independent", make_encoder, self.tasks, initialisation)
        self.widths = tuple(next(iter(chains.values())).widths)
        self.chains = cut(chains, {task: self.depth(task) for task in self.tasks})

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage of each task's own chain."""
        return {task: run_stages(self._chain(task), inputs) for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """All of the task's chain."""
        return self._chain(task).parameters()

    def _chain(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.chains[f"task_{task}"])
