"""A Table: rows are examples, columns are inputs and targets, and any cell may be missing."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from polytask.data.arrow import frame_of_arrow, without_arrow_types
from polytask.data.schema import KINDS, Schema, describe, infer_kind
from polytask.errors import SchemaError, nearest


class Table:
    """Rows of examples with named columns, over a pandas DataFrame.

    A cell is missing where it is None, NaN, NaT or `pd.NA`. Rows are counted from 0, in errors too. The index
    of the DataFrame is not data: `frame.reset_index()` first to keep it as a column.

    Args:
        frame: the cells; it is not changed.
        kinds: column name -> kind, where `infer_kind` would choose another one.
        source: the file it was read from; relative paths of pictures start at its folder.
        origin: how it is made again of files, where reading `source` alone would not do (see `Steps`); plain JSON.
        notes: sentences that say what was left out on the way here.
        value: where the table holds the rows of one value of a column, that value.
        made: columns that were made along with the rows, beside inputs and targets or as targets of others.
        merged_from: of a merged table, column -> the tables that had it; a column is missing where they have no row.
        split_column: a column that its reader made of the parts that the data come in; it divides the rows where no
            settings say otherwise, and is no input.

    Raises:
        SchemaError: no rows, no columns, a name that stands twice or is no string, an unknown kind or column
            in `kinds`.

    Example:
        >>> table = Table(pd.DataFrame({"rooms": [3, None, 4], "sold": ["yes", "no", None]}))
        >>> table.kind("sold"), table.mask("rooms").tolist()
        ('category', [True, False, True])
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        kinds: Mapping[str, str] | None = None,
        source: Path | None = None,
        origin: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        value: str | None = None,
        split_column: str | None = None,
        merged_from: Mapping[str, Sequence[str]] | None = None,
        made: Sequence[str] = (),
    ) -> None:
        self.source = source
        self.origin, self.notes, self.value = origin, tuple(notes), value
        self.split_column, self.merged_from, self.made = split_column, dict(merged_from or {}), tuple(made)
        _check_frame(frame, f"{source}: " if source else "")
        self.frame = without_arrow_types(frame.reset_index(drop=True))
        self.columns: tuple[str, ...] = tuple(frame.columns)
        for name, kind in (kinds or {}).items():
            self._check_name(name)
            if kind not in KINDS:
                raise SchemaError(f"column {name!r}: unknown kind {kind!r}; {nearest(kind, KINDS)}")
        self.overrides: dict[str, str] = dict(kinds or {})
        self._kinds = dict(self.overrides)
        self._masks: dict[str, np.ndarray] = {}
        #: Column -> rows whose cells are there but cannot be read, and count as missing; of the columns that were
        #: looked through.
        self.unreadable: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, data: Any, *, kinds: Mapping[str, str] | None = None) -> "Table":
        """A Table from whatever holds one: a Table, a DataFrame, an Arrow table, a `datasets.Dataset`, a path.

        Raises:
            SchemaError: it holds none, or see `Table` and `read`.
        """
        if isinstance(data, Table):
            return data.with_kinds(kinds) if kinds else data
        if isinstance(data, pd.DataFrame):
            return cls(data, kinds=kinds)
        if isinstance(data, pa.Table):
            return cls(frame_of_arrow(data), kinds=kinds)
        if isinstance(data, (str, Path)):
            from polytask.data.read import read  # read makes Tables, so it stands above this file

            return read(data, kinds=kinds)
        from polytask.data.readers import frame_of_dataset, is_dataset, made_split

        if is_dataset(data):
            frame, found = frame_of_dataset(data)
            return cls(frame, kinds={**found, **(kinds or {})}, split_column=made_split(frame, found))
        raise SchemaError(
            f"a table is a path, a pandas DataFrame, a pyarrow Table or a polytask Table, got {type(data).__name__}"
        )

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @cached_property
    def schema(self) -> Schema:
        """Kind, missing cells, different values and an example of every column."""
        columns = tuple(describe(self.frame[name], name, self.kind(name)) for name in self.columns)
        return Schema(columns, self.num_rows)

    def kind(self, name: str) -> str:
        """The kind of a column: as overridden, or as `infer_kind` sees it."""
        if name not in self._kinds:
            self._kinds[name] = infer_kind(self._series(name))
        return self._kinds[name]

    def mask(self, name: str) -> np.ndarray:
        """True where the cell is present; `[rows]`, not to be changed."""
        if name not in self._masks:
            series = self._series(name)
            present = series.notna().to_numpy(dtype=bool)
            if isinstance(series.dtype, pd.api.extensions.ExtensionDtype) and series.dtype.kind == "f":
                # Nullable floats tell NaN from NA; to us both are missing.
                present = present & ~np.isnan(series.to_numpy(dtype=float, na_value=0.0))
            if name in self.unreadable:
                present = present.copy()
                present[self.unreadable[name]] = False
            self._masks[name] = present
        return self._masks[name]

    def values(self, name: str) -> np.ndarray:
        """Raw cells as numpy, `[rows]` (objects for strings); what stands in missing cells means nothing."""
        series = self._series(name)
        dtype: Any = series.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            categories = np.asarray(series.cat.categories)
            if not len(categories):
                return np.full(len(series), None, dtype=object)
            return categories[series.cat.codes.to_numpy()]  # code -1, missing, reads the last one
        if isinstance(dtype, pd.DatetimeTZDtype):
            return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        if isinstance(dtype, pd.api.extensions.ExtensionDtype):
            plain: Any = getattr(dtype, "numpy_dtype", np.dtype(object))  # of nullable numbers and booleans
            return series.to_numpy(dtype=plain, na_value=plain.type(0)) if plain.kind in "iufb" else np.asarray(series)
        return series.to_numpy()

    def take(self, rows: np.ndarray) -> "Table":
        """These rows (positions, or true/false for each), with the kinds of the whole table."""
        kinds = {name: self.kind(name) for name in self.columns}
        found = Table(
            self.frame.iloc[rows],
            kinds=kinds,
            source=self.source,
            notes=self.notes,
            split_column=self.split_column,
            merged_from=self.merged_from,
            made=self.made,
        )
        if not self.unreadable:
            return found
        taken = np.arange(self.num_rows)[rows]
        return found.without({name: np.flatnonzero(np.isin(taken, bad)) for name, bad in self.unreadable.items()})

    def without(self, unreadable: Mapping[str, np.ndarray]) -> "Table":
        """The same cells, of which these (column -> rows) count as missing; the fingerprint stays."""
        if not unreadable:
            return self
        found = self._like(self.overrides)
        found._kinds = dict(self._kinds)
        found.unreadable = {**self.unreadable, **unreadable}
        return found

    def with_kinds(self, kinds: Mapping[str, str]) -> "Table":
        """The same cells, with other kinds of some columns."""
        return self._like({**self.overrides, **kinds})

    def with_origin(self, origin: Mapping[str, Any]) -> "Table":
        """The same table, which says how it is made again."""
        found = self._like(self.overrides)
        found.origin = origin
        return found

    def with_notes(self, *notes: str) -> "Table":
        """The same table, with more to say."""
        found = self._like(self.overrides)
        found.notes = (*self.notes, *notes)
        return found

    def _like(self, kinds: Mapping[str, str]) -> "Table":
        found = Table(
            self.frame,
            kinds=kinds,
            source=self.source,
            origin=self.origin,
            notes=self.notes,
            value=self.value,
            split_column=self.split_column,
            merged_from=self.merged_from,
            made=self.made,
        )
        found.unreadable = self.unreadable
        return found

    def with_missing(self, columns: Sequence[str], kinds: Mapping[str, str]) -> "Table":
        """The same rows with these columns besides, missing everywhere."""
        empty = pd.DataFrame({name: pd.Series([None] * self.num_rows, dtype=object) for name in columns})
        known = {name: self.kind(name) for name in self.columns} | {name: kinds[name] for name in columns}
        return Table(pd.concat([self.frame, empty], axis=1), kinds=known, source=self.source).without(self.unreadable)

    def fingerprint(self) -> str:
        """SHA-256 over names, types and cells of all columns, in hexadecimal: the same in every process."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name in self.columns:
            series = self.frame[name]
            digest.update(f"{name}\0{series.dtype}\0{len(series)}\0".encode())
            digest.update(_hash_column(series).astype("<u8").tobytes())
        return digest.hexdigest()

    def show(self) -> str:
        """The schema as a small text table."""
        rows = [("column", "kind", "missing", "different", "example")]
        for column in self.schema.columns:
            unique = "" if column.unique is None else str(column.unique)
            rows.append((column.name, column.kind, str(column.missing or ""), unique, column.example))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.num_rows} rows × {len(self.columns)} columns", *lines])

    def __repr__(self) -> str:
        return self.show()

    def _check_name(self, name: str) -> None:
        if name not in self.columns:
            raise SchemaError(f"there is no column {name!r}; {nearest(name, self.columns)}")

    def _series(self, name: str) -> pd.Series:
        self._check_name(name)
        return self.frame[name]


def _check_frame(frame: pd.DataFrame, place: str) -> None:
    if not len(frame.columns):
        raise SchemaError(f"{place}the table has no columns")
    for name in frame.columns:
        if not isinstance(name, str) or not name:
            raise SchemaError(
                f"{place}the column name {name!r} is no string; frame.columns = frame.columns.map(str) makes them so"
            )
    twice = [name for name, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise SchemaError(
            f"{place}the column {twice[0]!r} stands {list(frame.columns).count(twice[0])} times; name each once"
        )
    if not len(frame):
        raise SchemaError(f"{place}the table has columns but 0 rows")


def hash_rows(table: Table, columns: Sequence[str]) -> np.ndarray:
    """A number for each row, `[rows]` uint64, the same for rows with the same cells in these columns."""
    hashes = np.zeros(table.num_rows, dtype=np.uint64)
    for name in columns:
        # Multiplied before each addition, so that swapped cells do not cancel.
        series = table.frame[name]
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iuf":
            series = series.astype(np.float64)  # 1 and 1.0 are the same cell
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + _hash_column(series)
    return hashes


def _hash_column(series: pd.Series) -> np.ndarray:
    try:
        return pd.util.hash_pandas_object(series, index=False).to_numpy()
    except TypeError:  # cells that do not hash: arrays, lists, records
        digests = [hashlib.sha256(bytes_of_cell(cell)).digest()[:8] for cell in series]
        return np.frombuffer(b"".join(digests), dtype="<u8")


def bytes_of_cell(cell: Any) -> bytes:
    """What a cell that is an array, bytes or lists holds, for a digest."""
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return f"{cell.dtype}{cell.shape}".encode() + np.ascontiguousarray(cell).tobytes()
    if isinstance(cell, (bytes, bytearray)):
        return bytes(cell)
    return repr(cell.tolist() if isinstance(cell, np.ndarray) else cell).encode()
