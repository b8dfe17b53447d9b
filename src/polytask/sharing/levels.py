"""The levels of a mixture: which stream needs which experts and gates. Names and numbers only, no tensors."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import torch

#: The stream that no task owns, and the experts of all tasks.
SHARED = ""
#: A block of experts that run together because whoever reaches one of them reaches them all.
ALL = "all"

#: ("experts" or "gate", level, block or stream, stage within the level).
Part = tuple[str, int, str, int]


class Levels:
    """Who mixes what, level by level.

    Args:
        name: of the scheme, for errors.
        num_stages: of the encoder.
        depths: task -> how many stages its head needs.
        split: stages of the stem, from 1.
        levels: how many levels follow; None: one a stage. All but the last are one stage.
        shared: experts of all tasks.
        own: experts of each task.

    Attributes:
        bounds: first stage of every level and the one behind its last, as far as any task goes.

    Raises:
        ValueError: fewer stages than levels, no experts, a setting that cannot be.
    """

    def __init__(
        self,
        name: str,
        num_stages: int,
        depths: Mapping[str, int],
        split: int,
        levels: int | None,
        shared: int,
        own: int,
    ) -> None:
        for setting, value in (("experts", shared), ("task_experts", own)):
            if value < 0:
                raise ValueError(f"{name}: {setting}={value}: a whole number from 0 is wanted")
        if shared + own < 1:
            raise ValueError(f"{name}: there are no experts: at least one is wanted")
        if split < 1:
            raise ValueError(f"{name}: split={split}: gates read what a shared stem gives, so it has at least 1 stage")
        if levels is not None and levels < 1:
            raise ValueError(f"{name}: levels={levels}: at least 1")
        if split + (levels or 1) > num_stages:
            raise ValueError(
                f"{name}: split={split} with {levels or 1} level{'s' if (levels or 1) > 1 else ''} of experts needs "
                f"{split + (levels or 1)} stages or more, but the encoder has {num_stages}: give it more"
                f"{', or fewer levels' if (levels or 1) > 1 else ''}{', or split earlier' if split > 1 else ''}"
            )
        count = num_stages - split if levels is None else levels
        edges = [*range(split, split + count), num_stages]
        deepest = max(depths.values())
        self.depths, self.shared, self.own = dict(depths), shared, own
        self.bounds = [(start, min(stop, deepest)) for start, stop in pairwise(edges) if start < deepest]

    def tasks_at(self, level: int) -> list[str]:
        """The tasks whose heads need this level."""
        return [task for task, depth in self.depths.items() if depth > self.bounds[level][0]]

    def stop(self, level: int, owner: str) -> int:
        """The stage behind the last one that this owner's experts have at a level."""
        deepest = max(self.depths.values()) if owner == SHARED else self.depths[owner]
        return min(self.bounds[level][1], deepest)

    def is_last(self, level: int) -> bool:
        """Whether no task goes further."""
        return level == len(self.bounds) - 1

    def num_experts(self, owner: str) -> int:
        """How many a task owns, or all share, at a level."""
        return self.shared if owner == SHARED else self.own

    def experts_at(self, level: int) -> list[str]:
        """Whose experts there are."""
        return [*(self.tasks_at(level) if self.own else ()), *([SHARED] if self.shared else ())]

    def streams(self, level: int) -> list[str]:
        """Who has a gate."""
        return [*self.tasks_at(level), *([SHARED] if self.shared and not self.is_last(level) else ())]

    def mixed(self, level: int, owner: str) -> list[str]:
        """Whose experts the gate of this stream weighs, in its order."""
        if owner == SHARED:
            return self.experts_at(level)
        return [*([owner] if self.own else ()), *([SHARED] if self.shared else ())]

    def blocks(self, level: int) -> dict[str, list[str]]:
        """Experts that run together: key -> owners; those that not all tasks reach stay apart."""
        owners = self.experts_at(level)
        go_on = not self.is_last(level) and set(self.tasks_at(level)) == set(self.tasks_at(level + 1))
        if go_on and self.own and self.shared:
            return {ALL: owners}
        return {key_of(owner): [owner] for owner in owners}

    def needed(self, tasks: Collection[str]) -> list[list[str]]:
        """The streams that each level has to give so that these tasks get their features."""
        found: list[list[str]] = []
        behind: list[str] = []
        for level in reversed(range(len(self.bounds))):
            wanted = {task for task in tasks if self.depths[task] > self.bounds[level][0]} | set(behind)
            wanted |= {owner for stream in behind for owner in self.mixed(level + 1, stream)}
            behind = [owner for owner in [*self.depths, SHARED] if owner in wanted]
            found.append(behind)
        return found[::-1]

    def parts(self, task: str) -> set[Part]:
        """All experts and gates that this task reaches."""
        found: set[Part] = set()
        for level, streams in enumerate(self.needed([task])):
            start, stop = self.bounds[level]
            depth = min(self.depths[task], stop) - start
            owners = {owner for stream in streams for owner in self.mixed(level, stream)}
            for key, members in self.blocks(level).items():
                if owners & set(members):
                    found |= {("experts", level, key, place) for place in range(depth)}
            found |= {("gate", level, key_of(stream), 0) for stream in streams}
        return found


def key_of(owner: str) -> str:
    """The name under which modules of a stream are kept."""
    return "shared" if owner == SHARED else f"task_{owner}"


def seeded(generator: torch.Generator, *labels: object) -> torch.Generator:
    """A generator of its own for one purpose, whatever was drawn before: the order of tasks does not matter."""
    seed = zlib.crc32("\x1f".join(map(str, (generator.initial_seed(), *labels))).encode())
    return torch.Generator().manual_seed(seed)


def names_of(owners: Sequence[str], levels: Levels) -> list[str]:
    """The experts of these owners, as people read them.

    Example:
        >>> names_of(["price", SHARED], Levels("ple", 2, {"price": 2}, 1, None, 2, 1))
        ['price 1', 'shared 1', 'shared 2']
    """
    return [f"{owner or 'shared'} {k + 1}" for owner in owners for k in range(levels.num_experts(owner))]
