"""Cells as what they mean: text, tokens, series; pictures, recordings and videos, decoded one by one when asked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polytask.data.audio import wave_of
from polytask.data.lists import numbers_in
from polytask.data.pictures import pixels_of, shape_of
from polytask.data.table import Table
from polytask.data.video import frames_of
from polytask.errors import SchemaError

#: What decodes the cells of a kind. All else is cheap and held in memory.
DECODERS: dict[str, Callable[[Any, Path, str, str], Any]] = {
    "image": pixels_of,
    "audio": wave_of,
    "video": frames_of,
}


@dataclass(frozen=True)
class MediaCells(Sequence[Any]):
    """Some cells of a column of pictures, recordings or videos; each is decoded whenever it is asked for.

    Small to hand to another process: files stay files until then.

    Attributes:
        column: its name.
        kind: of the column, one of `DECODERS`.
        folder: where relative paths start.
        cells: as they are kept, none missing.
        rows: of the table, for errors.
    """

    column: str
    kind: str
    folder: Path
    cells: tuple[Any, ...]
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, k: Any) -> Any:
        """One cell, decoded; of a slice, cells of the same kind."""
        if isinstance(k, slice):
            return replace(self, cells=self.cells[k], rows=self.rows[k])
        with _saying_skip():
            return self.tried(k)

    def tried(self, k: int) -> Any:
        """One cell, decoded; an error says what is wrong with it, and no more."""
        return DECODERS[self.kind](self.cells[k], self.folder, self.place(k), self.column)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def place(self, k: int) -> str:
        """A cell, for an error."""
        return f"column {self.column!r}, row {self.rows[k]}"

    def shapes(self) -> list[tuple[int, int, int]]:
        """Height, width and channels of every picture, read without decoding files."""
        each = zip(self.cells, range(len(self)), strict=True)
        with _saying_skip():
            return [shape_of(cell, self.folder, self.place(k), self.column) for cell, k in each]

    def chunks(self, size: int) -> "list[MediaCells]":
        """Cut into pieces of this many cells."""
        return [self[start : start + size] for start in range(0, len(self), size)]


@contextmanager
def _saying_skip() -> Iterator[None]:
    """Errors say what would let it go on."""
    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"{error}; with unreadable: skip (data.unreadable) such cells count as missing") from None


def folder_of(table: Table) -> Path:
    """Where relative paths start."""
    return table.source.parent if table.source and table.source.is_file() else table.source or Path()


def media_cells(table: Table, name: str, rows: np.ndarray, kind: str) -> MediaCells:
    """The cells of these rows as this kind, not decoded yet; all of them must be present."""
    cells = table.values(name)
    picked = tuple(cells[row] for row in rows)
    return MediaCells(name, kind, folder_of(table), picked, tuple(int(row) for row in rows))


def cells_of(table: Table, name: str, rows: np.ndarray, kind: str | None = None) -> Sequence[Any]:
    """The cells of these rows as the column's kind means them (or this one); all of them must be present.

    Returns:
        text as str, tokens as lists, vectors and series as float64 `[length]` or `[length, channels]`; pictures as
        `[height, width, channels]`, recordings as `Sound`, videos as `[frames, height, width, channels]`, decoded when
        they are asked for.

    Raises:
        SchemaError: a cell that cannot be read; names column and row.
    """
    kind, cells = kind or table.kind(name), table.values(name)
    if kind in DECODERS:
        return media_cells(table, name, rows, kind)
    if kind in ("text", "category", "id"):
        return [str(cells[row]) for row in rows]
    if kind == "tokens":
        return [list(cells[row]) for row in rows]
    if kind in ("sequence", "vector"):
        return [numbers_in(cells[row], name, row) for row in rows]
    raise SchemaError(f"column {name!r} is of kind {kind}, of which no features can be made")
