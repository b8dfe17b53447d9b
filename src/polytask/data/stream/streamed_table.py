"""A table that stays in its Parquet files: what is known of it without reading its rows, and how they are read."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from polytask.data.arrow import frame_of_arrow
from polytask.data.schema import KINDS, Column, Schema
from polytask.data.stream.footers import Footer, first_line
from polytask.data.stream.pieces import PIECE_ROWS, Piece, PieceReader, pieces_of
from polytask.data.stream.places import Places, find_files, is_url
from polytask.data.table import Table
from polytask.data.target_cells import check_column, label_columns, row_has_label
from polytask.errors import SchemaError, nearest
from polytask.tasks import Task

#: Kinds of columns are inferred on at most this many rows, and on at most so many bytes of them.
PREVIEW_ROWS, PREVIEW_BYTES = 50_000, 64 * 2**20
#: … from this many places of the files.
PREVIEW_PLACES = 8


class StreamedTable:
    """Rows in Parquet files that are read piece by piece, never all at once.

    Args:
        places: a file, a folder, or a list of them; paths or URLs that fsspec opens (`s3://…`, `memory://…`).
        kinds: column name -> kind, where the one inferred on a part of the rows is wrong.

    Attributes:
        source: the places, as text.
        overrides: the kinds that were given.
        footers: of the files.
        num_rows: of all files.
        columns: their names, in order.
        preview: some rows from several places of the files, on which kinds are inferred.

    Raises:
        SchemaError: no such file, no Parquet, no rows, files whose columns do not go together, an unknown kind.
        MissingExtraError: a URL, and fsspec is not installed.
    """

    def __init__(self, places: Places, *, kinds: Mapping[str, str] | None = None) -> None:
        self.source: str | tuple[str, ...] = (
            tuple(map(str, places)) if isinstance(places, list | tuple) else str(places)
        )
        self.footers = [Footer.read(place) for place in find_files(places)]
        self.num_rows = sum(footer.num_rows for footer in self.footers)
        self.schema_arrow = _joined_schema(self.footers)
        self.columns = tuple(self.schema_arrow.names)
        for name, kind in (kinds or {}).items():
            if name not in self.columns:
                raise SchemaError(f"kinds: there is no column {name!r}; {nearest(name, self.columns)}")
            if kind not in KINDS:
                raise SchemaError(f"column {name!r}: unknown kind {kind!r}; {nearest(kind, KINDS)}")
        if not self.num_rows:
            raise SchemaError(f"{self.footers[0].place.name}: the table has columns but 0 rows")
        self.overrides = dict(kinds or {})
        self._presence: dict[tuple[str, ...], dict[str, np.ndarray]] = {}

    def pieces(self, most: int = PIECE_ROWS) -> list[Piece]:
        """All rows, in pieces of at most so many."""
        return pieces_of(self.footers, most)

    def reader(self, columns: Sequence[str], *, as_codes: bool = False) -> PieceReader:
        """A reader of these columns.

        Args:
            columns: by name.
            as_codes: read categories of text as codes and categories, which is quicker and means the same.

        Raises:
            SchemaError: a column that is not there.
        """
        for name in columns:
            if name not in self.columns:
                raise SchemaError(f"there is no column {name!r}; {nearest(name, self.columns)}")
        texts = [n for n in columns if _is_text(self.schema_arrow.field(n).type)] if as_codes else []
        wanted = [name for name in texts if self.kinds[name] == "category"]
        return PieceReader(self.footers, self.schema_arrow, list(dict.fromkeys(columns)), wanted)

    def table_of(self, rows: pa.Table) -> Table:
        """Rows that a reader gave, as a Table with the kinds of this one."""
        frame = frame_of_arrow(rows)
        return Table(frame, kinds={name: self.kinds[name] for name in frame.columns}, source=self._folder)

    def take(self, columns: Sequence[str], rows: np.ndarray) -> Table:
        """These rows (ascending positions) of these columns, in memory."""
        reader, found = self.reader(columns), []
        for piece in self.pieces():
            low, high = np.searchsorted(rows, [piece.first, piece.first + piece.rows])
            if low < high:
                found.append(reader.read(piece).take(pa.array(rows[low:high] - piece.first)))
        reader.close()
        return self.table_of(pa.concat_tables(found))

    @cached_property
    def preview(self) -> Table:
        """Some rows, on which kinds are inferred: the first ones of up to 8 pieces, spread over all files."""
        pieces = [piece for piece in self.pieces() if piece.rows and not piece.start]
        places = np.unique(np.linspace(0, len(pieces) - 1, PREVIEW_PLACES).round().astype(int))
        bytes_a_row = max(1, sum(footer.num_bytes for footer in self.footers) // self.num_rows)
        most = max(1, min(PREVIEW_ROWS, PREVIEW_BYTES // bytes_a_row) // len(places))
        reader = PieceReader(self.footers, self.schema_arrow, self.columns)
        rows = pa.concat_tables([reader.head(pieces[place], most) for place in places])
        reader.close()
        # A column of text without a text among these rows is one of text still.
        unseen = {
            field.name: "category"
            for field, column in zip(rows.schema, rows.columns, strict=True)
            if _is_text(field.type) and column.null_count == len(column)
        }
        frame = frame_of_arrow(rows.combine_chunks())
        return Table(frame, kinds={**unseen, **self.overrides}, source=self._folder)

    @property
    def _folder(self) -> Path | None:
        """Where relative paths of pictures start, as in a table in memory."""
        return Path(self.source) if isinstance(self.source, str) and not is_url(self.source) else None

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of every column."""
        return {name: self.preview.kind(name) for name in self.columns}

    @cached_property
    def schema(self) -> Schema:
        """Every column as the preview shows it; missing cells are counted up from there to all rows."""
        share = self.num_rows / self.preview.num_rows
        columns = tuple(
            Column(c.name, c.kind, c.dtype, round(c.missing * share), c.unique, c.example)
            for c in self.preview.schema.columns
        )
        return Schema(columns, self.num_rows)

    def fingerprint(self) -> str:
        """SHA-256 over what the footers say: columns, row groups, their sizes and statistics; no row is read."""
        digest = hashlib.sha256()
        for footer in self.footers:
            digest.update(f"{footer.place.relative}\0{footer.digest}\0".encode())
        return digest.hexdigest()

    def has_labels(self, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
        """By task, the rows with a target, bool `[rows]`; only the columns that say so are read, and once."""
        key = tuple(map(repr, tasks))  # a task's settings may be dicts, which do not hash
        if key not in self._presence:
            for task in tasks:
                for column in label_columns(task):
                    check_column(self.preview, task, column)
            columns = [column for task in tasks for column in label_columns(task)]
            reader = self.reader(columns, as_codes=True)
            found = {task.name: np.empty(self.num_rows, dtype=bool) for task in tasks}
            for piece in self.pieces():
                table = self.table_of(reader.read(piece))
                try:
                    for task in tasks:
                        found[task.name][piece.first : piece.first + piece.rows] = row_has_label(table, task)
                except SchemaError as error:
                    raise self.placed(piece, error) from None
            reader.close()
            # Where every row has a label, no row has to say so.
            always = np.broadcast_to(np.True_, self.num_rows)
            self._presence[key] = {name: always if rows.all() else rows for name, rows in found.items()}
        return self._presence[key]

    def placed(self, piece: Piece, error: SchemaError) -> SchemaError:
        """What is wrong with a row of a piece, said with where its rows are counted from."""
        name = self.footers[piece.file].place.name
        behind = f", behind its first {piece.start:,} rows" if piece.start else ""
        return SchemaError(f"{name}, row group {piece.group} (rows are counted in it{behind}): {error}")

    def __repr__(self) -> str:
        groups = sum(len(footer.groups) for footer in self.footers)
        return f"StreamedTable({self.num_rows:,} rows, {groups:,} row groups, {len(self.footers):,} files)"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _joined_schema(footers: Sequence[Footer]) -> pa.Schema:
    first = footers[0]
    for footer in footers[1:]:
        odd = sorted(set(footer.schema.names) ^ set(first.schema.names))
        if odd:
            has, lacks = (footer, first) if odd[0] in footer.schema.names else (first, footer)
            raise SchemaError(
                f"{has.place.name} has a column {odd[0]!r} and {lacks.place.name} has not; the same are wanted"
            )
    try:
        joined: Any = pa.unify_schemas([footer.schema for footer in footers], promote_options="permissive")
    except pa.ArrowException as error:
        raise SchemaError(f"the files' column types do not go together: {first_line(error)}") from None
    kept = [field for field in joined if not field.name.startswith("__index_level_")]
    names = [field.name for field in kept]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SchemaError(f"the column {twice!r} stands {names.count(twice)} times; name each once")
    if not kept:
        raise SchemaError(f"{first.place.name}: the table has no columns")
    return pa.schema(kept)
