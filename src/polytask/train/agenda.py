"""Agendas: which tasks train at which step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch

from polytask.config import choose
from polytask.data import Batch, Examples, Part, Walk
from polytask.model import seed_of

#: One or more (task names, batch), balanced together.
Step = list[tuple[tuple[str, ...], Batch]]


class Agenda(ABC):
    """Yields the steps of an epoch; where it stands can be saved with two integers a stream.

    Args:
        tables: name -> training rows.
        batch_size: rows a batch; a smaller table gives all its rows.
        seed: of the run.

    Attributes:
        steps_per_epoch: how many steps make an epoch.
        streams: name -> the endless, reshuffled rows that steps draw from.
    """

    #: `TheAgenda.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: Whether a step may hold several tasks, so that a balancer has something to balance.
    balances: ClassVar[bool] = True

    steps_per_epoch: int
    streams: Mapping[str, Walk]

    @abstractmethod
    def __init__(self, tables: Mapping[str, Examples], batch_size: int, seed: int) -> None: ...

    @abstractmethod
    def steps(self, epoch: int, first: int = 0) -> Iterator[Step]:
        """The steps of this epoch from number `first` on; streams go on from where they stand."""

    def divide(self, part: Part) -> None:
        """From now on every batch is this process's part of it; the steps stay those of all processes."""
        for stream in self.streams.values():
            stream.part = part

    def state(self) -> dict[str, Any]:
        """Where every stream stands."""
        return {name: stream.state() for name, stream in self.streams.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Sets every stream to a saved place."""
        for name, stream in self.streams.items():
            stream.restore(state[name])


class Joint(Agenda):
    """Every step trains all tasks that have a label in its batch; of several tables, one batch of each.

    An epoch is one pass over the largest table; smaller ones repeat.

    Args:
        tables: name -> training rows.
        batch_size: rows a batch (of each table).
        seed: of the run.
        steps: steps an epoch, in place of one pass.

    Example:
        >>> from polytask.data import Targets, TensorTable
        >>> cells = {"price": torch.ones(6), "sold": torch.ones(6)}
        >>> targets = Targets(cells, {name: cell > 0 for name, cell in cells.items()}, cells)
        >>> agenda = Joint({"houses": TensorTable({"<numbers>": torch.ones(6, 2)}, targets)}, 4, seed=0)
        >>> [(names, batch.num_rows) for step in agenda.steps(0) for names, batch in step]
        [(('price', 'sold'), 4), (('price', 'sold'), 2)]
    """

    def __init__(self, tables: Mapping[str, Examples], batch_size: int, seed: int, *, steps: int | None = None) -> None:
        self.streams = {name: table.walk(batch_size, seed, name) for name, table in tables.items()}
        self.tasks = {name: tuple(table.tasks) for name, table in tables.items()}
        self.steps_per_epoch = _checked(steps) or max(s.batches_per_pass for s in self.streams.values())

    def steps(self, epoch: int, first: int = 0) -> Iterator[Step]:
        """One batch of every table a step."""
        for _ in range(first, self.steps_per_epoch):
            yield [(self.tasks[name], stream.next()) for name, stream in self.streams.items()]


class Alternating(Agenda):
    """Every step trains one task, on a batch of its own table (or of its own stream of the common one).

    Only rows with a label of the task are drawn (all rows, where fewer than two have one: batch norm needs two).
    Only that task's part of the model moves: all else keeps its value and its optimiser state.

    Args:
        tables: name -> training rows.
        batch_size: rows a batch.
        seed: of the run.
        order: `"proportional"`: every task's labelled rows pass once an epoch, in shuffled order; `"uniform"`: each
            step draws a task, all alike; `"round_robin"`: in turn.
        steps: steps an epoch, in place of one pass over the labelled rows of all tasks.

    Example:
        >>> from polytask.data import Targets, TensorTable
        >>> cells = {"price": torch.ones(6), "sold": torch.ones(6)}
        >>> targets = Targets(cells, {name: cell > 0 for name, cell in cells.items()}, cells)
        >>> table = TensorTable({"<numbers>": torch.ones(6, 2)}, targets)
        >>> agenda = Alternating({"houses": table}, 6, seed=0, order="round_robin")
        >>> [(names, batch.num_rows) for step in agenda.steps(0) for names, batch in step]
        [(('price',), 6), (('sold',), 6)]
    """

    balances = False

    def __init__(
        self,
        tables: Mapping[str, Examples],
        batch_size: int,
        seed: int,
        *,
        order: Literal["proportional", "uniform", "round_robin"] = "proportional",
        steps: int | None = None,
    ) -> None:
        self.streams = {
            task: table.walk(batch_size, seed, f"{name}/{task}", task=task)
            for name, table in tables.items()
            for task in table.tasks
        }
        self.order = order
        self.seed = seed
        passes = {task: stream.batches_per_pass for task, stream in self.streams.items()}
        if order == "proportional" and steps is not None:
            raise ValueError(
                "alternating: steps has no effect with order='proportional'; use 'uniform' or 'round_robin'"
            )
        self.steps_per_epoch = _checked(steps) or sum(passes.values())
        self._passes = passes

    def steps(self, epoch: int, first: int = 0) -> Iterator[Step]:
        """One task's batch a step; the order of tasks depends on seed and epoch alone."""
        for task in self._sequence(epoch)[first:]:
            yield [((task,), self.streams[task].next())]

    def _sequence(self, epoch: int) -> Sequence[str]:
        names = list(self._passes)
        generator = torch.Generator().manual_seed(seed_of(self.seed, "agenda", epoch))
        if self.order == "round_robin":
            return [names[step % len(names)] for step in range(self.steps_per_epoch)]
        if self.order == "uniform":
            draws = torch.randint(len(names), (self.steps_per_epoch,), generator=generator)
            return [names[k] for k in draws.tolist()]
        deck = [name for name, count in self._passes.items() for _ in range(count)]
        return [deck[k] for k in torch.randperm(len(deck), generator=generator).tolist()]


def _checked(steps: int | None) -> int | None:
    if steps is not None and steps < 1:
        raise ValueError(f"agenda: steps={steps}: at least 1")
    return steps


#: Every agenda by its catalogue name.
AGENDAS: dict[str, type[Agenda]] = {"joint": Joint, "alternating": Alternating}
