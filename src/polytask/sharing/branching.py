"""Branching: a tree of stages, its branches shared by groups of tasks."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar, cast

import torch
from torch import nn

from polytask.feature import Chain, Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.record import Record
from polytask.sharing.starts import Initialisation, check_initialisation, copy_of

#: Groups of tasks, each task in one of them.
Partition = list[list[str]]


class Branching(Sharing):
    """A tree given by hand: at every stage the tasks are parted into groups, and each group runs its own copy.

    h^g_l = s^g_l(h^p_(l-1)) for every group g of stage l, p being the group of the stage before that holds g: once
    parted, tasks never meet again. All tasks in one group at every stage is `hard`; every task alone at every stage
    is `independent`.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        tree: a partition of the tasks for each stage, each refining the one before; the last holds for all further
            stages. Where none is given, all tasks share all stages but the last, which is each task's own.
        initialisation: of the copies of a stage. "equal": all start from the same weights; "own": each branch from
            draws of its own.

    Raises:
        ValueError: a partition that lacks a task, doubles one, or names one that is not there; one that joins tasks
            which an earlier stage has parted; more partitions than stages; an initialisation that is not known.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "rent": (-1,), "sold": (-1,)}
        >>> tree = [[["price", "rent", "sold"]], [["price", "rent"], ["sold"]]]
        >>> sharing = Branching(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator(), tree=tree)
        >>> features = sharing({NUMBERS: torch.ones(3, 2)}, list(tasks))
        >>> [a is b for a, b in zip(features["price"], features["sold"])]
        [True, False, False]

    Paper: Vandenhende, Georgoulis, De Brabandere, Van Gool: Branched multi-task networks: deciding what layers to
        share. BMVC 2020. arXiv 1904.02920.
    Deviates: the tree is given, not chosen by the affinity of tasks.
    """

    paper: ClassVar[str] = "vandenhende2020"
    use_when: ClassVar[str] = "you know which tasks belong together, and how far up the network"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        tree: list[list[list[str]]] | None = None,
        initialisation: Initialisation = "equal",
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        check_initialisation("branching", initialisation)
        self.widths = tuple(make_encoder(0).widths)
        self.tree = _whole_tree(tree, list(self.tasks), len(self.widths))
        chains: dict[tuple[str, ...], Chain] = {}
        self.branches = nn.ModuleList()
        for stage in range(max(map(self.depth, self.tasks))):
            copies = nn.ModuleDict()
            for group in self.tree[stage]:
                if any(self.depth(task) > stage for task in group):
                    if group not in chains:
                        chains[group] = make_encoder(_copy(group, len(self.tasks), initialisation))
                    copies[_key(group)] = chains[group].stages[stage]
            self.branches.append(copies)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage; each branch runs once, where one of these tasks needs it."""
        features: dict[str, list[Feature]] = {task: [] for task in tasks}
        for stage in range(max(self.depth(task) for task in tasks)):
            for group in self.tree[stage]:
                if members := [task for task in group if task in features and self.depth(task) > stage]:
                    before = features[members[0]]
                    after: Feature = self._branch(stage, group)(before[-1] if before else inputs)
                    for task in members:
                        features[task] = [*features[task], after]
        return features

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The stages of branches that no other task runs."""
        return chain.from_iterable(
            self._branch(stage, group).parameters()
            for stage in range(self.depth(task))
            for group in self.tree[stage]
            if [other for other in group if self.depth(other) > stage] == [task]
        )

    def records(self) -> dict[str, Record]:
        """Which tasks run a stage together."""
        values = []
        for partition in self.tree:
            numbers: dict[tuple[str, ...], int] = {}
            groups = [next(group for group in partition if task in group) for task in self.tasks]
            values.append([float(numbers.setdefault(group, len(numbers))) for group in groups])
        rows = [f"stage {stage}" for stage in range(len(self.tree))]
        return {"branches": Record("groups", rows, list(self.tasks), values)}

    def _branch(self, stage: int, group: tuple[str, ...]) -> nn.Module:
        return cast(nn.ModuleDict, self.branches[stage])[_key(group)]


def _key(group: tuple[str, ...]) -> str:
    """A branch by its first task, in alphabetical order, and how many more run it."""
    return f"task_{group[0]}" + (f"+{len(group) - 1}" if len(group) > 1 else "")


def _copy(group: tuple[str, ...], num_tasks: int, initialisation: Initialisation) -> int | str:
    """What a branch starts from; one of all tasks from the copy that `hard` has."""
    if len(group) == num_tasks:
        return 0
    return copy_of(group[0], initialisation) if len(group) == 1 else copy_of(", ".join(group), initialisation)


def _whole_tree(tree: list[Partition] | None, tasks: list[str], num_stages: int) -> list[list[tuple[str, ...]]]:
    """A partition for every stage, in alphabetical order.

    Raises:
        ValueError: what is wrong with the tree.
    """
    if tree is None:
        tree = [[tasks]] * (num_stages - 1) + [[[task] for task in tasks]]
    if not tree or len(tree) > num_stages:
        raise ValueError(
            f"branching: tree has {len(tree)} partitions, but the encoder has {num_stages} stages: "
            f"give 1 to {num_stages}, the last holds for all further stages"
        )
    for stage, partition in enumerate(tree):
        _check_partition(partition, stage, tasks)
        if stage > 0:
            _check_refines(partition, tree[stage - 1], stage)
    ordered = [sorted(tuple(sorted(group)) for group in partition) for partition in tree]
    return ordered + ordered[-1:] * (num_stages - len(ordered))


def _check_partition(partition: Partition, stage: int, tasks: list[str]) -> None:
    named = [task for group in partition for task in group]
    for task in named:
        if task not in tasks:
            raise ValueError(f"branching: tree[{stage}] names task {task!r}, which is not there: there are {tasks}")
        if named.count(task) > 1:
            raise ValueError(
                f"branching: tree[{stage}] names task {task!r} twice: each task is in one group of a stage"
            )
    for task in tasks:
        if task not in named:
            raise ValueError(
                f"branching: tree[{stage}] lacks task {task!r}: every stage parts all tasks, those too whose heads "
                "read an earlier stage"
            )
    if [] in partition:
        raise ValueError(f"branching: tree[{stage}] has an empty group: leave it out")


def _check_refines(partition: Partition, before: Partition, stage: int) -> None:
    for group in partition:
        parent = next(other for other in before if group[0] in other)
        for task in group:
            if task not in parent:
                raise ValueError(
                    f"branching: tree[{stage}] joins tasks {group[0]!r} and {task!r}, which tree[{stage - 1}] has "
                    "parted: once parted, tasks never meet again"
                )
