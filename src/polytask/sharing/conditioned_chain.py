"""One chain of stages, some conditioned on who asks: run once up to the first of these, then once for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

from torch import nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs

#: Runs a stage for one who asks: (who, number of the stage, what it reads) -> what it gives.
RunStage = Callable[[str, int, Inputs | Feature], Feature]


def conditioned_stages(scheme: str, stages: Sequence[int] | None, num_stages: int) -> tuple[int, ...]:
    """The numbers of the conditioned stages from the front, in order; all but the first one where none are named.

    Raises:
        ValueError: a stage that is not there, or is there twice; none at all.
    """
    if stages is None:
        return tuple(range(min(1, num_stages - 1), num_stages))
    if not stages:
        raise ValueError(f"sharing {scheme!r}: stages=() conditions none; name one, such as -1, or choose hard sharing")
    for stage in stages:
        if not -num_stages <= stage < num_stages:
            raise ValueError(
                f"sharing {scheme!r}: there is no stage {stage}: the encoder has {num_stages} stages, "
                f"0 to {num_stages - 1}, or -1 to {-num_stages} from the end"
            )
    found = sorted({stage % num_stages for stage in stages})
    if len(found) < len(stages):
        raise ValueError(f"sharing {scheme!r}: stages={tuple(stages)} names a stage twice; name each once")
    return tuple(found)


def run_conditioned(
    trunk: nn.ModuleList, inputs: Inputs, depths: Mapping[str, int], first: int, run_stage: RunStage
) -> dict[str, list[Feature]]:
    """The features after each stage for everyone who asks.

    Args:
        trunk: all stages.
        inputs: what the first stage reads.
        depths: who asks -> how many stages they need.
        first: the first conditioned stage.
        run_stage: runs a stage from there on.
    """
    shared = run_stages(trunk[: min(first, max(depths.values()))], inputs)
    found: dict[str, list[Feature]] = {}
    for who, depth in depths.items():
        features = list(shared)
        for stage in range(first, depth):
            features.append(run_stage(who, stage, features[-1] if features else inputs))
        found[who] = features
    return found


class ConditionedChain(nn.Module):
    """One chain for all tasks, and for each task a small part of its own at every conditioned stage it needs.

    Args:
        trunk: the stages of the chain.
        depths: task -> how many stages its head needs.
        stages: numbers of the conditioned ones.
        make_part: builds the part of a stage, alike for every task; called as `part(stage, source)`, it runs the stage.
    """

    def __init__(
        self,
        trunk: nn.ModuleList,
        depths: Mapping[str, int],
        stages: Sequence[int],
        make_part: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.depths = dict(depths)
        self.trunk = trunk[: max(depths.values())]
        self.first = min(stages)
        self.parts = nn.ModuleDict()
        for task, depth in depths.items():
            own = {f"stage_{stage}": make_part(stage) for stage in stages if stage < depth}
            self.parts[f"task_{task}"] = nn.ModuleDict(own)

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage for these tasks."""
        depths = {task: self.depths[task] for task in tasks}
        return run_conditioned(self.trunk, inputs, depths, self.first, self._run_stage)

    def parameters_of(self, task: str, own: range) -> Iterator[nn.Parameter]:
        """Those of the task's parts, and of these stages, which no other task's head needs."""
        stages = (self.trunk[stage].parameters() for stage in own)
        return chain(self.parts_of(task).parameters(), *stages)

    def parts_of(self, task: str) -> nn.ModuleDict:
        """The task's own parts, by stage."""
        return cast(nn.ModuleDict, self.parts[f"task_{task}"])

    def _run_stage(self, task: str, stage: int, source: Inputs | Feature) -> Feature:
        parts, key = self.parts_of(task), f"stage_{stage}"
        found: Feature = parts[key](self.trunk[stage], source) if key in parts else self.trunk[stage](source)
        return found
