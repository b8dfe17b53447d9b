"""Batch normalisation of their own for tasks, or groups of tasks, in one trunk."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from polytask.errors import nearest
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.conditioned_chain import run_conditioned


class TaskNorm(Sharing):
    """One trunk for all tasks, but for batch normalisation: scales, shifts and running statistics of a task's own.

    Every batch norm layer has a copy for each group of tasks, all from the same start; what lies before the first of
    them runs once, all else once a group. One group of all tasks is hard sharing, bit for bit.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        groups: lists of tasks that share their norms, as those of one source of rows; every task in one of them. Each
            task has its own where not given.

    Raises:
        ValueError: an encoder without batch norm; groups that leave a task out, or have one twice.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = TaskNorm(lambda copy: MLP(spec, widths=(4,), batch_norm=True), tasks, torch.Generator())
        >>> [tuple(p.shape) for p in sharing.task_parameters("sold")]
        [(4,), (4,)]

    Paper: Chang, You, Seo, Kwak, Han: Domain-specific batch normalization for unsupervised domain adaptation. CVPR
        2019. arXiv 1906.03950.

    Deviates: there a norm is a domain's, here a task's or a group's, which is a domain where each has rows of its own.
    """

    paper: ClassVar[str] = "chang2019"
    use_when: ClassVar[str] = "tasks have rows of their own from different sources, and the encoder has batch norm"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        groups: list[list[str]] | None = None,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        self.groups = _checked([[task] for task in self.tasks] if groups is None else groups, list(self.tasks))
        self.trunk = encoder.stages[: max(self.depth(task) for task in self.tasks)]
        #: Stage -> the names of its norms, for stages that have any.
        self.names = {stage: found for stage, module in enumerate(self.trunk) if (found := _norms(module))}
        if not self.names:
            raise ValueError(
                "sharing 'task_norm' gives each task its own batch norm, but the encoder has none in the stages that "
                "heads read; for tables {mlp: {batch_norm: true}} or resnet would work; for any encoder, sharing 'film'"
            )
        #: Stage -> the group whose norms are those in the trunk itself.
        self.holders = {stage: self._needing(stage)[0] for stage in self.names}
        self.norms = nn.ModuleDict()
        for stage, names in self.names.items():
            for group in self._needing(stage)[1:]:
                copies = nn.ModuleList(deepcopy(self.trunk[stage].get_submodule(name)) for name in names)
                self.norms[_key(group, stage)] = copies

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, normalised by each group's own norms."""
        depths: dict[str, int] = {}
        for task in tasks:
            group = str(self._group_of(task))
            depths[group] = max(depths.get(group, 0), self.depth(task))
        found = run_conditioned(self.trunk, inputs, depths, min(self.names), self._run_stage)
        return {task: found[str(self._group_of(task))] for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The norms that no task of its group shares with it, and stages that no other task's head needs."""
        group = self._group_of(task)
        others = [other for other in self.groups[group] if other != task]
        for stage in self.names:
            if stage < self.depth(task) and all(self.depth(other) <= stage for other in others):
                yield from chain.from_iterable(norm.parameters() for norm in self._norms_of(group, stage))
        for stage in self.own_stages(task):
            inside = {id(p) for norm in self._in_trunk(stage) for p in norm.parameters()}
            yield from (p for p in self.trunk[stage].parameters() if id(p) not in inside)

    def _run_stage(self, group: str, stage: int, source: Inputs | Feature) -> Feature:
        module = self.trunk[stage]
        if self.holders.get(stage, int(group)) == int(group):
            plain: Feature = module(source)
            return plain
        state: dict[str, Tensor] = {}
        for name, norm in zip(self.names[stage], self._norms_of(int(group), stage), strict=True):
            for key, tensor in chain(norm.named_parameters(), norm.named_buffers()):
                state[f"{name}.{key}".lstrip(".")] = tensor
        found: Feature = functional_call(module, state, (source,))
        return found

    def _norms_of(self, group: int, stage: int) -> list[nn.Module]:
        """A group's norms in a stage."""
        if self.holders[stage] == group:
            return self._in_trunk(stage)
        return list(cast(nn.ModuleList, self.norms[_key(group, stage)]))

    def _in_trunk(self, stage: int) -> list[nn.Module]:
        return [self.trunk[stage].get_submodule(name) for name in self.names.get(stage, ())]

    def _needing(self, stage: int) -> list[int]:
        """The groups with a task whose head needs this stage."""
        return [k for k, group in enumerate(self.groups) if any(self.depth(task) > stage for task in group)]

    def _group_of(self, task: str) -> int:
        return next(k for k, group in enumerate(self.groups) if task in group)


def _norms(stage: nn.Module) -> tuple[str, ...]:
    return tuple(name for name, module in stage.named_modules() if isinstance(module, _BatchNorm))


def _key(group: int, stage: int) -> str:
    return f"group_{group}_stage_{stage}"


def _checked(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> list[list[str]]:
    """The groups by their tasks' names, so that neither order changes anything."""
    if not all(groups):
        raise ValueError("sharing 'task_norm': groups has an empty group; leave it out")
    named = [task for group in groups for task in group]
    for task in named:
        if task not in tasks:
            raise ValueError(f"sharing 'task_norm': groups names the unknown task {task!r}; {nearest(task, tasks)}")
        if named.count(task) > 1:
            raise ValueError(f"sharing 'task_norm': groups has task {task!r} twice; each belongs to one group")
    if missing := [task for task in tasks if task not in named]:
        raise ValueError(
            f"sharing 'task_norm': groups leaves out task {missing[0]!r}; a group of its own would work: "
            f"[{missing[0]!r}]"
        )
    return sorted(sorted(group) for group in groups)
