"""The model: encoder(s), sharing and heads; and the blueprint that it is built from."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import Choice, as_choice, build, plain, written
from polytask.encoders import ENCODERS, Encoder
from polytask.feature import Inputs, InputSpec
from polytask.sharing import SHARINGS, Sharing
from polytask.tasks import TASKS, Fitted, Task


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
    """

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.sharing = sharing
        self.tasks = tuple(heads)
        # The prefix keeps a task called "type" or "values" from meeting an attribute of ModuleDict.
        self.heads = nn.ModuleDict({f"task_{name}": head for name, head in heads.items()})

    def forward(self, inputs: Inputs, tasks: Sequence[str] | None = None) -> dict[str, Float[Tensor, "batch ..."]]:
        """Every asked task's output; all tasks' where none is named."""
        names = self.tasks if tasks is None else tuple(tasks)
        features = self.sharing(inputs, names)
        return {name: self.heads[f"task_{name}"](features[name]) for name in names}

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that at least two tasks' losses reach."""
        return self.sharing.shared_parameters()

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The parameters that this task alone reaches: its head, and its own stages."""
        return chain(self.sharing.task_parameters(task), self.heads[f"task_{task}"].parameters())


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
    """

    tasks: tuple[Task, ...]
    fitted: Mapping[str, Fitted]
    encoder: Choice[Encoder]
    sharing: Choice[Sharing]
    spec: InputSpec
    seed: int

    def build(self, on_chain: Callable[[Encoder], object] | None = None) -> Model:
        """A fresh model on the CPU; the global random state is left as it was.

        Each part is seeded by what it is, not by its place: a twin trained on one of these tasks alone starts from
        the same trunk and the same head.

        Args:
            on_chain: is told of every chain of stages that the sharing has made.

        Raises:
            ValueError: the encoder cannot read these inputs, or a head a stage; says which.
        """

        def seed_layers(*labels: object) -> None:
            # Not torch.manual_seed, which would seed every accelerator too.
            torch.default_generator.manual_seed(seed_of(self.seed, *labels))

        def make_encoder(copy: int | str) -> Encoder:
            seed_layers("encoder", copy)
            chain_of_stages = self.encoder(self.spec)
            if on_chain is not None:
                on_chain(chain_of_stages)
            return chain_of_stages

        generator = torch.Generator().manual_seed(seed_of(self.seed, "sharing"))
        reads = {t.name: (t.reads,) if isinstance(t.reads, int) else tuple(t.reads) for t in self.tasks}
        with torch.random.fork_rng(devices=[]):
            sharing = self.sharing(make_encoder, reads, generator)
            heads = {}
            for task in self.tasks:
                seed_layers("head", task.name)
                heads[task.name] = task.head(self.fitted[task.name], sharing.widths_of(task.name))
        return Model(sharing, heads)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "tasks": written_tasks(self.tasks),
            "fitted": dict(self.fitted),
            "encoder": written(self.encoder, ENCODERS, "encoder"),
            "sharing": written(self.sharing, SHARINGS, "sharing"),
            "spec": asdict(self.spec),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Blueprint":
        """What `to_json` wrote."""
        spec = values["spec"]
        return cls(
            tasks=read_tasks(values["tasks"]),
            fitted=values["fitted"],
            encoder=as_choice(values["encoder"], ENCODERS, "encoder"),
            sharing=as_choice(values["sharing"], SHARINGS, "sharing"),
            spec=InputSpec(
                numbers=tuple(spec["numbers"]),
                categories=tuple((name, size) for name, size in spec["categories"]),
                images={name: (c, h, w) for name, (c, h, w) in spec["images"].items()},
            ),
            seed=values["seed"],
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
