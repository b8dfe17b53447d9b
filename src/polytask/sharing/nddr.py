"""NDDR: a chain a task, whose features are joined and reduced again behind every stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import nn

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import ChannelNorm, joined, mapped
from polytask.sharing.mixed_chains import MixedChains, check_diagonal, check_one_table, mixed_stages, starts_of
from polytask.sharing.record import Record
from polytask.sharing.starts import Initialisation, own_chains

#: Of the running statistics, as in the authors' code.
MOMENTUM = 0.05


class NddrUnit(nn.Module):
    """One task's layer: x <- ReLU(BN(P [x^1; …; x^T])).

    Args:
        starts: a number a source; P begins as a diagonal of it in each source's block.
        channels: of every source.
    """

    def __init__(self, starts: Sequence[float], channels: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(len(starts) * channels, channels, bias=False)
        with torch.no_grad():
            self.reduce.weight.copy_(torch.cat([start * torch.eye(channels) for start in starts], dim=1))
        self.norm = ChannelNorm(channels, momentum=MOMENTUM)
        self.activation = nn.ReLU()

    def forward(self, sources: list[Feature]) -> Feature:
        """The reduced feature."""
        values = mapped(self.reduce, joined([source.values for source in sources]))
        return Feature(self.activation(self.norm(Feature(values, sources[0].mask))))


class NDDR(Sharing):
    """A chain a task; behind every stage each task goes on with its own reduction of what all chains have found.

    x^t_l = ReLU(BN(P^t_l [s^1_l(x^1_(l-1)); …; s^T_l(x^T_(l-1))])), P being a 1 × 1 convolution from T C to C channels
    without a bias, that is a linear map at every position of a sequence or picture. Heads read x^t_l, behind the last
    stage too. A task's chain is as deep as its head reads; behind a stage the chains that are that deep are joined, T
    of them, where they are two or more. All chains run to serve one task. The paper counts weight decay as a part of
    the layer: choose an optimiser that has it (`adamw`). Padding of sequences counts in no statistic; where a
    training batch has a single value a channel, the running statistics stand in for its own.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        stages: behind which stages there are layers (0 the first, -1 the last); all where not given.
        diagonal: of the task's own block of P at the start, in [0, 1]; those of others are (1 - diagonal) / (T - 1).
        initialisation: "equal": all chains start from the same weights; "own": each from draws of its own.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = NDDR(lambda copy: MLP(spec, widths=(4,)), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["sold"])["sold"][-1].values.shape
        torch.Size([3, 4])

    Paper: Gao, Ma, Zhao, Liu, Yuille: NDDR-CNN: layerwise feature fusing in multi-task CNNs by neural discriminative
        dimensionality reduction. CVPR 2019. arXiv 1801.08297.
    Deviates: chains start fresh, not from trained single-task networks.
    """

    paper: ClassVar[str] = "gao2019"
    use_when: ClassVar[str] = "as for cross_stitch, where tasks need other channels of each other than their own"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
        diagonal: float = 0.9,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        check_diagonal("nddr", diagonal)
        chains = own_chains("nddr", make_encoder, self.tasks, initialisation)
        self.widths = tuple(next(iter(chains.values())).widths)

        def make_unit(task: str, members: Sequence[str], channels: int) -> NddrUnit:
            return NddrUnit(starts_of(task, members, diagonal), channels)

        depths = {task: self.depth(task) for task in self.tasks}
        self.mixed = MixedChains(chains, depths, mixed_stages("nddr", stages, len(self.widths)), make_unit)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The reduced features behind each stage."""
        found: dict[str, list[Feature]] = self.mixed(inputs, tasks)
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The last layer that the task meets, and stages that nobody else meets."""
        return self.mixed.task_parameters(task)

    def records(self) -> dict[str, Record]:
        """The diagonals of P's blocks behind every stage, as the mean over channels."""
        found = {}
        for stage, members, units in self.mixed.mixers():
            blocks = [cast(NddrUnit, unit).reduce.weight.detach().chunk(len(members), dim=1) for unit in units]
            values = [[float(block.diagonal().mean()) for block in row] for row in blocks]
            found[f"reductions behind stage {stage}"] = Record("weights", members, members, values)
        return found

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses tasks on rows of their own."""
        check_one_table("nddr", tables)
