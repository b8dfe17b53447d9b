"""RotoGrad: each task reads the representation rotated, so that the tasks' gradients on it point the same way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.rotation import Rotation

#: Channels from which on an exponential of a matrix for every task and step is a cost to be told of.
LARGE = 1024
#: (stage, task) -> the gradient that arrived there, and the rotation it came through.
Arrived = dict[tuple[int, str], tuple[Tensor, Tensor]]


class RotoGrad(Sharing):
    """One trunk for all tasks; each task's head reads the trunk's feature z turned by a rotation R_t that is learnt.

    r_t = R_t z, and R_t is moved by nothing but its own loss −Σ_n ⟨R_tᵀ g_nt, v_n⟩: g_nt is the gradient of task t at
    r_t for row n, v_n the mean over tasks of R_tᵀ g_nt, each task's gradients having length 1 over the batch. R_t =
    exp(S_t − S_tᵀ) is the identity at the start: hard sharing, bit for bit. Sequences and pictures are rotated at every
    position, which is what a rotation of their pooled feature is; their gradient is summed over positions. A stage that
    one task's head reads alone is not rotated.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = RotoGrad(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator())
        >>> [tuple(p.shape) for p in sharing.penalty_parameters()]
        [(4, 4), (4, 4)]

    Paper: Javaloy and Valera: RotoGrad: gradient homogenization in multitask learning. ICLR 2022. arXiv 2103.02631.

    Deviates: R_t learns from the gradients of the step before, since a penalty is known before this step's are. g_nt
        has length 1 over the batch, so that the weights a balancer gives losses do not matter. R_t has the optimiser
        and learning rate of all else, where the paper's lags behind. The paper's scaling of gradients is a balancer's
        work: `gradnorm`, `imtl`.
    """

    paper: ClassVar[str] = "javaloy2022"
    use_when: ClassVar[str] = "tasks' gradients on the shared representation conflict, and heads are small"

    def __init__(
        self, make_encoder: MakeEncoder, tasks: Mapping[str, tuple[int, ...]], generator: torch.Generator
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        self.trunk = encoder.stages[: max(self.depth(task) for task in self.tasks)]
        self.rotations = nn.ModuleDict()
        for stage, width in enumerate(self.widths):
            readers = [task for task in self.tasks if stage in self.reads(task)]
            if len(readers) > 1:
                self.rotations[f"stage_{stage}"] = nn.ModuleDict({f"task_{task}": Rotation(width) for task in readers})
        self._arrived: Arrived = {}
        self.register_state_dict_pre_hook(_settle)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, those that heads read turned for each task."""
        features = run_stages(self.trunk[: max(self.depth(task) for task in tasks)], inputs)
        is_learning = self.training and torch.is_grad_enabled()
        if is_learning:
            self.take_in()
        arrived: Arrived = {}
        found = {task: list(features) for task in tasks}
        for task, own in found.items():
            for stage in self.reads(task):
                if f"stage_{stage}" in self.rotations:
                    rotation = self._rotation(stage, task)
                    own[stage] = own[stage]._replace(values=rotation(own[stage].values))
                    if is_learning and own[stage].values.requires_grad:
                        self._listen(own[stage].values, rotation.matrix, (stage, task), arrived)
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """Stages that no other task's head needs."""
        for stage in self.own_stages(task):
            yield from self.trunk[stage].parameters()

    def penalty_parameters(self) -> Iterator[nn.Parameter]:
        """What the rotations are made of."""
        return self.rotations.parameters()

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """How far the last step's gradients are from pointing one way once rotated back: −Σ ⟨R_t, Σ_n g_nt v_nᵀ⟩."""
        rotations = (module for module in self.modules() if isinstance(module, Rotation))
        terms = [term for rotation in rotations if (term := rotation.disagreement()) is not None]
        return {"rotation": torch.stack(terms).sum()} if terms else {}

    def notices(self) -> Iterator[str]:
        """Rotations that are large."""
        for key, rotations in self.rotations.items():
            stage = int(key.removeprefix("stage_"))
            if (width := self.widths[stage]) > LARGE:
                yield (
                    f"sharing 'rotograd' rotates {width} channels after stage {stage}: "
                    f"{len(cast(nn.ModuleDict, rotations))} square matrices of that size, and the exponential of each "
                    "in every step; a narrower stage costs less"
                )

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses steps in which no row has gradients of several tasks.

        Raises:
            ValueError: tasks on rows of their own, or one task a step.
        """
        if len(tables) > 1 or is_one_task_a_step:
            what = "every step trains one task alone" if is_one_task_a_step else "tasks have rows of their own"
            raise ValueError(
                f"sharing 'rotograd' aligns the tasks' gradients on the same rows, but {what}; one table with agenda "
                "'joint' would work, or sharing 'hard'"
            )

    @torch.no_grad()
    def take_in(self) -> None:
        """Keeps of the gradients that arrived last what the rotations' loss needs; nothing where none did."""
        if not self._arrived:
            return
        arrived, self._arrived = self._arrived, {}
        for key, rotations in self.rotations.items():
            found = {f"task_{task}": both for (stage, task), both in arrived.items() if f"stage_{stage}" == key}
            unit = {task: (_unit(gradient), matrix) for task, (gradient, matrix) in found.items()}
            common = sum((gradient @ matrix for gradient, matrix in unit.values()), torch.zeros(())) / max(len(unit), 1)
            for task, rotation in cast(nn.ModuleDict, rotations).items():
                has_others = task in unit and len(unit) > 1
                cast(Rotation, rotation).keep(unit[task][0].T @ common if has_others else None)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _listen(self, values: Tensor, matrix: Tensor, key: tuple[int, str], arrived: Arrived) -> None:
        """Of several forwards the one whose gradients arrive last counts; of several passes through one, the last."""

        def take(gradient: Tensor) -> None:
            pooled = gradient.flatten(2).sum(dim=2) if gradient.ndim == 4 else gradient
            pooled = pooled.sum(dim=1) if pooled.ndim == 3 else pooled
            arrived[key] = (pooled.detach().to(matrix, copy=True), matrix)
            self._arrived = arrived

        values.register_hook(take)

    def _rotation(self, stage: int, task: str) -> Rotation:
        return cast(Rotation, cast(nn.ModuleDict, self.rotations[f"stage_{stage}"])[f"task_{task}"])


def _settle(module: nn.Module, *_: Any) -> None:
    """Before a state is saved, what has arrived goes into buffers, so that a resumed run goes on alike."""
    cast(RotoGrad, module).take_in()
    for child in module.modules():
        if isinstance(child, Rotation):
            child.refresh()


def _unit(gradients: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch channels"]:
    """Of length 1 over the batch; 0 where it is 0."""
    largest = gradients.abs().max().clamp_min(torch.finfo(gradients.dtype).tiny)
    scaled = gradients / largest  # so that no square underflows
    return scaled / scaled.norm().clamp_min(torch.finfo(gradients.dtype).tiny)
