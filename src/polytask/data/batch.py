"""Batches by tensor indexing from memory: no Python call a row, and no wait for the device."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polytask.data.targets import Targets
from polytask.feature import Inputs


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
    """

    inputs: Inputs
    targets: dict[str, Tensor]
    present: dict[str, Tensor]
    weight: dict[str, Tensor]
    labelled: tuple[str, ...]
    num_global_rows: int

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.inputs.values())))


class TensorTable:
    """The encoded rows of one part, in memory, on one device.

    Args:
        inputs: as `Preprocessor.transform` gives them.
        targets: of the same rows, as `encode_targets` gives them.
        device: where the batches are wanted.

    Raises:
        ValueError: no rows, or inputs and targets of different numbers of rows.
    """

    def __init__(self, inputs: Inputs, targets: Targets, device: torch.device | str = "cpu") -> None:
        sizes = {name: len(block) for name, block in (*inputs.items(), *targets.values.items())}
        if len(set(sizes.values())) != 1 or not max(sizes.values(), default=0):
            raise ValueError(f"inputs and targets need one number of rows >= 1, got {sizes}")
        self.num_rows = next(iter(sizes.values()))
        self.tasks = tuple(targets.values)
        # Stays on the CPU, as the order of rows does: asking the device whether a batch has a label would
        # wait for it.
        counts = {name: (weight > 0).cpu() for name, weight in targets.weight.items()}
        has_label = {name: cells.reshape(len(cells), -1).any(dim=1) for name, cells in counts.items()}
        self.partly_labelled = {name: rows for name, rows in has_label.items() if not rows.all()}
        self.inputs = {name: block.to(device) for name, block in inputs.items()}
        self.targets = {name: target.to(device) for name, target in targets.values.items()}
        self.present = {name: mask.to(device) for name, mask in targets.present.items()}
        self.weight = {name: weight.to(device) for name, weight in targets.weight.items()}
        self.device = torch.device(device)

    def batch(self, index: Tensor, part: Part = WHOLE) -> Batch:
        """The rows at `index`, an int64 tensor on the CPU; or one process's part of them."""
        labelled = tuple(
            name
            for name in self.tasks
            if name not in self.partly_labelled or bool(self.partly_labelled[name][index].any())
        )
        num_global_rows, index = len(index), part.of(index)
        # Pinned, so that the copy to an accelerator does not hold up the loop.
        moved = index if self.device.type != "cuda" else index.pin_memory().to(self.device, non_blocking=True)
        moved = moved.to(self.device)
        return Batch(
            inputs=_chosen(self.inputs, moved),
            targets=_chosen(self.targets, moved),
            present=_chosen(self.present, moved),
            weight=_chosen(self.weight, moved),
            labelled=labelled if len(index) else (),
            num_global_rows=num_global_rows,
        )

    def batches(self, batch_size: int) -> "Sequence[Tensor]":
        """Indices of all rows in order, cut into batches: for evaluation."""
        return torch.arange(self.num_rows).split(batch_size)


def _chosen(blocks: dict[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    return {name: block.index_select(0, index) for name, block in blocks.items()}


class Stream:
    """An endless, reshuffled, saveable walk over the rows of a TensorTable.

    The order of pass p is drawn from (seed, name, p) alone, so two integers say where it stands. The last
    batch of a pass may be smaller; a single row left over joins the batch before, as batch norm needs two.

    Args:
        table: the rows.
        batch_size: rows a batch; more than there are: all rows make one batch.
        seed: of the order.
        name: of the table, so that several walk differently.
        rows: only these rows of the table, an int64 tensor on the CPU; all where not given.

    Attributes:
        part: which rows of every batch this process takes; the walk is that of all processes.

    Raises:
        ValueError: a batch size below 1.
    """

    def __init__(
        self, table: TensorTable, batch_size: int, seed: int, name: str = "", rows: Tensor | None = None
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: at least 1 row is wanted")
        self.table = table
        self.rows = rows
        self.num_rows = table.num_rows if rows is None else len(rows)
        self.batch_size = min(batch_size, self.num_rows)
        self.seed = seed
        self.name = name
        self.part = WHOLE
        self._pass = 0
        self._position = 0
        self._batches: Sequence[Tensor] = ()

    @property
    def batches_per_pass(self) -> int:
        """Batches in which every row comes once."""
        whole, rest = divmod(self.num_rows, self.batch_size)
        return whole + (rest > 0 and not self._joins_last)

    @property
    def _joins_last(self) -> bool:
        return self.batch_size > 1 and self.num_rows % self.batch_size == 1

    def next(self) -> Batch:
        """The next batch; after the last of a pass comes the first of the next, in a new order."""
        if self._position == self.batches_per_pass:
            self._pass, self._position, self._batches = self._pass + 1, 0, ()
        if not self._batches:
            self._batches = self._cut(self._order())
        index = self._batches[self._position]
        self._position += 1
        return self.table.batch(index, self.part)

    def state(self) -> dict[str, int]:
        """Where it stands: the pass, and the batches of it that were given."""
        return {"pass": self._pass, "position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        """Stands where `state()` was taken.

        Raises:
            ValueError: the state is of a walk over other rows or batches.
        """
        if (
            set(state) != {"pass", "position"}
            or not 0 <= state["position"] <= self.batches_per_pass
            or state["pass"] < 0
        ):
            raise ValueError(f"{state} is no state of a walk of {self.batches_per_pass} batches a pass")
        self._pass, self._position, self._batches = int(state["pass"]), int(state["position"]), ()

    def _order(self) -> Tensor:
        digest = hashlib.sha256(f"{self.seed}\0{self.name}\0{self._pass}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        order = torch.randperm(self.num_rows, generator=generator)
        return order if self.rows is None else self.rows[order]

    def _cut(self, order: Tensor) -> Sequence[Tensor]:
        batches = list(order.split(self.batch_size))
        if self._joins_last and len(batches) > 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches
