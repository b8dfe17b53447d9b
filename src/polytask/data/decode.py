"""The rows of one part whose pictures, recordings and videos are decoded when a batch wants them."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask.data.batch import WHOLE, Batch, JudgedExamples, Walk
from polytask.data.cache import Cache, Store
from polytask.data.decoded_column import DecodedColumn
from polytask.data.media import MediaCells, folder_of
from polytask.data.preprocess import Preprocessor
from polytask.data.table import Table
from polytask.data.targets import Targets
from polytask.data.tensor_table import Stream, TensorTable
from polytask.data.workers import Workers
from polytask.ragged import Rows

#: Numbers that new rows may take decoded; beyond, they are decoded batch by batch whenever they are gone through.
MOST = 2**28
#: Rows that are decoded in one go where all are wanted in order.
ROWS = 64
#: Numbers that a batch may hold where all rows are wanted in order; beyond, it is cut.
NUMBERS = 2**26


@dataclass(frozen=True)
class Decoding:
    """Decodes some cells of each of these columns; it goes to the workers with every batch."""

    columns: tuple[DecodedColumn, ...]

    @property
    def needs_main(self) -> bool:
        """Whether something of it stands in the script that is being run."""
        return any(getattr(column, "needs_main", False) for column in self.columns)

    def __call__(self, cells: Mapping[str, MediaCells | None]) -> dict[str, np.ndarray | None]:
        """By column, what stands in its cells; None where all are missing."""
        wanted = {column.name: cells[column.name] for column in self.columns}
        found = zip(self.columns, wanted.values(), strict=True)
        return {column.name: None if each is None else column.decoded(each) for column, each in found}


class DecodedExamples(JudgedExamples):
    """Rows of which some columns are decoded a batch at a time, in worker processes that are a few batches ahead.

    All other inputs and the targets are in memory. Batches are those of a TensorTable of everything, bit for bit,
    whatever the number of workers; evaluation may take them smaller, as all rows in memory are what is spared here.

    Args:
        rest: the targets, and all inputs but these columns.
        table: the cells.
        rows: of the table, as `rest` has them.
        columns: that are decoded.
        workers: who decodes; the caller closes them.
        stores: of the columns whose cells were decoded before.
    """

    def __init__(
        self,
        rest: TensorTable,
        table: Table,
        rows: np.ndarray,
        columns: tuple[DecodedColumn, ...],
        workers: Workers | None = None,
        stores: Mapping[str, Store] | None = None,
    ) -> None:
        self.rest, self.num_rows, self.tasks = rest, rest.num_rows, rest.tasks
        self.targets: Mapping[str, Rows] = rest.targets
        self.present: Mapping[str, Rows] = rest.present
        self.device = rest.device
        self._rows, self._folder = np.asarray(rows), folder_of(table)
        self._values = {column.name: table.values(column.name) for column in columns}
        self._masks = {column.name: table.mask(column.name)[self._rows] for column in columns}
        self._columns, self._stores = columns, dict(stores or {})
        self._decoding = Decoding(tuple(column for column in columns if column.name not in self._stores))
        self._workers = workers or Workers()

    def blocks(self, indices: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        """The decoded columns of the rows at each of these indices, as they come.

        Raises:
            SchemaError: a cell that cannot be read; names column and row.
        """
        asked: deque[Tensor] = deque()

        def cells() -> Iterator[dict[str, MediaCells | None]]:
            for index in indices:
                asked.append(index)
                yield {column.name: self._cells(column, index.numpy()) for column in self._decoding.columns}

        # What is in stores is read here: no process is started for it.
        workers = self._workers if self._decoding.columns else Workers()
        for found in workers.map(self._decoding, cells()):
            index = asked.popleft().numpy()
            yield {column.name: self._block(column, index, found) for column in self._columns}

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in order."""
        width = sum(int(np.prod(column.cell_shape)) for column in self._columns)
        batch_size = max(1, min(batch_size, NUMBERS // width))
        batches = torch.arange(self.num_rows).split(batch_size)
        pieces = [batch.split(ROWS) for batch in batches]
        found = self.blocks(iter([piece for each in pieces for piece in each]))
        for batch, parts in zip(batches, pieces, strict=True):
            made = [next(found) for _ in parts]
            blocks = {name: torch.cat([part[name] for part in made]) for name in made[0]}
            yield _with(self.rest.batch(batch), blocks)

    def walk(self, batch_size: int, seed: int, name: str = "", *, task: str | None = None) -> "DecodedWalk":
        """See `Examples.walk`."""
        return DecodedWalk(self, lambda: self.rest.walk(batch_size, seed, name, task=task))

    def _block(self, column: DecodedColumn, index: np.ndarray, found: Mapping[str, np.ndarray | None]) -> Tensor:
        present = self._masks[column.name][index]
        store = self._stores.get(column.name)
        decoded = found.get(column.name) if store is None else store.of(self._rows[index[present]])
        return column.block(decoded if present.any() else None, present).to(self.device)

    def _cells(self, column: DecodedColumn, index: np.ndarray) -> MediaCells | None:
        rows = self._rows[index[self._masks[column.name][index]]]
        cells = tuple(self._values[column.name][row] for row in rows)
        return MediaCells(column.name, column.kind, self._folder, cells, tuple(rows.tolist())) if cells else None


class DecodedWalk(Walk):
    """A walk over rows that are decoded ahead of it.

    Args:
        examples: the rows.
        walk: makes the walk over their other inputs; one goes ahead of the other.
    """

    def __init__(self, examples: DecodedExamples, walk: Callable[[], Stream]) -> None:
        super().__init__()
        self._examples, self._make = examples, walk
        self._stream = walk()
        self.num_rows, self.batch_size = self._stream.num_rows, self._stream.batch_size
        self.seed, self.name = self._stream.seed, self._stream.name
        self._blocks: Iterator[dict[str, Tensor]] | None = None
        self._ahead_for = WHOLE

    @property
    def batches_per_pass(self) -> int:
        """See `Walk.batches_per_pass`."""
        return self._stream.batches_per_pass

    def next(self) -> Batch:
        """See `Walk.next`."""
        if self._blocks is None or self._ahead_for != self.part:
            self._blocks, self._ahead_for = self._examples.blocks(self._ahead()), self.part
        blocks = next(self._blocks)
        return _with(self._examples.rest.batch(self._stream.next_index(), self.part), blocks)

    def state(self) -> dict[str, int]:
        """See `Walk.state`; what was decoded ahead was not given yet."""
        return self._stream.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Walk.restore`."""
        self._stream.restore(state)
        self._blocks = None

    def _ahead(self) -> Iterator[Tensor]:
        stream, part = self._make(), self.part
        stream.restore(self._stream.state())
        while True:
            yield part.of(stream.next_index())


def encode_rows(
    preprocessor: Preprocessor,
    table: Table,
    rows: np.ndarray,
    targets: Targets,
    *,
    device: torch.device | str = "cpu",
    absent: Collection[str] = (),
    workers: Workers | None = None,
    cache: Cache | None = None,
) -> TensorTable | DecodedExamples:
    """Rows as the model reads them: all in memory, or decoded later where there is somebody to do it.

    Args:
        preprocessor: fitted.
        table: the rows.
        rows: positions in the table.
        targets: of these rows.
        device: where batches are wanted.
        absent: columns that the table need not have (see `Preprocessor.transform`).
        workers: decode pictures, recordings and videos a batch at a time; None, or none of these columns: all is made
            ready now.
        cache: has them on disk, decoded before or now; batches are read from there.

    Raises:
        SchemaError: columns are missing, or a cell cannot be read.
    """
    if (workers is None and cache is None) or not preprocessor.decoded:
        return TensorTable(preprocessor.transform(table, rows, absent=absent), targets, device)
    table = preprocessor.completed(table, absent, rows)
    later = [column.name for column in preprocessor.decoded]
    others = preprocessor.transform(table, rows, absent=absent, later=later)
    rest = TensorTable(others, targets, device, num_rows=len(rows))
    workers = workers or Workers()
    stores = {c.name: cache.store(c, table, workers) for c in preprocessor.decoded} if cache is not None else {}
    return DecodedExamples(rest, table, rows, preprocessor.decoded, workers, stores)


def encode_new_rows(
    preprocessor: Preprocessor,
    table: Table,
    rows: np.ndarray,
    targets: Targets,
    *,
    device: torch.device | str = "cpu",
    absent: Collection[str] = (),
) -> TensorTable | DecodedExamples:
    """Rows to be predicted or judged: in memory, or decoded a batch at a time where they would fill it.

    Args:
        preprocessor: fitted.
        table: the rows.
        rows: positions in the table.
        targets: of these rows.
        device: where batches are wanted.
        absent: columns that the table need not have (see `Preprocessor.transform`).

    Raises:
        SchemaError: columns are missing, or a cell cannot be read.
    """
    width = sum(int(np.prod(column.cell_shape)) for column in preprocessor.decoded)
    workers = Workers() if width * len(rows) > MOST else None
    return encode_rows(preprocessor, table, rows, targets, device=device, absent=absent, workers=workers)


def _with(batch: Batch, blocks: Mapping[str, Tensor]) -> Batch:
    return replace(batch, inputs={**batch.inputs, **blocks})
