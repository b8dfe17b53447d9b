"""MTAN: one trunk, and a task's own soft attention on its features at every stage."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.feature import Feature, Inputs, Kind, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import ChannelNorm, joined, mapped


class KindNorm(nn.Module):
    """Batch normalisation of a picture's channels; layer normalisation of any other feature's."""

    def __init__(self, channels: int, kind: Kind) -> None:
        super().__init__()
        self.is_picture = kind == "picture"
        self.layer = ChannelNorm(channels) if self.is_picture else nn.LayerNorm(channels)

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The normalised values."""
        normal: Tensor = self.layer(Feature(values) if self.is_picture else values)
        return normal


class AttentionBlock(nn.Module):
    """The mask of one task at one stage: a = sigmoid(norm(V ReLU(norm(U [h; r]))))."""

    def __init__(self, before: int, hidden: int, after: int, kind: Kind) -> None:
        super().__init__()
        self.narrow, self.narrow_norm = nn.Linear(before, hidden), KindNorm(hidden, kind)
        self.widen, self.widen_norm = nn.Linear(hidden, after), KindNorm(after, kind)

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The mask, each number in (0, 1)."""
        hidden = self.narrow_norm(mapped(self.narrow, values)).relu()
        mask: Tensor = self.widen_norm(mapped(self.widen, hidden))
        return mask.sigmoid()


class RefinementBlock(nn.Module):
    """What carries a masked feature on to the next stage: ReLU(norm(3 × 3 convolution)), or a linear map for it."""

    def __init__(self, before: int, after: int, kind: Kind) -> None:
        super().__init__()
        is_picture = kind == "picture"
        self.layer = nn.Conv2d(before, after, 3, padding=1) if is_picture else nn.Linear(before, after)
        self.norm = KindNorm(after, kind)

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The refined values, ≥ 0."""
        refined: Tensor = self.norm(self.layer(values))
        return refined.relu()


class MTAN(Sharing):
    """One trunk for all tasks; at every stage a task masks the trunk's feature by an attention of its own.

    With h_l the trunk's feature after stage l:

    - a^t_l = sigmoid(norm(V ReLU(norm(U [h_l; r^t_l])))), U and V linear maps of channels; the first stage has
      no r;
    - m^t_l = a^t_l * h_l is what the task's head reads;
    - r^t_(l+1) = pool(refine_l(m^t_l)), pooled to the form of h_(l+1).

    Attention is a task's own; refine_l, a 3 × 3 convolution with norm and ReLU, is one for all tasks that go further
    than l. The norm is batch normalisation for pictures; where a training batch has a single value a channel, the
    running statistics stand in for its own. For vectors and sequences, the norm is layer normalisation and refine_l a
    linear map of channels. Masks begin near 1/2; the trunk's features never depend on them.

    Args:
        make_encoder: builds a fresh chain of stages, which has to know their `kinds()`, as every `Encoder` does.
        tasks: task -> the stages its head reads.
        generator: for the initial weights of attention and refinement.
        reduction: how many times fewer channels there are between U and V than at the stage, ≥ 1 (4 in residual
            networks).

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = MTAN(lambda copy: MLP(spec, widths=(4,)), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["sold"])["sold"][-1].values.shape
        torch.Size([3, 4])

    Paper: Liu, Johns, Davison: End-to-end multi-task learning with attention. CVPR 2019. arXiv 1803.10704.
    Deviates: attention reads a stage's end, not a layer within it, since stages of any encoder are not divided.
    """

    paper: ClassVar[str] = "liu2019"
    use_when: ClassVar[str] = "tasks look at other parts or channels of the same features: pictures above all"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        reduction: int = 1,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        if reduction < 1:
            raise ValueError(f"mtan: reduction={reduction}, a whole number >= 1 is wanted")
        encoder = make_encoder(0)
        self.widths = widths = tuple(encoder.widths)
        kinds = encoder.kinds()
        deepest = max(self.depth(task) for task in self.tasks)
        self.trunk = encoder.stages[:deepest]
        self.refinements = nn.ModuleList(
            RefinementBlock(widths[stage], widths[stage + 1], kinds[stage]) for stage in range(deepest - 1)
        )
        self.attention = nn.ModuleDict()
        for task in self.tasks:
            self.attention[f"task_{task}"] = nn.ModuleList(
                AttentionBlock(width * (1 + (stage > 0)), max(1, width // reduction), width, kinds[stage])
                for stage, width in enumerate(widths[: self.depth(task)])
            )
        _start(self.refinements, generator)
        for task in sorted(self.tasks):  # whatever their order, the draws of each are the same
            _start(self._attention(task), generator)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The masked features after each stage; the trunk runs once, and no deeper than these tasks need."""
        found: dict[str, list[Feature]] = {task: [] for task in tasks}
        trunk: Feature | None = None
        for stage in range(max(self.depth(task) for task in tasks)):
            trunk = cast(Feature, self.trunk[stage](inputs if trunk is None else trunk))
            for task in tasks:
                if self.depth(task) > stage:
                    found[task].append(self._masked(task, stage, trunk, found[task]))
        return found

    def _masked(self, task: str, stage: int, trunk: Feature, before: list[Feature]) -> Feature:
        seen = [trunk.values]
        if before:
            refined = self.refinements[stage - 1](before[-1].values)
            seen.append(fitted(Feature(refined, before[-1].mask), trunk.values))
        mask = self._attention(task)[stage](joined(seen))
        return Feature(mask * trunk.values, trunk.mask)

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's attention, and stages and refinements that no other task's head needs."""
        own = self.own_stages(task)
        return chain(
            self._attention(task).parameters(),
            self.trunk[own.start : own.stop].parameters(),
            self.refinements[max(own.start - 1, 0) : own.stop - 1].parameters(),
        )

    def _attention(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.attention[f"task_{task}"])


def fitted(feature: Feature, like: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """Values ≥ 0 in the form of `like`: the largest of each area that becomes one position, or the mean of all."""
    values = feature.values
    if values.ndim == 4 and like.ndim == 4:
        return functional.adaptive_max_pool2d(values, like.shape[2:])
    if values.ndim == 3 and like.ndim == 3:
        if values.shape[1] == like.shape[1]:
            return values
        if feature.mask is not None:  # padding is 0, hence never larger than what it stands beside
            values = values * feature.mask.unsqueeze(-1)
        return functional.adaptive_max_pool1d(values.transpose(1, 2), like.shape[1]).transpose(1, 2)
    pooled = feature.pooled()
    if like.ndim == 3:
        return pooled.unsqueeze(1).expand(-1, like.shape[1], -1)
    return pooled[:, :, None, None].expand(-1, -1, *like.shape[2:]) if like.ndim == 4 else pooled


def _start(module: nn.Module, generator: torch.Generator) -> None:
    """Xavier's normal weights and biases of 0, as in the authors' code."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_normal_(layer.weight, generator=generator)
            nn.init.zeros_(cast(Tensor, layer.bias))
