"""Deep relationship: a tensor-normal prior over the last layers of all heads, whose covariances are learnt."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import OutputSpec
from polytask.regularizers.base import Regularizer, checked_weight, chosen_tasks

Mode = Literal["tasks", "classes", "features"]
#: The axes of W, in order.
MODES: tuple[Mode, ...] = ("tasks", "classes", "features")
#: What is added to a covariance's diagonal, and the largest trace it may have.
RIDGE, LARGEST_TRACE = 1e-5, 3000.0


class DeepRelationship(Regularizer):
    """weight · ½ vec(W)ᵀ (S_tasks ⊗ S_classes ⊗ S_features)⁻¹ vec(W), W the weights of the heads' last linear layers.

    The covariances start as I, which is L2 on these layers. Every `every` training forwards those in `update` are set
    to the closed form given the others, as S_tasks = W₍₁₎ (S_classes ⊗ S_features)⁻¹ W₍₁₎ᵀ ÷ (classes · features)
    + 10⁻⁵ I, scaled down to a trace of 3000 where it exceeds that. Tasks whose heads point the same way then hold
    each other there; biases are left alone.

    Args:
        outputs: task -> what its head gives for a row.
        heads: task -> its head, with a linear layer of the same shape last.
        tasks: which are related, two or more; all where not given.
        update: which covariances are learnt.
        every: forwards in training between two estimates, at least 1.
        weight: at least 0.

    Raises:
        ValueError: heads without a linear layer or of different shapes, a mode that is none, a number out of range.

    Example:
        >>> heads = {"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}
        >>> penalty = DeepRelationship(dict.fromkeys(heads, OutputSpec((2,), "softmax")), heads, weight=2.0)
        >>> l2 = sum(head.weight.square().sum() for head in heads.values())
        >>> bool(torch.isclose(penalty({"a": torch.ones(1, 2), "b": torch.ones(1, 2)}, heads), l2))
        True

    Paper: Long, Cao, Wang and Yu, Learning Multiple Tasks with Multilinear Relationship Networks, NeurIPS 2017, arXiv
    1506.02117.

    Deviates: one layer a head, where the paper relates several; by default only S_tasks is learnt, as in the authors'
    first code; heads learn at the rate of all else (there ten times that). weight = 0.001 and every = 10 are ours.
    """

    name: ClassVar[str] = "deep_relationship"
    paper: ClassVar[str] = "longm2017"
    use_when: ClassVar[str] = "tasks predict the same classes in different domains, with few rows each"
    compares_outputs: ClassVar[bool] = False
    count: Tensor

    def __init__(
        self,
        outputs: Mapping[str, OutputSpec],
        heads: Mapping[str, nn.Module],
        *,
        tasks: Sequence[str] | None = None,
        update: tuple[Mode, ...] = ("tasks",),
        every: int = 10,
        weight: float = 0.001,
    ) -> None:
        super().__init__(outputs, heads)
        # In one order whatever the tasks': a permutation changes no buffer.
        self.tasks = tuple(sorted(chosen_tasks(self.name, tasks, heads)))
        self.weight = checked_weight(self.name, weight)
        if every < 1:
            raise ValueError(f"deep_relationship: every={every}, a whole number from 1 is wanted")
        for mode in update:
            if mode not in MODES:
                raise ValueError(f"deep_relationship: update names {mode!r}; its modes are {list(MODES)}")
        self.every, self.update = every, tuple(mode for mode in MODES if mode in update)
        sizes = (len(self.tasks), *_common_shape({task: heads[task] for task in self.tasks}))
        for mode, size in zip(MODES, sizes, strict=True):
            self.register_buffer(f"{mode}_covariance", torch.eye(size))
            self.register_buffer(f"{mode}_precision", torch.eye(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(
        self, outputs: Mapping[str, Float[Tensor, "batch ..."]], heads: Mapping[str, nn.Module]
    ) -> Float[Tensor, ""] | None:
        """The weighted quadratic form; None where none of the tasks is present. Absent tasks' weights are constants."""
        if not self.weight or not any(task in outputs for task in self.tasks):
            return None
        layers = {task: last_linear(heads[task]).weight for task in self.tasks}
        self.count += 1
        if self.update and int(self.count) % self.every == 0:
            self.estimate(torch.stack([weight.detach() for weight in layers.values()]))
        weights = torch.stack([weight if task in outputs else weight.detach() for task, weight in layers.items()])
        return self.weight * 0.5 * (weights * self._whitened(weights)).sum()

    @torch.no_grad()
    def estimate(self, weights: Float[Tensor, "tasks classes features"]) -> None:
        """Sets each covariance in `update` to its closed form given the others, one after the other."""
        for mode in self.update:
            axis = MODES.index(mode)
            unfolded = weights.movedim(axis, 0).flatten(1)
            whitened = self._whitened(weights, but=mode).movedim(axis, 0).flatten(1)
            # Float64 on the CPU: inverses of nearly singular matrices, and not every accelerator has it.
            found = (unfolded.cpu().double() @ whitened.cpu().double().T) / unfolded.shape[1]
            found += RIDGE * torch.eye(len(found), dtype=torch.float64)
            found *= min(1.0, LARGEST_TRACE / float(found.trace()))
            getattr(self, f"{mode}_covariance").copy_(found)
            getattr(self, f"{mode}_precision").copy_(torch.linalg.inv(found))

    def _whitened(
        self, weights: Float[Tensor, "tasks classes features"], but: Mode | None = None
    ) -> Float[Tensor, "tasks classes features"]:
        """The weights behind the precision of every mode, or of all but one."""
        for axis, mode in enumerate(MODES):
            if mode != but:
                precision = getattr(self, f"{mode}_precision")
                weights = torch.tensordot(precision, weights, dims=([1], [axis])).movedim(0, axis)
        return weights


def last_linear(head: nn.Module) -> nn.Linear:
    """The last linear layer of a head; heads are known to have one."""
    *_, last = (module for module in head.modules() if isinstance(module, nn.Linear))
    return last


def _common_shape(heads: Mapping[str, nn.Module]) -> tuple[int, int]:
    """Outputs and inputs of every head's last linear layer."""
    found: dict[str, tuple[int, int]] = {}
    for task, head in heads.items():
        if not any(isinstance(module, nn.Linear) for module in head.modules()):
            raise ValueError(f"deep_relationship: the head of task {task!r} has no linear layer; leave it out of tasks")
        layer = last_linear(head)
        found[task] = (layer.out_features, layer.in_features)
    first, shape = next(iter(found.items()))
    for task, other in found.items():
        if other != shape:
            raise ValueError(
                f"deep_relationship: the heads of tasks {first!r} and {task!r} end in {shape[1]} → {shape[0]} and "
                f"{other[1]} → {other[0]} numbers; name tasks whose heads are alike in tasks"
            )
    return shape
