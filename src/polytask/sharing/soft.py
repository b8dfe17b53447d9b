"""Soft sharing: a chain a task, held together by a penalty on how far their weights are apart."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.record import Record
from polytask.sharing.starts import Initialisation, cut, own_chains

#: What is penalised: squared distances to the tasks' mean, or the trace norm of the tasks' weights.
Distance = Literal["l2", "trace"]
#: Weights that draw tasks together visibly without making them one.
WEIGHTS: dict[Distance, float] = {"l2": 100.0, "trace": 0.01}
#: Singular values below this part of the largest one have a smaller gradient, so that equal tasks have one at all.
FLOOR = 1e-3


class Soft(Sharing):
    """Every task has a chain of its own, and the loss has a term that draws their weights together, stage by stage.

    w^t_l being the parameters of task t's stage l as one vector of n_l coordinates, without those that are frozen, and
    m_l their mean over tasks, the penalty is Σ_l weight_l R_l with

    - "l2": R_l = 1/n_l Σ_t ‖w^t_l - m_l‖² = 1/(T n_l) Σ_(i<j) ‖w^i_l - w^j_l‖²,
    - "trace": R_l = ‖[w^1_l … w^T_l]‖_*, the sum of the singular values: few directions are to explain all tasks.

    T counts the tasks that have the stage. Heads and running statistics are left out. The penalty has a part for each
    task of the last forward, whose gradient reaches that task's weights alone and is that of R_l: a task without a
    label in a step keeps its weights. Their sum over all tasks is R_l.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        distance: "l2" or "trace".
        weight: of the penalty, ≥ 0; one for all stages, or one a stage. 0 is `independent`. Where none is given, 100
            for "l2", a mean over coordinates, and 0.01 for "trace", a sum over singular values.
        initialisation: "equal": all chains start from the same weights; "own": each from draws of its own.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = Soft(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> _ = sharing({NUMBERS: torch.ones(3, 2)}, ["sold"])
        >>> list(sharing.penalties())
        ['soft: sold']

    Paper: Duong, Cohn, Bird, Cook: Low resource dependency parsing: cross-lingual parameter sharing in a neural network
        parser. ACL 2015. "trace": Yang, Hospedales: Trace norm regularised deep multi-task learning. ICLR 2017
        workshop. arXiv 1606.04038.
    Deviates: "l2" is the symmetric form, for tasks that are trained together, and a mean over coordinates; "trace"
        unfolds along tasks alone, over a whole stage.
    """

    paper: ClassVar[str] = "duong2015"
    use_when: ClassVar[str] = "tasks want weights of their own but have too few labels to find them alone"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        distance: Distance = "l2",
        weight: float | tuple[float, ...] | None = None,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        chains = own_chains("soft sharing", make_encoder, self.tasks, initialisation)
        self.widths = tuple(next(iter(chains.values())).widths)
        self.chains = cut(chains, {task: self.depth(task) for task in self.tasks})
        if distance not in get_args(Distance):
            raise ValueError(f"soft sharing: distance={distance!r}, one of 'l2' and 'trace' is wanted")
        self.distance = distance
        weight = WEIGHTS[distance] if weight is None else weight
        self.weights = tuple(weight) if isinstance(weight, Sequence) else (weight,) * len(self.widths)
        if len(self.weights) != len(self.widths):
            raise ValueError(
                f"soft sharing: {len(self.weights)} weights, but the encoder has {len(self.widths)} stages: one weight "
                "for all, or one a stage"
            )
        if not all(0 <= value < math.inf for value in self.weights):
            raise ValueError(f"soft sharing: weight={weight}, numbers >= 0 are wanted")
        self._present: tuple[str, ...] = ()

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage of each task's own chain."""
        self._present = tuple(tasks)
        return {task: run_stages(self._chain(task), inputs) for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """All of the task's chain."""
        return self._chain(task).parameters()

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """The part of each task of the last forward."""
        parts: dict[str, Tensor] = {}
        for stage, members, vectors in self._stages_of_several():
            if self.weights[stage] == 0 or not any(task in self._present for task in members):
                continue
            directions = DIRECTIONS[self.distance](torch.stack([vector.detach() for vector in vectors]))
            for task, vector, direction in zip(members, vectors, directions, strict=True):
                if task in self._present:
                    # Its value is the task's part of R_l, and its gradient that of R_l.
                    part = self.weights[stage] * PARTS[self.distance](vector, direction)
                    parts[f"soft: {task}"] = parts[f"soft: {task}"] + part if f"soft: {task}" in parts else part
        return parts

    def records(self) -> dict[str, Record]:
        """How far the tasks are apart: the root of the mean squared difference of their weights, stage by stage."""
        found = {}
        for stage, members, vectors in self._stages_of_several():
            rows = torch.stack([vector.detach() for vector in vectors])
            values = [(rows - row).square().mean(dim=1).sqrt().tolist() for row in rows]
            found[f"distance between tasks at stage {stage}"] = Record("amounts", members, members, values)
        return found

    def _stages_of_several(self) -> Iterator[tuple[int, list[str], list[Float[Tensor, " coordinates"]]]]:
        """The stages that at least two tasks have, with these tasks and each one's weights, where all of them train."""
        for stage in range(len(self.widths)):
            members = [task for task in self.tasks if self.depth(task) > stage]
            columns = zip(*(self._chain(task)[stage].parameters() for task in members), strict=True)
            trained = [column for column in columns if all(p.requires_grad for p in column)]
            if len(members) > 1 and trained:
                yield stage, members, [torch.cat([p.flatten() for p in row]) for row in zip(*trained, strict=True)]

    def _chain(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.chains[f"task_{task}"])


def _means(rows: Float[Tensor, "tasks coordinates"]) -> Float[Tensor, "tasks coordinates"]:
    return rows.mean(dim=0).expand_as(rows)


def _square_distance(vector: Float[Tensor, " coordinates"], mean: Float[Tensor, " coordinates"]) -> Float[Tensor, ""]:
    return (vector - mean).square().mean()


def _subgradients(rows: Float[Tensor, "tasks coordinates"]) -> Float[Tensor, "tasks coordinates"]:
    """The gradient U Vᵀ of the trace norm of `rows` = U Σ Vᵀ, through the small matrix of inner products.

    Singular values below `FLOOR` times the largest count less: they stand in the noise of the product where tasks are
    equal, and their singular vectors are then not defined.
    """
    # Small, and not every device can take it apart.
    squares, vectors = torch.linalg.eigh((rows @ rows.T).cpu().double())
    floor = (squares.max() * FLOOR**2).clamp_min(torch.finfo(rows.dtype).tiny)
    inverse_root = (vectors / squares.clamp_min(floor).sqrt()) @ vectors.T
    return inverse_root.to(rows) @ rows


def _inner_product(
    vector: Float[Tensor, " coordinates"], direction: Float[Tensor, " coordinates"]
) -> Float[Tensor, ""]:
    # Σ_t <w^t, (U Vᵀ)_t> = trace(Σ) = ‖W‖_*.
    return vector @ direction


DIRECTIONS = {"l2": _means, "trace": _subgradients}
PARTS = {"l2": _square_distance, "trace": _inner_product}
