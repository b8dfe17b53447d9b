"""Several tables merged into one by a key: rows of one entity become one row, missing where a table has nothing."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from polytask.data.cells import key_of, keys_of
from polytask.data.images import located
from polytask.data.schema import LIST_KINDS
from polytask.data.table import Table
from polytask.errors import SchemaError, nearest
from polytask.wording import shown

#: The rows of one key in several tables: the cells of one column, and what came of them.
OnContradiction = Literal["error", "missing"]
#: Kinds whose cells are compared as wholes; those of the others are compared as keys ("1" is 1 is 1.0).
WHOLE = (*LIST_KINDS, "image", "audio", "video", "other")


def merge(
    tables: Mapping[str, Any],
    key: str,
    *,
    on_contradiction: OnContradiction = "error",
    kinds: Mapping[str, str] | None = None,
) -> Table:
    """One table with a row a key and all columns of all tables.

    A cell that one table has and another has not, or has as missing, is taken; where no table has it, it is missing,
    so that its task is masked there. Rows come in the order in which their keys first appear. The key is no input
    (kind id), unless `kinds` says otherwise.

    Args:
        tables: name -> table, each in any form that `Table.of` reads.
        key: the column that says whose row it is, in every table.
        on_contradiction: what comes of two different cells of one key and column: error, or missing (the merged cell
            is missing, and the table's `notes` say how many are).
        kinds: column -> kind, where the inferred one is wrong.

    Raises:
        SchemaError: a table without the key, a row without it, a key with two rows that differ within one table,
            columns of two kinds, or (with "error") a contradiction.

    Example:
        >>> left = pd.DataFrame({"id": [1, 2], "price": [10.0, 20.0]})
        >>> right = pd.DataFrame({"id": [2, 3], "sold": ["yes", "no"]})
        >>> merge({"left": left, "right": right}, "id").frame.values.tolist()
        [['1', 10.0, nan], ['2', 20.0, 'yes'], ['3', nan, 'no']]
    """
    if on_contradiction not in ("error", "missing"):
        raise SchemaError(f"merge: on_contradiction={on_contradiction!r}; 'error' or 'missing' is wanted")
    if len(tables) < 2:
        raise SchemaError(f"merge: two tables or more are wanted, got {len(tables)}; write {{name: table, …}}")
    read = {name: Table.of(one) for name, one in tables.items()}
    chosen = _kinds(read, key, kinds or {})
    keys = {name: _keys(table, name, key) for name, table in read.items()}
    order = pd.Index(dict.fromkeys(k for of_table in keys.values() for k in of_table))
    parts = {name: _one_a_key(_located(read[name]), keys[name], name, chosen) for name in read}
    columns = dict.fromkeys(column for table in read.values() for column in table.columns if column != key)
    merged: dict[str, Any] = {key: order.to_numpy(dtype=object)}
    clashes: dict[str, int] = {}
    for column in columns:
        own = {name: frame[column] for name, frame in parts.items() if column in frame.columns}
        merged[column], count = _column(column, own, order, chosen[column], key, raises=on_contradiction == "error")
        if count:
            clashes[column] = count
    notes = [note for table in read.values() for note in table.notes]
    if clashes:
        counts = ", ".join(f"{count:,} in {column!r}" for column, count in clashes.items())
        notes.append(f"{sum(clashes.values()):,} cells contradict each other between tables and are missing: {counts}")
    known = {key: "id", **chosen, **(kinds or {})}
    had = {column: [name for name, table in read.items() if column in table.columns] for column in merged}
    return Table(pd.DataFrame(merged), kinds=known, notes=notes, merged_from=had)


def _located(table: Table) -> pd.DataFrame:
    """The cells; paths of pictures hold whatever folder the merged table is read from."""
    return located(table, table.columns).frame


def _kinds(tables: Mapping[str, Table], key: str, kinds: Mapping[str, str]) -> dict[str, str]:
    """The kind of every column, which all tables agree on where they have cells."""
    known = {column for table in tables.values() for column in table.columns}
    for column in kinds:
        if column not in known:
            raise SchemaError(f"kinds: there is no column {column!r} in any table; {nearest(column, known)}")
    found: dict[str, tuple[str, str]] = {}
    for name, table in tables.items():
        for column in table.columns:
            if column == key or column in kinds or not table.mask(column).any():
                continue
            kind = table.kind(column)
            before, where = found.setdefault(column, (kind, name))
            if before != kind:
                raise SchemaError(
                    f"merge: column {column!r} is of kind {before} in table {where!r} and of kind {kind} in table "
                    f"{name!r}; say which it is: kinds={{{column!r}: {before!r}}}"
                )
    return {column: kinds.get(column, found.get(column, ("number", ""))[0]) for column in known - {key}}


def _keys(table: Table, name: str, key: str) -> np.ndarray:
    if key not in table.columns:
        raise SchemaError(f"merge: table {name!r} has no column {key!r}; {nearest(key, table.columns)}")
    keys, present = keys_of(table, key)
    if not present.all():
        raise SchemaError(
            f"merge: the key {key!r} is missing in {int((~present).sum())} of {table.num_rows} rows of table {name!r}, "
            f"the first in row {int(np.argmin(present))}; fill it in, or leave these rows out"
        )
    return keys


def _one_a_key(frame: pd.DataFrame, keys: np.ndarray, name: str, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The rows of a table by their keys; rows that repeat a key have to agree in every cell.

    Raises:
        SchemaError: two rows of one key differ.
    """
    kinds = {column: kinds.get(column, "id") for column in frame.columns}
    indexed = frame.set_axis(pd.Index(keys), axis=0)
    repeats = indexed.index.duplicated(keep="first")
    if not repeats.any():
        return indexed
    first = pd.Series(np.arange(len(keys)), index=keys)[~repeats]
    for row in np.flatnonzero(repeats).tolist():
        before = int(first[keys[row]])
        for column in frame.columns:
            one, other = frame[column].iloc[before], frame[column].iloc[row]
            if _form(one, kinds[column]) != _form(other, kinds[column]):
                raise SchemaError(
                    f"merge: table {name!r} has the key {keys[row]!r} in row {before} and in row {row}, which differ "
                    f"in column {column!r} ({_shown(one)} and {_shown(other)}); keep one row a key"
                )
    return indexed[~repeats]


def _column(
    column: str, own: Mapping[str, pd.Series], order: pd.Index, kind: str, key: str, *, raises: bool
) -> tuple[pd.Series, int]:
    """One column of the merged table, and in how many cells its tables contradict each other."""
    merged: pd.Series | None = None
    origin = np.full(len(order), "", dtype=object)
    clash = np.zeros(len(order), dtype=bool)
    first: tuple[int, str, Any, Any] | None = None
    for name, series in own.items():
        here = _nullable(series).reindex(order)
        present = here.notna().to_numpy()
        if merged is None:
            merged, origin[present] = here, name
            continue
        known = merged.notna().to_numpy()
        both = np.flatnonzero(present & known)
        ours, theirs = merged.iloc[both].to_numpy(dtype=object), here.iloc[both].to_numpy(dtype=object)
        # Most cells are equal as they are; only those that are not are looked at closely.
        doubtful = range(len(both)) if kind in WHOLE else np.flatnonzero(ours != theirs).tolist()
        differ = [k for k in doubtful if _form(ours[k], kind) != _form(theirs[k], kind)]
        clash[both[differ]] = True
        if differ and (first is None or both[differ[0]] < first[0]):
            first = int(both[differ[0]]), name, ours[differ[0]], theirs[differ[0]]
        fresh = present & ~known
        merged = _filled(merged, here, fresh)
        origin[fresh] = name
    assert merged is not None
    if first is not None and raises:
        row, name, one, other = first
        raise SchemaError(
            f"merge: tables {origin[row]!r} and {name!r} contradict each other: {key} {order[row]!r} has {column!r} "
            f"{_shown(one)} in the one and {_shown(other)} in the other ({int(clash.sum())} cells of this column "
            "contradict in all); mend them, or write on_contradiction: missing to leave them out"
        )
    if clash.any():
        merged = merged.mask(clash)
    return merged.reset_index(drop=True), int(clash.sum())


def _filled(series: pd.Series, other: pd.Series, fresh: np.ndarray) -> pd.Series:
    """The series with another's cells where `fresh`, of one type where both are of it."""
    alike = series.dtype == other.dtype
    if alike or (pd.api.types.is_numeric_dtype(series.dtype) and pd.api.types.is_numeric_dtype(other.dtype)):
        return series.where(~fresh, other)
    cells = series.to_numpy(dtype=object).copy()
    cells[fresh] = other.to_numpy(dtype=object)[fresh]
    return pd.Series(cells, index=series.index, dtype=object)


def _nullable(series: pd.Series) -> pd.Series:
    """Whole numbers and booleans in a type that can miss some and keep every digit of the others."""
    if not isinstance(series.dtype, np.dtype):
        return series
    found: Any = {"i": "Int64", "u": "UInt64", "b": "boolean"}.get(series.dtype.kind)
    return series if found is None else series.astype(found)


def _form(cell: Any, kind: str) -> Any:
    """A cell as it is compared: missing alike, 1 as 1.0 as "1", arrays by their values."""
    if isinstance(cell, (np.ndarray, list, tuple)):
        return np.asarray(cell, dtype=object if kind in ("tokens", "other") else None).tolist()
    if isinstance(cell, (bytes, bytearray, memoryview)):
        return bytes(cell)
    if pd.isna(cell):
        return None
    return cell if kind in WHOLE else key_of(cell)


def _shown(cell: Any) -> str:
    return shown(cell.item() if isinstance(cell, np.generic) else cell, 60)
