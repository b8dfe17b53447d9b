"""Decoded pictures, recordings and videos on disk: made once, read by every Run that wants the same of them."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from polytask.data.decoded_column import DecodedColumn
from polytask.data.media import MediaCells, media_cells
from polytask.data.moments import Moments
from polytask.data.pictures import as_floats
from polytask.data.table import Table, bytes_of_cell
from polytask.data.workers import Workers
from polytask.errors import ConfigError

#: Of the files and of how cells are decoded: raised where either changes, since what is on disk would be another's.
FORMAT = 1
#: Cells that are decoded at a time.
CELLS = 64
#: Bytes that are read at a time.
PIECE = 2**22


class Store:
    """The decoded cells of one column of a table, in a file that is mapped into memory.

    Args:
        items: `[cells, …]`.
        rows: of the table, of each item, in rising order.
    """

    def __init__(self, items: np.ndarray, rows: np.ndarray) -> None:
        self._items, self._rows = items, rows

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The items of these rows, all of them present."""
        return np.asarray(self._items[np.searchsorted(self._rows, rows)])


class Cache:
    """A folder of stores, each under the digest of what was decoded and how.

    A store is written beside its place and then moved there, so that processes that share the folder never see half of
    one; the first that is done wins. Files are told by path, size and time of change, other cells by what they hold.
    Nothing is ever removed but what is broken: delete the folder to free its space.

    Args:
        folder: is made where it is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def store(self, column: DecodedColumn, table: Table, workers: Workers) -> Store:
        """The column's decoded cells, all rows of the table; decoded now where they are not there yet.

        Raises:
            SchemaError: a cell that cannot be read.
            ConfigError: the folder cannot be written.
        """
        rows = np.flatnonzero(table.mask(column.name))
        cells = media_cells(table, column.name, rows, column.kind)
        key = _key(column, cells)
        place = self.folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', column.name)[:40]}-{key[:20]}"
        shape = (len(rows), *column.cell_shape)
        try:
            if place.exists():
                reason = _damage(place, key, shape)
                if not reason:
                    return Store(_mapped(place), rows)
                warnings.warn(f"data.cache: {place} is damaged ({reason}) and is made anew", stacklevel=2)
                shutil.rmtree(place, ignore_errors=True)
            self._make(place, key, column, cells, shape, workers)
            return Store(_mapped(place), rows)
        except OSError as error:
            raise ConfigError(f"data.cache: {self.folder} cannot be used: {error}") from None

    def _make(
        self,
        place: Path,
        key: str,
        column: DecodedColumn,
        cells: MediaCells,
        shape: tuple[int, ...],
        workers: Workers,
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
        try:
            _write(made / "items.npy", shape, lambda: workers.map(column.decoded, cells.chunks(CELLS)))
            record = {"format": FORMAT, "key": key, "shape": list(shape), "sha256": _digest_of(made / "items.npy")}
            (made / "items.json").write_text(json.dumps(record), encoding="utf-8")
            made.chmod(0o755)
            try:
                os.rename(made, place)  # noqa: PTH104, it must not replace what another process was first with
            except OSError:
                if not place.exists():
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)


def all_moments(
    column: DecodedColumn, table: Table, chunks: list[MediaCells], workers: Workers, cache: Cache | None
) -> Iterator[Moments]:
    """Of every chunk of the column's cells: decoded by the workers, or read from the cache."""
    if cache is None or not column.is_decoded:
        yield from workers.map(column.moments_of_cells, chunks)
        return
    store = cache.store(column, table, workers)
    for chunk in chunks:
        yield column.moments(store.of(np.array(chunk.rows)))


def _write(path: Path, shape: tuple[int, ...], pieces: Any) -> None:
    """Items piece by piece: as uint8 until a piece needs floats, then all as floats."""
    for dtype in (np.uint8, np.float32):
        items = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        start = 0
        for piece in pieces():
            if dtype == np.uint8 and piece.dtype != np.uint8:
                break
            items[start : start + len(piece)] = as_floats(piece) if dtype == np.float32 else piece
            start += len(piece)
        items.flush()
        if start == shape[0]:
            return


def _mapped(place: Path) -> np.ndarray:
    found: np.ndarray = np.load(place / "items.npy", mmap_mode="r", allow_pickle=False)
    return found


def _damage(place: Path, key: str, shape: tuple[int, ...]) -> str:
    """What is wrong with a store; "" where nothing is."""
    try:
        record = json.loads((place / "items.json").read_text(encoding="utf-8"))
        if record["format"] != FORMAT or record["key"] != key or tuple(record["shape"]) != shape:
            return "it holds something else"
        if _digest_of(place / "items.npy") != record["sha256"]:
            return "its checksum is not the one written down"
        if _mapped(place).shape != shape:
            return "it has another shape"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _key(column: DecodedColumn, cells: MediaCells) -> str:
    """SHA-256 of the cells and of what is made of them."""
    settings = json.dumps(column.decoding, sort_keys=True)
    digest = hashlib.sha256(f"{FORMAT}\0{column.kind}\0{settings}\0".encode())
    for cell in cells.cells:
        for part in _marks(cell, cells.folder):
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _marks(cell: Any, folder: Path) -> Iterator[bytes]:
    if not isinstance(cell, str):
        yield bytes_of_cell(cell)
        return
    path = (folder / cell).absolute()
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    yield str(path).encode()
    for file in files:
        found = file.stat()
        yield f"{file.name}\0{found.st_size}\0{found.st_mtime_ns}".encode()
