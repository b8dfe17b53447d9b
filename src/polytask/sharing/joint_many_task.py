"""Joint many-task model: tasks at several depths of one chain; what lower ones predict enters the higher ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import Feature, HeadOutput, Inputs, MakeEncoder, OutputSpec
from polytask.sharing.base import Sharing
from polytask.sharing.order import checked_order

#: The probabilities, or numbers, that a task's head gave for these rows; by token with the tokens' mask.
Told = Callable[[str], Feature]


class JointManyTask(Sharing):
    """One chain for all tasks, each read at its own depth; a deeper task also reads what the shallower ones predict.

    Behind the deepest stage k that a task reads, the next stage is given h_k + P_k h_0 + Σ_c E_kc p_c over the tasks c
    read no deeper than k: p_c is the softmax of their head's output (a single logit: the sigmoid; a number: as it is),
    so that E_kc p_c is a label embedding weighted by how likely each label is. Heads read h_k. Tasks of equal depth do
    not see each other, unless `order` says which comes first: the head of t then reads h + Σ_c E_tc p_c over those of
    its depth before it. Behind stage 0 there is no P. A per-token p_c enters by token where lengths agree, else pooled.

    Penalty once `remember()` was called: successive · Σ ‖θ − θ′‖² over the stages that ran, θ′ the weights then.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads; the deepest places it.
        generator: as for every `Sharing`.
        order: every task once, from shallow to deep; by depth where not given.
        successive: weight of the penalty, >= 0; 0.01 in the paper. It acts once somebody has called `remember()`, which
            no agenda does yet.

    Raises:
        ValueError: an order that does not name every task once or goes from deep to shallow, a weight below 0.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> tasks = {"tag": (0,), "chunk": (1,), "entails": (2,)}
        >>> make_encoder = lambda copy: MLP(InputSpec(numbers=("a",)), widths=(4, 4))
        >>> sharing = JointManyTask(make_encoder, tasks, torch.Generator())
        >>> sharing.outputs_read_by("entails")
        ('tag', 'chunk')

    Paper: Hashimoto, Xiong, Tsuruoka and Socher, A Joint Many-Task Model: Growing a Neural Network for Multiple NLP
    Tasks, EMNLP 2017, arXiv 1611.01587.

    Deviates: the paper concatenates [h ; x ; labels] before each layer's own map, which is a sum behind one linear map;
    here the sum comes first, so that any stage can follow. P and E start at 0: hard sharing. The penalty holds the
    chain alone, not heads; the weight is the paper's.
    """

    paper: ClassVar[str] = "hashimoto2017"
    use_when: ClassVar[str] = "tasks build on each other, from simple to complex, as tags, chunks, meaning"
    is_remembered: Tensor

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        order: Sequence[str] | None = None,
        successive: float = 0.0,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        if not 0 <= successive < float("inf"):
            raise ValueError(f"joint_many_task: successive={successive}, a number from 0 is wanted, such as 0.01")
        self.successive = successive
        trunk = make_encoder(0)
        self.widths = tuple(trunk.widths)
        depths = {task: self.depth(task) for task in self.tasks}
        self.trunk = trunk.stages[: max(depths.values())]
        self._lower = _lower_tasks(depths, order, tuple(self.tasks))
        #: The stages behind which lower tasks' outputs come in.
        self._junctions = sorted({d - 1 for d in depths.values() if d < max(depths.values())})
        self.shortcuts, self.labels, self.peers = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for stage in self._junctions:
            if stage:
                self.shortcuts[f"stage_{stage}"] = _zero_linear(self.widths[0], self.widths[stage])
        self._specs: Mapping[str, OutputSpec] = {}
        self.register_buffer("is_remembered", torch.tensor(False))
        for place, parameter in enumerate(self.trunk.parameters() if successive else ()):
            self.register_buffer(f"remembered_{place}", parameter.detach().clone())
        self._stages_run = 0

    def notices(self) -> Iterator[str]:
        """No task lower than another."""
        if len(self.tasks) > 1 and not any(self.outputs_read_by(task) for task in self.tasks):
            yield (
                "sharing joint_many_task: all heads read the same stage and there is no order, so that no task reads "
                "another's output: this is hard sharing; set order, or reads of the lower tasks"
            )

    def expect_outputs(self, outputs: Mapping[str, OutputSpec]) -> None:
        """Makes a label embedding of every lower task's outputs for each place where they come in."""
        self._specs = dict(outputs)
        sizes = {task: _size(spec) for task, spec in outputs.items()}
        for stage in self._junctions:
            of = {f"task_{c}": _zero_linear(sizes[c], self.widths[stage]) for c in self._up_to(stage)}
            self.labels[f"stage_{stage}"] = nn.ModuleDict(of)
        for task in sorted(self.tasks):
            if peers := self._peers(task):
                width = self.widths[self.depth(task) - 1]
                of = {f"task_{c}": _zero_linear(sizes[c], width) for c in peers}
                self.peers[f"task_{task}"] = nn.ModuleDict(of)

    def forward(
        self, inputs: Inputs, tasks: Sequence[str], output_of: HeadOutput | None = None
    ) -> dict[str, list[Feature]]:
        """The features after each stage; lower tasks' heads are asked through `output_of`, left out without it."""
        depth = max(self.depth(task) for task in tasks)
        features: list[Feature] = []
        lower = _Lower(self, features, output_of)
        value: Inputs | Feature = inputs
        for stage in range(depth):
            feature = self.trunk[stage](value)
            features.append(feature)
            value = feature
            if stage in self._junctions and stage + 1 < depth:
                value = self._joined(stage, features, None if output_of is None else lower.told)
        self._stages_run = depth if self.training else 0
        return {task: lower.read(task) for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """Stages, and what comes in behind them, that no other task needs; peers' labels that no other task reads."""
        stages = self.own_stages(task)
        own: list[nn.Module] = [self.trunk[stages.start : stages.stop]]
        for of in (self.shortcuts, self.labels):
            own += [of[f"stage_{k}"] for k in self._junctions if f"stage_{k}" in of and k + 1 in stages]
        if f"task_{task}" in self.peers and not any(task in self._lower[other] for other in self.tasks):
            own.append(self.peers[f"task_{task}"])
        return chain.from_iterable(module.parameters() for module in own)

    def outputs_read_by(self, task: str) -> tuple[str, ...]:
        """The tasks below it."""
        return self._lower[task]

    @torch.no_grad()
    def remember(self) -> None:
        """From now on the penalty holds the chain near the weights it has now: called before another task trains."""
        for place, parameter in enumerate(self.trunk.parameters() if self.successive else ()):
            getattr(self, f"remembered_{place}").copy_(parameter)
        self.is_remembered.fill_(True)

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """The successive one, once there is something to remember, for the stages of the last training forward."""
        ran = list(self.trunk[: self._stages_run].parameters())
        if not (self.successive and ran and bool(self.is_remembered)):
            return {}
        distances = [(p - getattr(self, f"remembered_{k}")).square().sum() for k, p in enumerate(ran)]
        return {"successive": self.successive * torch.stack(distances).sum()}

    def own_features(self, task: str, features: Sequence[Feature], told: Told | None) -> list[Feature]:
        """What a task's head reads: the features after each stage, with what its peers predict in the last."""
        own = list(features[: self.depth(task)])
        if told is not None and f"task_{task}" in self.peers:
            own[-1] = self._with_labels(own[-1], self.peers[f"task_{task}"], self._peers(task), told)
        return own

    def probabilities(self, task: str, output: Tensor) -> Tensor:
        """A head's output as other tasks read it."""
        return self._specs[task].probabilities(output)

    def _joined(self, stage: int, features: list[Feature], told: Told | None) -> Feature:
        """What the next stage is given."""
        found = features[stage]
        if f"stage_{stage}" in self.shortcuts:
            first = features[0]
            is_by_token = first.values.ndim == 3 and first.values.shape[:2] == found.values.shape[:2]
            given = self.shortcuts[f"stage_{stage}"](first.values if is_by_token else first.pooled())
            found = _plus(found, given)
        if told is not None and f"stage_{stage}" in self.labels:
            found = self._with_labels(found, self.labels[f"stage_{stage}"], self._up_to(stage), told)
        return found

    def _with_labels(self, feature: Feature, labels: nn.Module, tasks: Sequence[str], told: Told) -> Feature:
        for task in tasks:
            embed = labels.get_submodule(f"task_{task}")
            feature = _plus(feature, embed(_fitting(told(task), feature).to(feature.values.dtype)))
        return feature

    def _up_to(self, stage: int) -> list[str]:
        """The tasks read no deeper than this stage, by name: a permutation of tasks changes no sum."""
        return sorted(task for task in self.tasks if self.depth(task) <= stage + 1)

    def _peers(self, task: str) -> list[str]:
        """The tasks of its depth before it."""
        return sorted(c for c in self._lower[task] if self.depth(c) == self.depth(task))


class _Lower:
    """What lower tasks' heads say in one forward, each asked once.

    An object and not two functions that call each other: those are a cycle, which would keep every activation until
    Python collects garbage.
    """

    def __init__(self, sharing: JointManyTask, features: Sequence[Feature], output_of: HeadOutput | None) -> None:
        self.sharing, self.features, self.output_of = sharing, features, output_of
        self.known: dict[str, Feature] = {}

    def told(self, task: str) -> Feature:
        """The probabilities, or numbers, that this task's head gives."""
        if task not in self.known:
            assert self.output_of is not None
            own = self.read(task)
            found = self.sharing.probabilities(task, self.output_of(task, own))
            self.known[task] = Feature(found, own[-1].mask if found.shape[:2] == own[-1].values.shape[:2] else None)
        return self.known[task]

    def read(self, task: str) -> list[Feature]:
        """What this task's head reads."""
        return self.sharing.own_features(task, self.features, None if self.output_of is None else self.told)


def _lower_tasks(
    depths: Mapping[str, int], order: Sequence[str] | None, tasks: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Task -> the tasks below it, in order."""
    if order is None:
        by_depth = sorted(tasks, key=lambda task: (depths[task], task))
        return {task: tuple(c for c in by_depth if depths[c] < depths[task]) for task in tasks}
    ordered = checked_order("joint_many_task", order, tasks)
    for before, after in pairwise(ordered):
        if depths[before] > depths[after]:
            raise ValueError(
                f"joint_many_task: order puts {before!r}, read at stage {depths[before] - 1}, before {after!r}, read "
                f"at stage {depths[after] - 1}: it goes from shallow to deep; change it, or the stages their heads read"
            )
    return {task: ordered[: ordered.index(task)] for task in tasks}


def _zero_linear(before: int, after: int) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, before, after, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def _size(spec: OutputSpec) -> int:
    """Channels of an output: last, or first of a picture's."""
    if not spec.shape:
        return 1
    return spec.shape[0] if len(spec.shape) == 3 else spec.shape[-1]


def _fitting(told: Feature, feature: Feature) -> Tensor:
    """`[B, size]`, or `[B, L, size]` where the feature has these L tokens."""
    values = told.values
    if values.ndim == 1:
        return values.unsqueeze(1)
    if values.ndim == 3 and feature.values.ndim == 3 and values.shape[1] == feature.values.shape[1]:
        return values
    return told.pooled()


def _plus(feature: Feature, given: Tensor) -> Feature:
    """The feature with this added to all its places."""
    values = feature.values
    if values.ndim == 3 and given.ndim == 2:
        given = given.unsqueeze(1)
    elif values.ndim == 4:
        given = given[:, :, None, None]
    return Feature(values + given, feature.mask)
