"""Own encoders: a task's own network instead of the shared one, or beside it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, cast

import torch
from torch import nn

from polytask.config import Choice
from polytask.encoders import Encoder, run_stages
from polytask.errors import nearest
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.joining import joined


class OwnEncoders(Sharing):
    """Some tasks have an encoder of their own, of any kind; the others share one chain.

    Instead of the shared chain: f_t = e_t(x). Beside it: f_t = [s(x) ; e_t(x)] at the deepest stage that the head
    reads, the own chain's features at its other stages. A head's `reads` counts in the task's own chain where it has
    one; beside it, the number as it is written counts in both chains (-1 is the end of each). Maps or sequences of two
    sizes are pooled before they are joined.

    Args:
        make_encoder: builds a fresh chain of stages, of other encoders too.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        encoders: task -> its encoder: a name, `{name: settings}` or `Encoder.with_(…)`; none: hard sharing.
        beside: whether these tasks read the shared chain too.

    Raises:
        ValueError: an encoder of a task that is not there, or that cannot read these inputs.
        ConfigError: an unknown encoder; names the nearest.

    Example:
        >>> from polytask.encoders import ENCODERS, MLP
        >>> from polytask.config import as_choice
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> def make_encoder(copy, encoder="mlp"):
        ...     return as_choice(encoder, ENCODERS, "encoder")(InputSpec(numbers=("area", "rooms")))
        >>> encoders = {"price": {"resnet": {"width": 5, "blocks": 3}}, "sold": MLP.with_(widths=(7,))}
        >>> tasks = {"price": (-1,), "sold": (-1,), "let": (-1,)}
        >>> sharing = OwnEncoders(make_encoder, tasks, torch.Generator(), encoders=encoders)
        >>> features = sharing({NUMBERS: torch.ones(3, 2)}, list(tasks))
        >>> [features[task][-1].values.shape[1] for task in tasks]
        [5, 7, 128]
    """

    use_when: ClassVar[str] = "tasks want networks of different kinds or sizes in one model"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        encoders: Mapping[str, Choice[Encoder] | type[Encoder] | str | Mapping[str, Any]] | None = None,
        beside: bool = False,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        self.beside = beside
        _check_names(encoders or {}, self.tasks)
        own = {task: _made(make_encoder, task, chosen) for task, chosen in (encoders or {}).items()}
        shared = make_encoder(0) if beside or len(own) < len(self.tasks) else None
        #: Of the shared chain; none where no task runs it.
        self.widths = () if shared is None else tuple(shared.widths)
        self._own_widths = {task: tuple(encoder.widths) for task, encoder in own.items()}
        self._shared_depth = {task: self._depth_in_shared(task) for task in self.tasks}
        deepest = max(self._shared_depth.values())
        self.trunk = nn.ModuleList() if shared is None else shared.stages[:deepest]
        self.chains = nn.ModuleDict()
        for task in sorted(own):
            self.chains[f"task_{task}"] = own[task].stages[: self.depth(task)]

    def notices(self) -> Iterator[str]:
        """No encoder named."""
        if not self.chains:
            yield "sharing own_encoders: encoders names no task, so that this is hard sharing"

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage of the chain that each task reads; the shared one runs once, where needed."""
        depth = max(self._shared_depth[task] for task in tasks)
        shared = run_stages(self.trunk[:depth], inputs)
        found = {}
        for task in tasks:
            if task not in self._own_widths:
                found[task] = shared
                continue
            found[task] = run_stages(self._chain(task), inputs)
            if self.beside:
                found[task][-1] = joined([shared[self._shared_depth[task] - 1], found[task][-1]])
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's own encoder, and shared stages that no other task runs."""
        others = max((depth for other, depth in self._shared_depth.items() if other != task), default=0)
        own = self._chain(task).parameters() if task in self._own_widths else iter(())
        return chain(own, self.trunk[others : self._shared_depth[task]].parameters())

    def widths_of(self, task: str) -> Sequence[int]:
        """Channels after each stage of the chain that this task reads; joined at the deepest stage read."""
        if task not in self._own_widths:
            return self.widths
        own = self._own_widths[task]
        if not self.beside:
            return own
        last = max(stage % len(own) for stage in self.tasks[task])
        joined_width = own[last] + self.widths[self._depth_in_shared(task) - 1]
        return (*own[:last], joined_width, *own[last + 1 :])

    @classmethod
    def encoder_alone(cls, settings: Mapping[str, Any], task: str) -> Any:
        """The task's own encoder, where it stands instead of the shared one."""
        return None if settings.get("beside", False) else (settings.get("encoders") or {}).get(task)

    def _depth_in_shared(self, task: str) -> int:
        """How many stages of the shared chain this task runs."""
        if task not in self._own_widths:
            return self.depth(task)
        if not self.beside:
            return 0
        num_own, num_shared = len(self._own_widths[task]), len(self.widths)
        last = max(self.tasks[task], key=lambda stage: stage % num_own)
        if not -num_shared <= last < num_shared:
            raise ValueError(
                f"own_encoders: task {task!r} reads stage {last} beside the shared chain, which has {num_shared} "
                "stages: -1 is the end of either"
            )
        return last % num_shared + 1

    def _chain(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.chains[f"task_{task}"])


def _check_names(encoders: Mapping[str, Any], tasks: Mapping[str, Any]) -> None:
    for task in encoders:
        if task not in tasks:
            raise ValueError(f"own_encoders: encoders names {task!r}, which is no task; {nearest(task, tasks)}")


def _made(make_encoder: MakeEncoder, task: str, chosen: Any) -> Any:
    try:
        return make_encoder(0, chosen)
    except ValueError as error:
        raise ValueError(f"own_encoders: the encoder of task {task!r}: {error}") from error
