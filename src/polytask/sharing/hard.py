"""Hard sharing: one trunk for all tasks."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar, cast

import torch
from torch import nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.starts import Initialisation, check_initialisation, copy_of


class Hard(Sharing):
    """All tasks run the first `split` stages together; each runs the rest on its own copy.

    f_t = s_L(… s_1(x)), the stages up to `split` being the same object for every task. `split=None` shares all stages
    (only heads are owned); `split=0` shares none. A stage that a single task's head needs belongs to that task.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        split: how many stages are shared, 0 to the number of stages; all where not given.
        initialisation: of the stages behind `split`. "equal": those of all tasks start from the same weights, as
            single-task twins would; "own": each task's from draws of its own.

    Raises:
        ValueError: `split` beyond the encoder's stages; an initialisation that is not known, or has no effect since
            all stages are shared.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = Hard(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator(), split=2)
        >>> features = sharing({NUMBERS: torch.ones(3, 2)}, ["price", "sold"])
        >>> [a is b for a, b in zip(features["price"], features["sold"])]  # the last stage is each task's own
        [True, True, False]

    Paper: Caruana, Multitask Learning, Machine Learning 28, 1997.
    """

    paper: ClassVar[str] = "caruana1997"
    use_when: ClassVar[str] = "tasks are alike enough for one trunk: the first thing to try, and the cheapest"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        split: int | None = None,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        trunk = make_encoder(0)
        self.widths = tuple(trunk.widths)
        num_stages = len(self.widths)
        self.split = num_stages if split is None else split
        if not 0 <= self.split <= num_stages:
            raise ValueError(f"hard sharing: split={split}, but the encoder has {num_stages} stages: 0 to {num_stages}")
        check_initialisation("hard sharing", initialisation)
        if initialisation == "own" and self.split == num_stages:
            raise ValueError(
                f"hard sharing: initialisation='own' has no effect where all {num_stages} stages are shared: "
                f"leave it out, or set split to 0 … {num_stages - 1}"
            )
        deepest = max(self.depth(task) for task in self.tasks)
        self.trunk = trunk.stages[: min(self.split, deepest)]
        self.tails = nn.ModuleDict()
        for task in self.tasks:
            self.tails[f"task_{task}"] = nn.ModuleList()
            if self.split < self.depth(task):
                own = make_encoder(copy_of(task, initialisation))
                self.tails[f"task_{task}"] = own.stages[self.split : self.depth(task)]

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage; shared stages run once, and no deeper than these tasks need."""
        depth = max(self.depth(task) for task in tasks)
        shared = run_stages(self.trunk[:depth], inputs)
        start = shared[-1] if shared else inputs
        return {task: shared + run_stages(self._tail(task), start) for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's own stages, and shared ones that no other task's head needs."""
        own = self.own_stages(task)
        return chain(self._tail(task).parameters(), self.trunk[own.start : own.stop].parameters())

    def _tail(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.tails[f"task_{task}"])
