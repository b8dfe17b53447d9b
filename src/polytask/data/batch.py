"""Batches: some rows, encoded; and what every walk over a part's rows is, wherever they are kept."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from jaxtyping import Float
from torch import Tensor

from polytask.feature import Inputs
from polytask.ragged import Rows
from polytask.tasks import Task


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of every global batch this process takes.

    Args:
        rank: of the process, counted from 0.
        size: how many processes there are.
    """

    rank: int = 0
    size: int = 1

    def of(self, index: Tensor) -> Tensor:
        """Its rows of these: about as many in every process, but never one alone, since batch norm needs two.

        Example:
            >>> import torch
            >>> [Part(rank, 2).of(torch.arange(5)).tolist() for rank in range(2)]
            [[0, 1, 2], [3, 4]]
            >>> [Part(rank, 2).of(torch.arange(3)).tolist() for rank in range(2)]
            [[0, 1, 2], []]
        """
        if self.size == 1:
            return index
        parts = index.tensor_split(max(1, min(self.size, len(index) // 2)))
        return parts[self.rank] if self.rank < len(parts) else index[:0]


#: All rows: there is one process.
WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, encoded.

    Attributes:
        inputs: block or column name -> tensor `[batch, …]`.
        targets: by task.
        present: by task, of the target's shape; false where there is no label.
        weight: by task, of the target's shape; 0 where not present.
        labelled: the tasks with at least one label of positive weight in this batch; where it is one process's part of
            a global batch, in that one. None for a part without rows.
        num_global_rows: rows of the global batch; of this one where there is no other.
        partner: where each row is a mixture of two, the labels of the other one. Both have their share of the weight.
        second: the inputs of the same rows under another draw of the augmentations, where a walk was asked for it.
    """

    inputs: Inputs
    targets: dict[str, Tensor]
    present: dict[str, Tensor]
    weight: dict[str, Tensor]
    labelled: tuple[str, ...]
    num_global_rows: int
    partner: Self | None = None
    second: Inputs | None = None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.inputs.values())))

    def loss(self, task: Task, output: Float[Tensor, "batch ..."]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """A task's loss on these rows as (sum, count), that of the rows mixed into them included."""
        name = task.name
        total, count = task.loss(output, self.targets[name], self.present[name], self.weight[name])
        if self.partner is not None:
            more, others = self.partner.loss(task, output)
            total, count = total + more, count + others
        return total, count


class Walk(ABC):
    """An endless, reshuffled, saveable walk over rows, a batch at a time.

    The order of pass p is drawn from (seed, name, p) alone, so two integers say where it stands.

    Attributes:
        part: which rows of every batch this process takes; the walk is that of all processes.
        batch_size: rows a batch.
        seed: of the order.
        num_rows: rows a pass.
        has_second_view: whether augmented rows come under two draws (see `Batch.second`).
    """

    has_second_view = False
    batch_size: int
    seed: int
    num_rows: int

    def __init__(self) -> None:
        self.part = WHOLE
        self._pass = 0
        self._position = 0

    @property
    @abstractmethod
    def batches_per_pass(self) -> int:
        """Batches in which every row comes once."""

    @abstractmethod
    def next(self) -> Batch:
        """The next batch; after the last of a pass comes the first of the next, in a new order."""

    def state(self) -> dict[str, int]:
        """Where it stands: the pass, and the batches of it that were given."""
        return {"pass": self._pass, "position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stands where `state()` was taken.

        Raises:
            ValueError: the state is of a walk over other rows or batches.
        """
        if (
            set(state) != {"pass", "position"}
            or not 0 <= state["position"] <= self.batches_per_pass
            or state["pass"] < 0
        ):
            raise ValueError(f"{dict(state)} is no state of a walk of {self.batches_per_pass} batches a pass")
        self._pass, self._position = int(state["pass"]), int(state["position"])


class Examples(ABC):
    """The encoded rows of one part of a table: in memory, decoded when they are wanted, or streamed from files.

    Attributes:
        num_rows: how many there are.
        tasks: whose targets they have.
    """

    num_rows: int
    tasks: tuple[str, ...]

    @abstractmethod
    def walk(self, batch_size: int, seed: int, name: str = "", *, task: str | None = None) -> Walk:
        """A walk over all rows; over those with a label of this task where one is named.

        Args:
            batch_size: rows a batch; more than there are: all rows make one batch.
            seed: of the order.
            name: of the walk, so that several walk differently.
            task: its labelled rows only; all rows, where fewer than two have a label.

        Raises:
            ValueError: a batch size below 1.
        """


class JudgedExamples(Examples):
    """Rows that can be gone through in order, with all their targets at hand: what a model is judged on.

    Attributes:
        targets: by task, of every row.
        present: by task, of the target's shape.
    """

    targets: Mapping[str, Rows]
    present: Mapping[str, Rows]

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in order."""
