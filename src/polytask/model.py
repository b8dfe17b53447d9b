"""The model: encoder(s), sharing and heads; and the blueprint that it is built from."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import NOWHERE, Choice, Source, as_choice, build, plain, written
from polytask.data import Batch
from polytask.encoders import ENCODERS, Encoder
from polytask.errors import ConfigError
from polytask.feature import Feature, Inputs, InputSpec
from polytask.regularizers import REGULARIZERS, Regularizer
from polytask.sharing import SHARINGS, LastForward, Sharing
from polytask.tasks import TASKS, Fitted, Task, in_full_precision
from polytask.wording import shown


def seed_of(seed: int, *labels: object) -> int:
    """A seed for one purpose, derived from the run's seed: stable between machines and Python versions.

    Example:
        >>> seed_of(0, "head", "price") == seed_of(0, "head", "price") != seed_of(1, "head", "price")
        True
    """
    text = "\x1f".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


class Model(nn.Module):
    """`forward(inputs, tasks) -> {task: output}`, running only what these tasks need.

    Args:
        sharing: who runs which stage with whom.
        heads: task -> its head.
        regularizers: what else is added to the losses in training.
        initial_heads: task -> the head of its initial prediction, where the sharing has such.
    """

    def __init__(
        self,
        sharing: Sharing,
        heads: Mapping[str, nn.Module],
        regularizers: Iterable[Regularizer] = (),
        initial_heads: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.sharing = sharing
        self.tasks = tuple(heads)
        # The prefix keeps a task called "type" or "values" from meeting an attribute of ModuleDict.
        self.heads = nn.ModuleDict({f"task_{name}": head for name, head in heads.items()})
        #: The tasks whose outputs another task reads.
        self._read = {lower for task in self.tasks for lower in sharing.outputs_read_by(task)}
        self.regularizers = nn.ModuleList(regularizers)
        self.initial_heads = nn.ModuleDict({f"task_{name}": head for name, head in (initial_heads or {}).items()})
        self._last_penalties = LastForward()
        self._last_initial = LastForward()

    def forward(self, inputs: Inputs, tasks: Sequence[str] | None = None) -> dict[str, Float[Tensor, "batch ..."]]:
        """Every asked task's output; all tasks' where none is named."""
        names = self.tasks if tasks is None else tuple(tasks)
        made: dict[str, Tensor] = {}

        def output_of(task: str, features: list[Feature]) -> Tensor:
            if task not in made:
                made[task] = self.heads[f"task_{task}"](features)
            return made[task]

        # Most schemes ask for no output, and need not know that one can.
        features = self.sharing(inputs, names, output_of) if self._read else self.sharing(inputs, names)
        outputs = {name: output_of(name, features[name]) for name in names}
        self._last_penalties.values = self._penalties_on(outputs) if self.training else {}
        first = self.sharing.initial_features() if self.training and self.initial_heads else {}
        self._last_initial.values = {name: self.initial_heads[f"task_{name}"](first[name]) for name in first}
        return outputs

    def loss(self, task: Task, output: Tensor, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The task's loss as (sum, count), with that of its initial prediction in the last forward, if in training."""
        total, count = batch.loss(task, output)
        if task.name in self._last_initial.values:
            first = batch.loss(task, self._last_initial.values[task.name])[0]
            total = total + self.sharing.initial_weight * first
        return total, count

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """What the last forward in training adds to the losses; no balancer sees it (see `Sharing.penalties`)."""
        return {**self.sharing.penalties(), **self._last_penalties.values}

    def _penalties_on(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """In full precision, as losses are."""
        if not self.regularizers and type(self.sharing).output_penalties is Sharing.output_penalties:
            return {}
        device = next(iter(outputs.values())).device.type
        with torch.autocast(device, enabled=False):
            wide = {name: in_full_precision(output) for name, output in outputs.items()}
            found = dict(self.sharing.output_penalties(wide))
            heads = {name: self.heads[f"task_{name}"] for name in self.tasks}
            for regularizer in cast(Iterable[Regularizer], self.regularizers):
                penalty = regularizer(wide, heads)
                if penalty is not None:
                    # Two of a kind, for two groups of tasks, count together.
                    found[regularizer.name] = (
                        found[regularizer.name] + penalty if regularizer.name in found else penalty
                    )
            return found

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that at least two tasks' losses reach: the sharing's, and heads that other tasks read."""
        heads = (self.heads[f"task_{task}"].parameters() for task in self.tasks if task in self._read)
        return chain(self.sharing.shared_parameters(), *heads)

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The parameters that this task alone reaches: its head, and its own stages."""
        heads = [] if task in self._read else [self.heads[f"task_{task}"]]
        if self.initial_heads:
            heads.append(self.initial_heads[f"task_{task}"])
        return chain(self.sharing.task_parameters(task), *(head.parameters() for head in heads))


@dataclass(frozen=True)
class Blueprint:
    """All that a model is built from, as plain values: written into the Run, read back by whoever loads it.

    Attributes:
        tasks: in order.
        fitted: what each task learnt from the training rows.
        encoder: the chosen encoder.
        sharing: the chosen sharing.
        spec: what the encoder reads.
        seed: of the initial weights.
        regularizers: the chosen regularizers.
    """

    tasks: tuple[Task, ...]
    fitted: Mapping[str, Fitted]
    encoder: Choice[Encoder]
    sharing: Choice[Sharing]
    spec: InputSpec
    seed: int
    regularizers: tuple[Choice[Regularizer], ...] = ()

    def build(self, on_chain: Callable[[Encoder], object] | None = None) -> Model:
        """A fresh model on the CPU; the global random state is left as it was.

        Each part is seeded by what it is, not by its place: a twin trained on one of these tasks alone starts from
        the same trunk and the same head.

        Args:
            on_chain: is told of every chain of stages that the sharing has made.

        Raises:
            ValueError: the encoder cannot read these inputs, a head a stage, or a regularizer relate these tasks; says
                which.
        """

        def seed_layers(*labels: object) -> None:
            # Not torch.manual_seed, which would seed every accelerator too.
            torch.default_generator.manual_seed(seed_of(self.seed, *labels))

        def make_encoder(copy: int | str, encoder: Any = None, /) -> Encoder:
            chosen = self.encoder if encoder is None else as_choice(encoder, ENCODERS, "encoder")
            seed_layers("encoder", copy)
            chain_of_stages = chosen(self.spec)
            if on_chain is not None:
                on_chain(chain_of_stages)
            return chain_of_stages

        generator = torch.Generator().manual_seed(seed_of(self.seed, "sharing"))
        reads = {t.name: (t.reads,) if isinstance(t.reads, int) else tuple(t.reads) for t in self.tasks}
        with torch.random.fork_rng(devices=[]):
            sharing = self.sharing(make_encoder, reads, generator)
            outputs = {task.name: task.output_spec(self.fitted[task.name]) for task in self.tasks}
            sharing.expect_outputs(outputs)

            def make_heads(purpose: str) -> dict[str, nn.Module]:
                heads = {}
                for task in self.tasks:
                    seed_layers(purpose, task.name)
                    heads[task.name] = task.head(self.fitted[task.name], sharing.widths_of(task.name))
                return heads

            heads = make_heads("head")
            initial_heads = make_heads("initial head") if sharing.initial_weight else None
        return Model(sharing, heads, [choice(outputs, heads) for choice in self.regularizers], initial_heads)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "tasks": written_tasks(self.tasks),
            "fitted": dict(self.fitted),
            "encoder": written(self.encoder, ENCODERS, "encoder"),
            "sharing": written(self.sharing, SHARINGS, "sharing"),
            "regularizers": [written(choice, REGULARIZERS, "regularizer") for choice in self.regularizers],
            "spec": asdict(self.spec),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Blueprint":
        """What `to_json` wrote."""
        return cls(
            tasks=read_tasks(values["tasks"]),
            fitted=values["fitted"],
            encoder=as_choice(values["encoder"], ENCODERS, "encoder"),
            sharing=as_choice(values["sharing"], SHARINGS, "sharing"),
            spec=InputSpec.from_json(values["spec"]),
            seed=values["seed"],
            regularizers=read_regularizers(values.get("regularizers", [])),
        )


def read_regularizers(values: Any, source: Source = NOWHERE) -> tuple[Choice[Regularizer], ...]:
    """A list of choices, however each is written.

    Raises:
        ConfigError: no list, an unknown name or setting; names its line, and the nearest.
    """
    if isinstance(values, str | Mapping | Choice | type) or not isinstance(values, Iterable):
        place = source.place(("regularizers",)) or "regularizers"
        raise ConfigError(f"{place}: a list is wanted ([{{output_agreement: {{weight: 0.1}}}}]), got {shown(values)}")
    return tuple(
        as_choice(value, REGULARIZERS, "regularizer", source, ("regularizers", str(place)))
        for place, value in enumerate(values)
    )


def written_tasks(tasks: Iterable[Task]) -> dict[str, dict[str, Any]]:
    """Tasks as YAML writes them: `name: {kind: …, settings that differ from their defaults}`."""
    return {t.name: {"kind": t.kind, **{k: v for k, v in plain(t).items() if k != "name"}} for t in tasks}


def read_tasks(values: Mapping[str, Any]) -> tuple[Task, ...]:
    """What `written_tasks` wrote."""
    return tuple(
        build(TASKS[settings["kind"]], {"name": name, **{k: v for k, v in settings.items() if k != "kind"}})
        for name, settings in values.items()
    )


def count_parameters(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers these parameters hold, each parameter counted once."""
    return sum({id(p): p.numel() for p in parameters}.values())
