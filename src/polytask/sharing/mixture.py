"""Mixtures of experts: what MMoE, top-k, DSelect-k, CGC and PLE have in common."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import UNREAD, Sharing
from polytask.sharing.experts import Experts, mix, normalised
from polytask.sharing.gates import Gate, MakeGate, gate_records
from polytask.sharing.levels import SHARED, Levels, Part, key_of, names_of, seeded
from polytask.sharing.record import Record
from polytask.sharing.starts import copy_of


@dataclass(frozen=True)
class Form:
    """How a mixture is built.

    Attributes:
        name: of the scheme, for errors.
        split: stages of the stem that all tasks share, from 1.
        levels: how many times experts are mixed; None: after every stage.
        shared: experts of all tasks.
        own: experts of each task.
        is_normalised: whether experts' features are normalised over channels before they are mixed.
    """

    name: str
    split: int
    levels: int | None
    shared: int
    own: int
    is_normalised: bool = False


class Mixture(Sharing):
    """A stem that all tasks share; behind it levels of experts, which every task mixes by gates of its own.

    An expert is a copy of a level's stages. Stream o (a task's, or the shared one) at a level:
    x^o ← Σ_i g_i(pool x^o) e_i, over the experts of o and those of all tasks; the shared stream over all there are,
    and not at the last level. All streams enter the first level as the stem's feature.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for gates that start at random.
        form: how many experts and levels there are.
        make_gate: builds a gate.
    """

    @abstractmethod
    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        form: Form,
        make_gate: MakeGate,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        stem = make_encoder(0)
        self.widths = tuple(stem.widths)
        self.is_normalised = form.is_normalised
        depths = {task: self.depth(task) for task in self.tasks}
        self.levels = Levels(form.name, len(self.widths), depths, form.split, form.levels, form.shared, form.own)
        self.stem = stem.stages[: min(form.split, max(depths.values()))]
        self.experts, self.gates = nn.ModuleDict(), nn.ModuleDict()
        chains: dict[str, list[list[nn.Module]]] = {
            owner: [list(make_encoder(_copy(owner, k)).stages) for k in range(self.levels.num_experts(owner))]
            for owner in (self.levels.experts_at(0) if self.levels.bounds else ())
        }
        for level, (start, _) in enumerate(self.levels.bounds):
            for key, owners in self.levels.blocks(level).items():
                stop = max(self.levels.stop(level, owner) for owner in owners)
                members = [chain[start:stop] for owner in owners for chain in chains[owner]]
                self.experts[f"level_{level}_{key}"] = Experts(members)
            for owner in self.levels.streams(level):
                size = sum(map(self.levels.num_experts, self.levels.mixed(level, owner)))
                draws = seeded(generator, level, owner)
                self.gates[_gate_name(level, owner)] = make_gate(self.widths[start - 1], size, draws)
        self._ran: list[str] = []

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage: of the stem, then mixed; within a level only those that a head reads."""
        stem = run_stages(self.stem[: max(self.depth(task) for task in tasks)], inputs)
        features = {task: list(stem) for task in tasks}
        streams = dict.fromkeys([*self.tasks, SHARED], stem[-1])
        self._ran = []
        for level, wanted in enumerate(self.levels.needed(tasks)):
            if not wanted:
                break
            mixed = self._mixed(level, streams, wanted)
            length = self.levels.bounds[level][1] - self.levels.bounds[level][0]
            for task in set(tasks) & set(self.levels.tasks_at(level)):
                features[task] += [mixed[task].get(place, UNREAD) for place in range(length)]
            if not self.levels.is_last(level):
                streams |= {owner: places[0] for owner, places in mixed.items()}
        return features

    def _mixed(
        self, level: int, streams: Mapping[str, Feature], wanted: Sequence[str]
    ) -> dict[str, dict[int, Feature]]:
        """Stream -> stage of the level -> the mixed feature."""
        read = {owner: self._read(level, owner) for owner in wanted}
        depth = max(max(places) for places in read.values()) + 1
        given = self._run_experts(
            level, streams, wanted, depth, {place for places in read.values() for place in places}
        )
        found: dict[str, dict[int, Feature]] = {}
        for owner in wanted:
            name = _gate_name(level, owner)
            weights = self._gate(name)(streams[owner].pooled())
            self._ran.append(name)
            parts = [given[other] for other in self.levels.mixed(level, owner)]
            found[owner] = {place: mix([part[place] for part in parts], weights) for place in read[owner]}
        return found

    def _run_experts(
        self, level: int, streams: Mapping[str, Feature], wanted: Sequence[str], depth: int, read: Collection[int]
    ) -> dict[str, dict[int, Feature]]:
        """Owner -> stage of the level -> the features of its experts, `[experts, B, …]`."""
        mixed = {owner for stream in wanted for owner in self.levels.mixed(level, stream)}
        found: dict[str, dict[int, Feature]] = {owner: {} for owner in mixed}
        for key, owners in self.levels.blocks(level).items():
            if not mixed & set(owners):
                continue
            sizes = [self.levels.num_experts(owner) for owner in owners]
            is_common = level == 0 or len(owners) == 1
            each = [streams[owner] for owner, size in zip(owners, sizes, strict=True) for _ in range(size)]
            features = self.experts[f"level_{level}_{key}"](each[0] if is_common else each, depth, read)
            for place, feature in features.items():
                values = normalised(feature) if self.is_normalised else feature.values
                for owner, part in zip(owners, values.split(sizes), strict=True):
                    found[owner][place] = Feature(part, feature.mask)
        return found

    def _read(self, level: int, owner: str) -> set[int]:
        """The stages of a level that are wanted of a stream: what its head reads, and what the next level takes."""
        start, stop = self.levels.bounds[level]
        read = {stage - start for stage in self.reads(owner) if start <= stage < stop} if owner != SHARED else set()
        return read if self.levels.is_last(level) else read | {0}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The gates and experts, and stages of the stem, that no other task reaches."""
        own = self.own_stages(task)
        yield from self.stem[own.start : own.stop].parameters()
        counts = Counter(part for other in self.tasks for part in self.levels.parts(other))
        for part in sorted(self.levels.parts(task)):
            if counts[part] == 1:
                yield from self._module(part).parameters()

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """What the gates of the last forward ask for themselves."""
        found = [penalty for gate in self.last_gates() if (penalty := gate.penalty()) is not None]
        return {"gates": torch.stack(found).sum()} if found else {}

    def last_gates(self) -> list[Gate]:
        """The gates that the last forward ran."""
        return [self._gate(name) for name in self._ran]

    def records(self) -> dict[str, Record]:
        """How much of each expert every stream took in its last forward, and how evenly."""
        found: dict[str, Record] = {}
        for level in range(len(self.levels.bounds)):
            experts = names_of(self.levels.experts_at(level), self.levels)
            rows = {}
            for owner in self.levels.streams(level):
                weights = self._gate(_gate_name(level, owner)).mean_weights()
                if weights is not None:
                    names = names_of(self.levels.mixed(level, owner), self.levels)
                    rows[owner or "shared"] = dict(zip(names, weights.tolist(), strict=True))
            where = f", level {level}" if len(self.levels.bounds) > 1 else ""
            found |= gate_records(rows, experts, where)
        return found

    def _gate(self, name: str) -> Gate:
        return cast(Gate, self.gates[name])

    def _module(self, part: Part) -> nn.Module:
        kind, level, key, place = part
        if kind == "gate":
            return self.gates[f"level_{level}_{key}"]
        return cast(Experts, self.experts[f"level_{level}_{key}"]).stages[place]


def _gate_name(level: int, owner: str) -> str:
    return f"level_{level}_{key_of(owner)}"


def _copy(owner: str, k: int) -> int | str:
    """The copy of the encoder that an expert starts from: a task's first one is that of a net of its own."""
    if owner == SHARED:
        return k
    first = copy_of(owner, "own")
    return first if k == 0 else f"{first} {k}"
