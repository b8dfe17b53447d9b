"""Pieces of a streamed table as tensors, and several pieces as one table in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from polytask.data.preprocess import Preprocessor
from polytask.data.stream.pieces import Piece, PieceReader
from polytask.data.stream.streamed_table import StreamedTable
from polytask.data.table import Table
from polytask.data.target_cells import label_columns
from polytask.data.targets import Targets, encode_targets
from polytask.data.tensor_table import TensorTable
from polytask.errors import SchemaError
from polytask.ragged import InputRows, Ragged, select_rows
from polytask.sparse_rows import SparseRows
from polytask.tasks import Fitted, Task


@dataclass(frozen=True)
class Encoded:
    """Some rows as tensors, on the CPU.

    Attributes:
        inputs: as `Preprocessor.transform` gives them.
        targets: of the same rows.
    """

    inputs: Mapping[str, InputRows]
    targets: Targets

    def table(self, device: torch.device | str = "cpu") -> TensorTable:
        """The rows as a table on a device."""
        return TensorTable(self.inputs, self.targets, device)

    @classmethod
    def joined(cls, blocks: Sequence["Encoded"]) -> "Encoded":
        """Blocks of rows below each other; each is let go as its columns are joined."""
        if len(blocks) == 1:
            return blocks[0]
        parts = [block.parts() for block in blocks]
        inputs, *targets = (_joined_columns([part[k] for part in parts]) for k in range(4))
        return cls(inputs, Targets(*targets))

    def parts(self) -> tuple[dict[str, Any], ...]:
        """Inputs, values, present and weight as dicts of their own."""
        targets = self.targets
        return dict(self.inputs), dict(targets.values), dict(targets.present), dict(targets.weight)


def rows_of(table: TensorTable, index: Tensor) -> Encoded:
    """These rows of a table, still as its columns are kept."""

    def chosen(columns: Mapping[str, Any]) -> dict[str, Any]:
        moved = index.to(table.device)
        return {n: select_rows(block, moved if isinstance(block, Tensor) else index) for n, block in columns.items()}

    return Encoded(chosen(table.inputs), Targets(chosen(table.targets), chosen(table.present), chosen(table.weight)))


def _joined_columns(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: _below([part.pop(name) for part in parts]) for name in list(parts[0])}


def _below(blocks: Sequence[Any]) -> Any:
    if isinstance(blocks[0], Ragged):
        return Ragged(torch.cat([b.values for b in blocks]), torch.cat([b.lengths for b in blocks]))
    if isinstance(blocks[0], SparseRows):
        return SparseRows.joined(blocks)
    return torch.cat(list(blocks))


@dataclass(frozen=True)
class PieceEncoder:
    """Reads rows of pieces and encodes them as a table in memory would be.

    Args:
        table: the rows.
        preprocessor: fitted.
        tasks: whose targets are wanted.
        fitted: what they learnt.
        absent: columns that the table need not have (see `Preprocessor.transform`).
    """

    table: StreamedTable
    preprocessor: Preprocessor
    tasks: Sequence[Task]
    fitted: Mapping[str, Fitted]
    absent: Collection[str] = ()

    def reader(self) -> PieceReader:
        """A reader of all columns that are needed.

        Raises:
            SchemaError: one of them is not there.
        """
        targets = [column for task in self.tasks for column in (*label_columns(task), *task.weight_columns)]
        self.preprocessor.check_columns(self.table.columns, self.absent)
        inputs = [name for name in self.preprocessor.columns if name in self.table.columns]
        return self.table.reader([*inputs, *targets], as_codes=True)

    def encode(self, reader: PieceReader, piece: Piece, rows: np.ndarray) -> Encoded:
        """Rows of a piece, by their places in it.

        Raises:
            SchemaError: the piece cannot be read, or one of its cells; names file, row group, column and row.
        """
        read = reader.read(piece)
        chosen = read if len(rows) == piece.rows else read.take(pa.array(rows))
        try:
            return self._encoded(self.table.table_of(chosen), np.arange(len(rows)))
        except SchemaError as error:
            if len(rows) == piece.rows:
                raise self.table.placed(piece, error) from None
        try:  # again over all rows, so that the error counts them as the file does
            return self._encoded(self.table.table_of(read), rows)
        except SchemaError as error:
            raise self.table.placed(piece, error) from None

    def _encoded(self, table: Table, rows: np.ndarray) -> Encoded:
        inputs = self.preprocessor.transform(table, rows, absent=self.absent)
        return Encoded(inputs, encode_targets(table, self.tasks, self.fitted, rows))


def encode_streamed(
    encoder: PieceEncoder, rows: np.ndarray | None = None, device: torch.device | str = "cpu", most: int | None = None
) -> TensorTable:
    """These rows (ascending positions; all where None) as one table in memory, encoded piece by piece.

    Args:
        encoder: reads and encodes.
        rows: which.
        device: where they are wanted.
        most: rows that are read at once.

    Raises:
        SchemaError: see `PieceEncoder.encode`.
    """
    reader, count, filled = encoder.reader(), encoder.table.num_rows if rows is None else len(rows), 0
    columns: list[dict[str, _Column]] = [{}, {}, {}, {}]
    for piece in encoder.table.pieces() if most is None else encoder.table.pieces(most):
        if rows is None:
            chosen = np.arange(piece.rows)
        else:
            low, high = np.searchsorted(rows, [piece.first, piece.first + piece.rows])
            chosen = rows[low:high] - piece.first
        if not len(chosen):
            continue
        for of_kind, blocks in zip(columns, encoder.encode(reader, piece, chosen).parts(), strict=True):
            for name, block in blocks.items():
                of_kind.setdefault(name, _Column(count)).put(filled, block)
        filled += len(chosen)
    reader.close()
    inputs, *targets = ({name: column.rows() for name, column in of_kind.items()} for of_kind in columns)
    return Encoded(inputs, Targets(*targets)).table(device)


class _Column:
    """One column of so many rows that comes block by block; a tensor is made once, and filled."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.whole: Tensor | None = None
        self.blocks: list[Any] = []

    def put(self, first: int, block: Any) -> None:
        """A block, which begins at this row."""
        if not isinstance(block, Tensor):
            self.blocks.append(block)
            return
        if self.whole is None:
            self.whole = torch.empty((self.count, *block.shape[1:]), dtype=block.dtype)
        self.whole[first : first + len(block)] = block

    def rows(self) -> Any:
        """All rows."""
        return _below(self.blocks) if self.whole is None else self.whole
