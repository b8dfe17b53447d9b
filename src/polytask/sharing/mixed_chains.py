"""A chain a task, with units between them that mix what all chains have after a stage."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

from torch import nn

from polytask.feature import Chain, Feature, Inputs
from polytask.sharing.starts import cut

#: Builds the unit of one task behind one stage: (task, the tasks whose chains it mixes, channels) -> a module that maps
#: the features of these chains, in order, to the task's.
MakeUnit = Callable[[str, Sequence[str], int], nn.Module]
#: ("stage" or "unit", number of the stage, task).
Part = tuple[str, int, str]


class MixedChains(nn.Module):
    """Runs a chain a task, and behind chosen stages a unit a task that reads all chains.

    x^t_l = unit^t_l({s^j_l(x^j_(l-1)) for every j}). A task's chain is as deep as its head reads, whoever is asked for;
    behind a stage, the chains that are that deep are mixed, where they are two or more. What one task needs, and hence
    what is run for it, are the chains of all tasks that it meets on its way.

    Args:
        chains: task -> a fresh chain.
        depths: task -> the number of stages that its head needs.
        stages: behind which stages units stand.
        make_unit: builds them.
    """

    def __init__(
        self, chains: Mapping[str, Chain], depths: Mapping[str, int], stages: Iterable[int], make_unit: MakeUnit
    ) -> None:
        super().__init__()
        self.depths = dict(depths)
        #: How many tasks run a stage or unit; counted once, when first asked.
        self._num_runners: Counter[Part] | None = None
        self.chains = cut(chains, depths)
        self.units = nn.ModuleDict()
        widths = next(iter(chains.values())).widths
        for stage in sorted(stages):
            if len(members := self.members(stage)) > 1:
                units = {f"task_{task}": make_unit(task, members, widths[stage]) for task in members}
                self.units[f"stage_{stage}"] = nn.ModuleDict(units)

    def members(self, stage: int) -> list[str]:
        """The tasks whose chains have this stage."""
        return [task for task, depth in self.depths.items() if depth > stage]

    def mixers(self) -> Iterator[tuple[int, list[str], list[nn.Module]]]:
        """Every stage that has units behind it, with its tasks and their units."""
        for stage in range(max(self.depths.values())):
            if self._is_mixed(stage):
                yield stage, self.members(stage), [self._unit(stage, task) for task in self.members(stage)]

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features behind each stage and its unit for each of these tasks."""
        found: dict[str, list[Feature]] = {task: [] for task in tasks}
        before: dict[str, Feature] = {}
        for stage, (runs, gives) in enumerate(self._needs(tasks)):
            ran = {task: self._stage(stage, task)(before.get(task, inputs)) for task in runs}
            if self._is_mixed(stage):
                sources = [ran[task] for task in runs]
                before = {task: self._unit(stage, task)(sources)._replace(mask=ran[task].mask) for task in gives}
            else:
                before = ran
            for task in tasks:
                if task in before:
                    found[task].append(before[task])
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The parameters that this task runs and no other."""
        if self._num_runners is None:
            self._num_runners = Counter(part for other in self.depths for part in self._parts_of(other))
        own = (self._module(part) for part in self._parts_of(task) if self._num_runners[part] == 1)
        return chain.from_iterable(module.parameters() for module in own)

    def _parts_of(self, task: str) -> Iterator[Part]:
        """The stages and units that run for this task alone."""
        for stage, (runs, gives) in enumerate(self._needs([task])):
            yield from (("stage", stage, name) for name in runs)
            if self._is_mixed(stage):
                yield from (("unit", stage, name) for name in gives)

    def _module(self, part: Part) -> nn.Module:
        kind, stage, task = part
        return self._stage(stage, task) if kind == "stage" else self._unit(stage, task)

    def _needs(self, tasks: Sequence[str]) -> list[tuple[list[str], list[str]]]:
        """Stage by stage whose stage has to run, and whose feature behind the unit is needed, for these tasks."""
        needs: list[tuple[list[str], list[str]]] = []
        wanted: set[str] = set()  # by the stage behind
        for stage in reversed(range(max(self.depths[task] for task in tasks))):
            members = self.members(stage)
            gives = [task for task in members if task in wanted or task in tasks]
            runs = members if self._is_mixed(stage) else gives
            needs.append((runs, gives))
            wanted = set(runs)
        return needs[::-1]

    def _is_mixed(self, stage: int) -> bool:
        return f"stage_{stage}" in self.units

    def _stage(self, stage: int, task: str) -> nn.Module:
        return cast(nn.ModuleList, self.chains[f"task_{task}"])[stage]

    def _unit(self, stage: int, task: str) -> nn.Module:
        return cast(nn.ModuleDict, self.units[f"stage_{stage}"])[f"task_{task}"]


def mixed_stages(scheme: str, stages: Sequence[int] | None, num_stages: int) -> list[int]:
    """The stages behind which units stand, counted from the front; all where none are named.

    Raises:
        ValueError: a stage that is not there, or named twice; none at all.
    """
    if stages is None:
        return list(range(num_stages))
    for stage in stages:
        if not -num_stages <= stage < num_stages:
            raise ValueError(f"{scheme}: stages names {stage}, but the encoder has stages 0 to {num_stages - 1}")
    found = [stage % num_stages for stage in stages]
    if not found or len(set(found)) < len(found):
        raise ValueError(
            f"{scheme}: stages={tuple(stages)}: name each stage once, and at least one (without any, the scheme is "
            "'independent')"
        )
    return sorted(found)


def starts_of(task: str, members: Sequence[str], diagonal: float) -> list[float]:
    """What a task's mixture has of each member at the start: `diagonal` of its own, of the others the rest, alike."""
    rest = (1 - diagonal) / (len(members) - 1)
    return [diagonal if member == task else rest for member in members]


def check_diagonal(scheme: str, diagonal: float) -> None:
    """Raises ValueError where a task's part in its own mixture is no part."""
    if not 0 <= diagonal <= 1:
        raise ValueError(f"{scheme}: diagonal={diagonal}, a number from 0 to 1 is wanted, such as 0.9")


def check_one_table(scheme: str, tables: Sequence[Sequence[str]]) -> None:
    """Raises ValueError for tasks on rows of their own, whose rows would have to run through the chains of all."""
    if len(tables) > 1:
        names = ", ".join(task for table in tables for task in table)
        raise ValueError(
            f"{scheme} mixes what the chains of all tasks give for the same rows, but the tasks ({names}) are on "
            f"{len(tables)} tables, whose rows would each run through every task's chain: use sharing hard, branching, "
            "soft or mtan, or one table"
        )
