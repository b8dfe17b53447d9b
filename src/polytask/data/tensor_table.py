"""The rows of one part in memory: batches by tensor indexing, no Python call a row, no wait for the device."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from polytask.data.batch import WHOLE, Batch, JudgedExamples, Part, Walk
from polytask.data.targets import Targets
from polytask.feature import Inputs, mask_of
from polytask.ragged import InputRows, Ragged, Rows
from polytask.sparse_rows import SparseRows

#: Rows of like length are looked for among this many batches.
POOL = 50


class TensorTable(JudgedExamples):
    """The encoded rows of one part, in memory, on one device.

    Args:
        inputs: as `Preprocessor.transform` gives them.
        targets: of the same rows, as `encode_targets` gives them.
        device: where the batches are wanted.
        num_rows: where there may be neither inputs nor targets.

    Raises:
        ValueError: no rows, or inputs and targets of different numbers of rows.
    """

    def __init__(
        self,
        inputs: Mapping[str, InputRows],
        targets: Targets,
        device: torch.device | str = "cpu",
        *,
        num_rows: int | None = None,
    ) -> None:
        sizes = {name: len(block) for name, block in (*inputs.items(), *targets.values.items())}
        sizes |= {} if num_rows is None else {"rows": num_rows}
        if len(set(sizes.values())) != 1 or not max(sizes.values(), default=0):
            raise ValueError(f"inputs and targets need one number of rows >= 1, got {sizes}")
        self.num_rows = next(iter(sizes.values()))
        self.tasks = tuple(targets.values)
        # Stays on the CPU, as the order of rows does: asking the device whether a batch has a label would
        # wait for it.
        has_label = targets.labelled()
        self.partly_labelled = {name: rows for name, rows in has_label.items() if not rows.all()}
        self.inputs = {name: block.to(device) for name, block in inputs.items()}
        self.targets = {name: target.to(device) for name, target in targets.values.items()}
        self.present = {name: mask.to(device) for name, mask in targets.present.items()}
        self.weight = {name: weight.to(device) for name, weight in targets.weight.items()}
        self.device = torch.device(device)
        lengths = [block.lengths for block in self.inputs.values() if isinstance(block, Ragged)]
        #: Of every row, where rows differ in length.
        self.lengths = torch.stack(lengths).amax(dim=0) if lengths else None

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
            inputs=chosen_inputs(self.inputs, index, moved),
            targets=_chosen(self.targets, index, moved),
            present=_chosen(self.present, index, moved),
            weight=_chosen(self.weight, index, moved),
            labelled=labelled if len(index) else (),
            num_global_rows=num_global_rows,
        )

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in order."""
        return (self.batch(index) for index in torch.arange(self.num_rows).split(batch_size))

    def walk(self, batch_size: int, seed: int, name: str = "", *, task: str | None = None) -> "Stream":
        """See `Examples.walk`."""
        has_label = self.partly_labelled.get(task) if task is not None else None
        if has_label is None or has_label.sum() < 2:  # batch norm needs two
            return Stream(self, batch_size, seed, name)
        return Stream(self, batch_size, seed, name, has_label.nonzero().flatten())


def chosen_inputs(blocks: Mapping[str, InputRows], index: Tensor, moved: Tensor) -> Inputs:
    """Rows of the inputs; beside those of different lengths stands where they are not padding.

    Args:
        blocks: by column.
        index: rows, int64, on the CPU.
        moved: the same on the blocks' device.
    """
    found: Inputs = {}
    for name, block in blocks.items():
        if isinstance(block, Ragged):
            found[name], found[mask_of(name)] = block.take(index)
        elif isinstance(block, SparseRows):
            found[name] = block.take(index)
        else:
            found[name] = block.index_select(0, moved)
    return found


def _chosen(blocks: Mapping[str, Rows], index: Tensor, moved: Tensor) -> dict[str, Tensor]:
    return {
        name: block.take(index)[0] if isinstance(block, Ragged) else block.index_select(0, moved)
        for name, block in blocks.items()
    }


def check_batch_size(batch_size: int) -> None:
    """Raises ValueError for a batch without rows."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: at least 1 row is wanted")


def generator_of(seed: int, name: str, number: int) -> torch.Generator:
    """The generator of one pass of a walk: drawn from these three alone, alike on every machine."""
    digest = hashlib.sha256(f"{seed}\0{name}\0{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Stream(Walk):
    """An endless, reshuffled, saveable walk over the rows of a TensorTable.

    The order of pass p is drawn from (seed, name, p) alone, so two integers say where it stands. The last
    batch of a pass may be smaller; a single row left over joins the batch before, as batch norm needs two.
    Where rows differ in length, a batch's rows are of like length, so that little of it is padding: the rows are
    shuffled, sorted by length within every 50 batches, and the batches shuffled.

    Args:
        table: the rows.
        batch_size: rows a batch; more than there are: all rows make one batch.
        seed: of the order.
        name: of the table, so that several walk differently.
        rows: only these rows of the table, an int64 tensor on the CPU; all where not given.

    Raises:
        ValueError: a batch size below 1.
    """

    def __init__(
        self, table: TensorTable, batch_size: int, seed: int, name: str = "", rows: Tensor | None = None
    ) -> None:
        super().__init__()
        check_batch_size(batch_size)
        self.table = table
        self.rows = rows
        self.num_rows = table.num_rows if rows is None else len(rows)
        self.batch_size = min(batch_size, self.num_rows)
        self.seed = seed
        self.name = name
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
        return self.table.batch(self.next_index(), self.part)

    def next_index(self) -> Tensor:
        """The rows of the next batch, for whoever makes it."""
        if self._position == self.batches_per_pass:
            self._pass, self._position, self._batches = self._pass + 1, 0, ()
        if not self._batches:
            self._batches = self._drawn()
        index = self._batches[self._position]
        self._position += 1
        return index

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Walk.restore`."""
        super().restore(state)
        self._batches = ()

    def _drawn(self) -> Sequence[Tensor]:
        """The batches of this pass."""
        generator = generator_of(self.seed, self.name, self._pass)
        order = torch.randperm(self.num_rows, generator=generator)
        order = order if self.rows is None else self.rows[order]
        lengths = self.table.lengths
        if lengths is None:
            return self._cut(order)
        pools = order.split(POOL * self.batch_size)
        batches = self._cut(torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools]))
        return [batches[k] for k in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self, order: Tensor) -> list[Tensor]:
        batches = list(order.split(self.batch_size))
        if self._joins_last and len(batches) > 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches
