"""LoRA: a change of low rank to every weight matrix for each task."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.conditioned_chain import ConditionedChain, conditioned_stages
from polytask.sharing.low_rank import check_rank, drawn, matrices, run_changed, with_matrices


class LowRankChange(nn.Module):
    """scale · B A beside every weight matrix of a stage, B = 0 at the start.

    Args:
        shapes: name of a matrix -> its (rows, columns).
        starts: name of a matrix -> the start of A, [rank, columns].
        scale: of the product.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], starts: Mapping[str, Tensor], scale: float) -> None:
        super().__init__()
        self.names, self.scale = tuple(shapes), scale
        self.a = nn.ParameterList(starts[name].clone() for name in self.names)
        self.b = nn.ParameterList(torch.zeros(shapes[name][0], len(starts[name])) for name in self.names)

    def forward(self, stage: nn.Module, source: Inputs | Feature) -> Feature:
        """Runs the stage with the changed weights."""
        changes = {name: self.scale * (b @ a) for name, a, b in zip(self.names, self.a, self.b, strict=True)}
        return run_changed(stage, changes, source)


class LoRA(Sharing):
    """One trunk for all tasks; in each conditioned stage every task adds a matrix of low rank to each weight matrix.

    W_t = W + (α/r) B_t A_t for the weights of linear layers and convolutions (as [out, in · k · k]). A starts as
    N(0, 1/columns), alike for all tasks, B_t as 0: hard sharing, bit for bit. What lies before the first conditioned
    stage runs once, all else once a task asked for; a stage without such a weight stays as it is.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the start of A.
        stages: the conditioned stages, 0 the first, -1 the last; all but the first where not given.
        rank: r, at least 1; that of a matrix with a shorter side is as long as this side.
        alpha: α, above 0; the paper sets it to the first rank tried and leaves it.
        is_trunk_frozen: whether the trunk stays as it is, batch norm's statistics too, as where it comes pretrained:
            only B A and the heads then train, and no task can change another.

    Raises:
        ValueError: stages that the encoder does not have, or none with a weight matrix; a rank or α that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = LoRA(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator(), rank=2, stages=(-1,))
        >>> [tuple(p.shape) for p in sharing.task_parameters("sold")]
        [(2, 8), (4, 2)]

    Paper: Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: LoRA: low-rank adaptation of large language models. ICLR
        2022. arXiv 2106.09685.

    Deviates: the trunk trains too unless it is frozen; every linear and convolutional layer is changed, not attention's
        alone.
    """

    paper: ClassVar[str] = "hu2022"
    use_when: ClassVar[str] = "a large or pretrained trunk, and tasks that each want it a little different"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
        rank: int = 4,
        alpha: float = 4.0,
        is_trunk_frozen: bool = False,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        check_rank("lora", rank, alpha)
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        conditioned = conditioned_stages("lora", stages, len(self.widths))
        shapes = {
            stage: matrices(encoder.stages[stage]) for stage in with_matrices("lora", conditioned, encoder.stages)
        }
        starts = {stage: _starts(of, rank, generator) for stage, of in shapes.items()}
        self.chain = ConditionedChain(
            encoder.stages,
            {task: self.depth(task) for task in self.tasks},
            tuple(shapes),
            lambda stage: LowRankChange(shapes[stage], starts[stage], alpha / rank),
        )
        self.is_trunk_frozen = is_trunk_frozen
        if is_trunk_frozen:
            self.chain.trunk.requires_grad_(False)
            self.train()

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, by each task's own weights."""
        found: dict[str, list[Feature]] = self.chain(inputs, tasks)
        return found

    def train(self, mode: bool = True) -> Self:
        """As every module's; batch norm in a frozen trunk keeps its statistics."""
        super().train(mode)
        if self.is_trunk_frozen:
            for module in self.chain.trunk.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's changes, and stages that no other task's head needs."""
        return self.chain.parameters_of(task, self.own_stages(task))


def _starts(shapes: Mapping[str, tuple[int, int]], rank: int, generator: torch.Generator) -> dict[str, Tensor]:
    return {
        name: drawn(min(rank, *shape), shape[1], std=1 / sqrt(shape[1]), generator=generator)
        for name, shape in shapes.items()
    }
