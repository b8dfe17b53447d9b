"""Cross-stitch: a chain a task, whose features are mixed linearly behind every stage."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import along_channels
from polytask.sharing.mixed_chains import MixedChains, check_diagonal, check_one_table, mixed_stages, starts_of
from polytask.sharing.record import Record
from polytask.sharing.starts import Initialisation, own_chains


class StitchUnit(nn.Module):
    """One task's row of a cross-stitch unit: x <- Σ_j a_j * x^j, with a number a channel or one for all.

    In evaluation a source whose a_j is 0 is left out, also where it is infinite or NaN; in training it is not, since
    a_j could then never leave 0.

    Args:
        starts: of a_j, a number a source.
        channels: how many a_j are for each source.
    """

    def __init__(self, starts: Sequence[float], channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(starts).unsqueeze(1).repeat(1, channels))

    def forward(self, sources: list[Feature]) -> Feature:
        """The mixture."""
        parts = [self._part(weight, source.values) for weight, source in zip(self.weight, sources, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return Feature(total)

    def _part(
        self, weight: Float[Tensor, " channels"], values: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        factor = along_channels(weight, values)
        part = factor * values
        return part if self.training else part.masked_fill(factor == 0, 0)


class CrossStitch(Sharing):
    """A chain a task; behind every stage each task goes on with a learnt linear mixture of all chains.

    x^t_l = Σ_j A_l[t, j] * s^j_l(x^j_(l-1)), A_l having a number for each channel, or one for all. Heads read the
    mixtures, behind the last stage too. A task's chain is as deep as its head reads; behind a stage the chains that are
    that deep are mixed, T of them, where they are two or more. All chains run to serve one task. A is not decayed.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        stages: behind which stages there are units (0 the first, -1 the last); all where not given.
        per_channel: whether each channel has numbers of its own, as in the published codes.
        diagonal: A[t, t] at the start, in [0, 1]; others are (1 - diagonal) / (T - 1), so that A's rows sum to 1.
        unit_rate: how many times as fast as all other weights A learns, > 0.
        initialisation: "equal": all chains start from the same weights; "own": each from draws of its own.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = CrossStitch(lambda copy: MLP(spec), tasks, torch.Generator(), diagonal=0.75)
        >>> sharing.records()["stitches behind stage 1"].values
        [[0.75, 0.25], [0.25, 0.75]]

    Paper: Misra, Shrivastava, Gupta, Hebert: Cross-stitch networks for multi-task learning. CVPR 2016.
        arXiv 1604.03539.
    Deviates: A learns at the rate of all other weights unless `unit_rate` says more; the paper's 100 to 1000 are for
        plain gradient descent, adaptive optimisers move A as far as any weight. Chains start fresh, not from trained
        single-task networks.
    """

    paper: ClassVar[str] = "misra2016"
    use_when: ClassVar[str] = "how much to share at which depth is to be learnt, and a chain a task is affordable"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
        per_channel: bool = True,
        diagonal: float = 0.9,
        unit_rate: float = 1.0,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        check_diagonal("cross_stitch", diagonal)
        if not 0 < unit_rate < math.inf:
            raise ValueError(f"cross_stitch: unit_rate={unit_rate}, a number above 0 is wanted, such as 100")
        self.unit_rate = unit_rate
        chains = own_chains("cross_stitch", make_encoder, self.tasks, initialisation)
        self.widths = tuple(next(iter(chains.values())).widths)

        def make_unit(task: str, members: Sequence[str], channels: int) -> StitchUnit:
            return StitchUnit(starts_of(task, members, diagonal), channels if per_channel else 1)

        depths = {task: self.depth(task) for task in self.tasks}
        self.mixed = MixedChains(chains, depths, mixed_stages("cross_stitch", stages, len(self.widths)), make_unit)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The mixtures behind each stage."""
        found: dict[str, list[Feature]] = self.mixed(inputs, tasks)
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's part of the last unit it meets, and stages that nobody else meets."""
        return self.mixed.task_parameters(task)

    def undecayed_parameters(self) -> Iterator[nn.Parameter]:
        """All of A: decay would shrink every feature, and a stage's scale with it."""
        return self.mixed.units.parameters()

    def rates(self) -> Mapping[float, Iterable[nn.Parameter]]:
        """All of A, where `unit_rate` is not 1."""
        return {} if self.unit_rate == 1 else {self.unit_rate: self.mixed.units.parameters()}

    def records(self) -> dict[str, Record]:
        """A behind every stage, as the mean over channels."""
        found = {}
        for stage, members, units in self.mixed.mixers():
            values = [cast(StitchUnit, unit).weight.detach().mean(dim=1).tolist() for unit in units]
            found[f"stitches behind stage {stage}"] = Record("weights", members, members, values)
        return found

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses tasks on rows of their own."""
        check_one_table("cross_stitch", tables)
