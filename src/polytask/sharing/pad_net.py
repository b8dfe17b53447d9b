"""PAD-Net: a feature for each task from the shared one, and messages between them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.last import LastForward


class Local(nn.Module):
    """A convolution on pictures; on vectors and sequences, with a kernel of 1, a linear map of channels."""

    def __init__(self, before: int, after: int, kernel: int, generator: torch.Generator, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(before * kernel**2)  # torch's own for a convolution
        drawn = torch.empty(after, before, kernel, kernel).uniform_(-bound, bound, generator=generator)
        self.weight = nn.Parameter(drawn)
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """`[B, C, H, W]`, `[B, L, C]` or `[B, C]`, of the same size but for channels."""
        middle = self.weight.shape[-1] // 2
        if values.ndim == 4:
            return functional.conv2d(values, self.weight, self.bias, padding=middle)
        return functional.linear(values, self.weight.flatten(1), self.bias)


class Message(nn.Module):
    """σ(W f) ⊙ V f: what one task's feature gives another's."""

    def __init__(self, channels: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        self.gate, self.value = (Local(channels, channels, kernel, generator, bias=False) for _ in range(2))

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The gated map."""
        return self.gate(values).sigmoid() * self.value(values)


class PadNet(Sharing):
    """Tasks that are read at the same stage give each other what they see there.

    At the deepest stage that its head reads, a task has f_t = relu(A_t h) of the shared feature h, and its head reads
    f_t + Σ_{j≠t} σ(W_tj f_j) ⊙ V_tj f_j over the tasks of that stage. A, W and V are convolutions on pictures, maps of
    channels on vectors and sequences. In training a second head of each task predicts from f_t alone; its loss,
    times `initial_weight`, is added to the task's.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the first weights of A, W and V.
        channels: of f_t; None: as many as h has. The paper's are 256; every pair of tasks has two maps of them.
        kernel: side of the convolutions on pictures, odd.
        initial_weight: of the second heads' losses, at least 0; 0: no second heads.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> from polytask.encoders import LeNet
        >>> from polytask.feature import InputSpec
        >>> make_encoder = lambda copy: LeNet(InputSpec(images={"photo": (1, 16, 16)}))
        >>> tasks = {"depth": (0,), "edges": (0,)}
        >>> sharing = PadNet(make_encoder, tasks, torch.Generator(), channels=5)
        >>> sharing({"photo": torch.ones(2, 1, 16, 16)}, ["depth"])["depth"][0].values.shape
        torch.Size([2, 5, 8, 8])

    Paper: Xu, Ouyang, Wang and Sebe, PAD-Net: Multi-Tasks Guided Prediction-and-Distillation Network for Simultaneous
    Depth Estimation and Scene Parsing, CVPR 2018, arXiv 1805.04409.

    Deviates: A is one convolution with a ReLU; what is handed on is f_t, not the initial prediction itself, which is
    the paper's third and best module; every task predicts first, where the paper's first predictions include auxiliary
    ones that have no final head.
    """

    paper: ClassVar[str] = "xud2018"
    use_when: ClassVar[str] = "dense tasks on one picture (depth, segments, edges) that can see each other's mistakes"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        channels: int | None = None,
        kernel: int = 3,
        initial_weight: float = 1.0,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        if channels is not None and channels < 1:
            raise ValueError(
                f"pad_net: channels={channels}, a whole number from 1 is wanted, or null: as the stage has"
            )
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"pad_net: kernel={kernel}, an odd number from 1 is wanted, such as 3")
        if not 0 <= initial_weight < float("inf"):
            raise ValueError(f"pad_net: initial_weight={initial_weight}, a number from 0 is wanted, such as 1")
        self.channels, self.initial_weight = channels, initial_weight
        trunk = make_encoder(0)
        self.widths, kinds = tuple(trunk.widths), trunk.kinds()
        self.trunk = trunk.stages[: max(self.depth(task) for task in self.tasks)]
        self.adapters, self.messages = nn.ModuleDict(), nn.ModuleDict()
        for task in sorted(self.tasks):
            before, after = self.widths[self.depth(task) - 1], self.widths_of(task)[self.depth(task) - 1]
            side = kernel if kinds[self._place(task)] == "picture" else 1
            self.adapters[f"task_{task}"] = Local(before, after, side, generator)
            received = {f"task_{other}": Message(after, side, generator) for other in self._others(task)}
            self.messages[f"task_{task}"] = nn.ModuleDict(received)
        #: In training: task -> what its second head reads.
        self._initial = LastForward()

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage; f_j is made for all tasks of the stages that these tasks' heads read."""
        shared = run_stages(self.trunk[: max(self.depth(task) for task in tasks)], inputs)
        wanted = sorted({name for task in tasks for name in (task, *self._others(task))})
        own = {task: self.adapters[f"task_{task}"](shared[self.depth(task) - 1].values).relu() for task in wanted}

        def read(task: str, values: Tensor) -> list[Feature]:
            *before, last = shared[: self.depth(task)]
            return [*before, Feature(values, last.mask)]

        is_predicting = self.training and self.initial_weight > 0
        self._initial.values = {task: read(task, own[task]) for task in tasks} if is_predicting else {}
        return {task: read(task, self._with_messages(task, own)) for task in tasks}

    def initial_features(self) -> dict[str, list[Feature]]:
        """What the second heads read: f_t at the deepest stage."""
        return self._initial.values

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """What it receives; its f_t where no other task is read there; stages that no other task's head needs."""
        own = self.own_stages(task)
        alone = iter(()) if self._others(task) else self.adapters[f"task_{task}"].parameters()
        stages = self.trunk[own.start : own.stop].parameters()
        return chain(stages, alone, self.messages[f"task_{task}"].parameters())

    def widths_of(self, task: str) -> Sequence[int]:
        """As the encoder's, with `channels` at the deepest stage that this task's head reads."""
        if self.channels is None:
            return self.widths
        last = self._place(task)
        return (*self.widths[:last], self.channels, *self.widths[last + 1 :])

    def _with_messages(self, task: str, own: Mapping[str, Tensor]) -> Tensor:
        values = own[task]
        received = cast(nn.ModuleDict, self.messages[f"task_{task}"])
        for other in self._others(task):
            values = values + received[f"task_{other}"](own[other])
        return values

    def _others(self, task: str) -> list[str]:
        """The other tasks that are read at its stage, by name."""
        return sorted(other for other in self.tasks if other != task and self._place(other) == self._place(task))

    def _place(self, task: str) -> int:
        return max(stage % len(self.widths) for stage in self.tasks[task])
