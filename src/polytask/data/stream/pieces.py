"""The pieces in which streamed rows are read: row groups, long ones in slices that are read one behind the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polytask.data.stream.footers import Footer, first_line, open_parquet
from polytask.errors import SchemaError

#: A row group of more rows than this is read in slices.
PIECE_ROWS = 2**18
#: Read ahead of a slice, so that the rest of a long row group stays in its file.
SLICE_BYTES = 2**20


@dataclass(frozen=True)
class Piece:
    """Rows that are read at once: a row group, or a slice of one.

    Attributes:
        file: its place in the list of files.
        group: its row group in the file.
        start: its first row in the row group.
        first: its first row in the table.
        rows: how many it has.
        step: rows of the slices before it in the row group, each.
    """

    file: int
    group: int
    start: int
    first: int
    rows: int
    step: int


def pieces_of(footers: Sequence[Footer], most: int = PIECE_ROWS) -> list[Piece]:
    """All rows of these files in pieces of at most so many rows, slices of one row group of nearly even size."""
    found, first = [], 0
    for number, footer in enumerate(footers):
        for group, rows in enumerate(footer.groups):
            slices = -(-rows // most)
            step = -(-rows // slices) if slices else 0
            for start in range(0, rows, step or 1):
                size = min(step, rows - start)
                found.append(Piece(number, group, start, first + start, size, step))
            first += rows
    return found


class PieceReader:
    """Reads pieces; slices of one row group are cheap where they are asked for one behind the other.

    Args:
        footers: of the files.
        schema: column -> type, which all files' columns are brought to.
        columns: those that are read, in this order.
        dictionaries: columns of text that are wanted as codes and categories.
    """

    def __init__(
        self, footers: Sequence[Footer], schema: pa.Schema, columns: Sequence[str], dictionaries: Sequence[str] = ()
    ) -> None:
        self.footers, self.schema, self.columns = footers, schema, list(columns)
        self.dictionaries = [name for name in dictionaries if name in self.columns]
        self._file: tuple[int, pq.ParquetFile] | None = None
        self._slices: tuple[tuple[int, int, int], Iterator[Any]] | None = None

    def read(self, piece: Piece) -> pa.Table:
        """One piece.

        Raises:
            SchemaError: the file changed since it was opened, or the row group cannot be read; names both.
        """
        footer = self.footers[piece.file]
        footer.check()
        own = [name for name in self.columns if name not in footer.constants]
        try:
            table = self._sliced(piece, own) if piece.rows < footer.groups[piece.group] else self._whole(piece, own)
        except (pa.ArrowException, OSError, ValueError) as error:
            self.close()
            if isinstance(error, SchemaError):
                raise
            footer.check()
            raise _broken(footer, piece, error) from None
        if table.num_rows != piece.rows:
            raise SchemaError(
                f"{footer.place.name}: row group {piece.group} gave {table.num_rows} rows where {piece.rows} are wanted"
            )
        return self._typed(table, footer)

    def head(self, piece: Piece, rows: int) -> pa.Table:
        """The first rows of a piece that begins its row group, at most so many; the others are not decoded.

        Raises:
            SchemaError: the row group cannot be read.
        """
        footer = self.footers[piece.file]
        own = [name for name in self.columns if name not in footer.constants]
        with open_parquet(footer.place, buffer_size=SLICE_BYTES) as file:
            try:
                batch = next(file.iter_batches(min(rows, piece.rows), row_groups=[piece.group], columns=own))
            except (pa.ArrowException, OSError) as error:
                raise _broken(footer, piece, error) from None
        return self._typed(pa.Table.from_batches([batch]), footer)

    def close(self) -> None:
        """Closes the open file."""
        if self._file is not None:
            self._file[1].close()
        self._file, self._slices = None, None
        # Arrow keeps what it has read into for the next time; this was the last for now.
        pa.default_memory_pool().release_unused()

    def _typed(self, table: pa.Table, footer: Footer) -> pa.Table:
        """The columns in order, with those that folders' names say, in the types that all files have."""
        for name in self.columns:
            if name in footer.constants:
                kind = self.schema.field(name).type
                table = table.append_column(name, pa.array([footer.constants[name]] * len(table)).cast(kind))
        table = table.select(self.columns).replace_schema_metadata(None)
        for k, name in enumerate(self.columns):
            wanted = self.schema.field(name).type
            # Read as a dictionary, a column of text is of another type on purpose.
            if name not in self.dictionaries and table.column(k).type != wanted:
                try:
                    table = table.set_column(k, name, table.column(k).cast(wanted))
                except pa.ArrowException as error:
                    raise SchemaError(f"{footer.place.name}: column {name!r}: {first_line(error)}") from None
        return table

    def _opened(self, number: int) -> pq.ParquetFile:
        if self._file is None or self._file[0] != number:
            self.close()
            footer = self.footers[number]
            file = open_parquet(footer.place, read_dictionary=self.dictionaries, memory_map=False)
            footer.check_groups(file)
            self._file = number, file
        return self._file[1]

    def _whole(self, piece: Piece, columns: list[str]) -> pa.Table:
        self._slices = None
        return self._opened(piece.file).read_row_group(piece.group, columns=columns)

    def _sliced(self, piece: Piece, columns: list[str]) -> pa.Table:
        place = piece.file, piece.group, piece.start
        if self._slices is None or self._slices[0] != place:
            self.close()
            self._slices = place, self._slices_from(piece, columns)
        following = next(self._slices[1])
        self._slices = (piece.file, piece.group, piece.start + piece.rows), self._slices[1]
        return following

    def _slices_from(self, piece: Piece, columns: list[str]) -> Iterator[pa.Table]:
        """The slices of its row group from this piece on; those before it are gone through and let go."""
        footer = self.footers[piece.file]
        with open_parquet(footer.place, read_dictionary=self.dictionaries, buffer_size=SLICE_BYTES) as file:
            footer.check_groups(file)
            batches = file.iter_batches(piece.step, row_groups=[piece.group], columns=columns)
            held: list[Any] = []
            passed = 0
            for batch in batches:
                held.append(batch)
                while sum(len(b) for b in held) >= piece.step:
                    table = pa.Table.from_batches(held)
                    if passed >= piece.start:
                        yield table.slice(0, piece.step)
                    passed += piece.step
                    held = table.slice(piece.step).to_batches()
            if held:
                yield pa.Table.from_batches(held)


def _broken(footer: Footer, piece: Piece, error: Exception) -> SchemaError:
    return SchemaError(
        f"{footer.place.name}: row group {piece.group} is broken: {first_line(error)}; "
        "write the file again, or take it out"
    )
