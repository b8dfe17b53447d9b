"""Raw cells of one column as numbers, days or keys, whatever type they came in.

A column may be written as integers when a model is trained and come as strings, floats with gaps or decimals
when it predicts; these functions read all of these alike, and name column, row and value where they cannot.
"""

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd

from polytask.data.schema import ISO_DATE
from polytask.data.table import Table
from polytask.errors import SchemaError

#: Beyond this, squares overflow; no measurement is that large.
LARGEST = 1e150
SECONDS_PER_DAY = 86_400.0
_ISO_DATE = re.compile(ISO_DATE)
_TRUE, _FALSE = {"true", "t", "yes", "y", "1", "1.0"}, {"false", "f", "no", "n", "0", "0.0"}


def numbers_of(table: Table, name: str) -> np.ndarray:
    """A column as float64 `[rows]`, NaN where missing; strings are parsed, durations are days, true is 1.

    Raises:
        SchemaError: a cell that is no finite number; names column, row and value.
    """
    present = table.mask(name)
    numbers = np.full(table.num_rows, np.nan)
    raw = table.values(name)[present]
    rows = np.flatnonzero(present)
    if raw.dtype.kind in "iufb":
        numbers[rows] = raw.astype(np.float64)
    elif raw.dtype.kind == "m":
        numbers[rows] = raw / np.timedelta64(1, "D")
    else:
        numbers[rows] = [_number(cell) for cell in raw]
        unread = np.isnan(numbers[rows])
        if unread.any():
            k = int(np.argmax(unread))
            raise SchemaError(f"column {name!r}, row {rows[k]}: {_shown(raw[k])} is no number")
    unfit = np.abs(numbers) > LARGEST
    if unfit.any():
        row = int(np.argmax(unfit))
        raise SchemaError(
            f"column {name!r}, row {row}: {numbers[row]:g} stands there; "
            "a finite number is wanted, or an empty cell where it is unknown"
        )
    return numbers


def _number(cell: Any) -> float:
    """NaN where it is none."""
    if isinstance(cell, (datetime.timedelta, np.timedelta64)):
        return pd.Timedelta(cell) / pd.Timedelta(days=1)
    if isinstance(cell, (datetime.date, np.datetime64, bytes)):
        return float("nan")
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def booleans_of(table: Table, name: str) -> np.ndarray:
    """A column as 1.0 (true) and 0.0, `[rows]`, NaN where missing; also from 0/1, "true", "yes", "f" ….

    Raises:
        SchemaError: a cell that is neither; names column, row and value.
    """
    keys, present = keys_of(table, name)
    codes, levels = pd.factorize(keys)
    meaning = np.array(
        [1.0 if str(k).lower() in _TRUE else 0.0 if str(k).lower() in _FALSE else np.nan for k in levels]
    )
    unread = present & np.append(np.isnan(meaning), False)[codes]
    if unread.any():
        row = int(np.argmax(unread))
        raise SchemaError(f"column {name!r}, row {row}: {_shown(table.values(name)[row])} is neither true nor false")
    return np.append(meaning, np.nan)[codes]


def times_of(table: Table, name: str) -> np.ndarray:
    """A date column as datetime64[us] `[rows]` in UTC, NaT where missing; strings are read as ISO 8601.

    Raises:
        SchemaError: a cell that is no date; names column, row and value.
    """
    present = table.mask(name)
    raw = table.values(name)
    if raw.dtype.kind == "M":
        return np.where(present, raw.astype("datetime64[us]"), np.datetime64("NaT", "us"))
    cells = raw[present]
    rows = np.flatnonzero(present)
    times = np.full(table.num_rows, np.datetime64("NaT", "us"))
    times[rows] = _times(cells)
    unread = np.isnat(times[rows])
    if unread.any():
        k = int(np.argmax(unread))
        raise SchemaError(
            f"column {name!r}, row {rows[k]}: {_shown(cells[k])} is no date; "
            "ISO 8601 (2024-05-31, 2024-05-31T12:00) is read"
        )
    return times


def _times(cells: np.ndarray) -> np.ndarray:
    """Strings and dates as datetime64[us]; NaT for what is neither."""
    times = np.full(len(cells), np.datetime64("NaT", "us"))
    is_iso = np.array([isinstance(cell, str) and bool(_ISO_DATE.fullmatch(cell)) for cell in cells], dtype=bool)
    times[is_iso] = _in_utc(cells[is_iso])
    is_date = np.array([isinstance(cell, (datetime.date, np.datetime64)) for cell in cells], dtype=bool)
    times[is_date] = _in_utc(cells[is_date])
    return times


def _in_utc(cells: np.ndarray) -> np.ndarray:
    read = pd.to_datetime(pd.Series(cells, dtype=object), format="ISO8601", errors="coerce", utc=True)
    return read.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


def keys_of(table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The cells of a category as strings, objects `[rows]` (None where missing), and where they are present.

    The integer 1, the float 1.0 and the string "1" have the same key "1"; true and false are "True" and
    "False".

    Raises:
        SchemaError: a cell that cannot be a category (a list, a picture); names column and row.
    """
    numbers, levels = levels_of(table, name)
    return np.array([*levels, None], dtype=object)[numbers], table.mask(name)


def levels_of(table: Table, name: str) -> tuple[np.ndarray, list[str]]:
    """The cells of a category as numbers of its levels, `[rows]` (-1 where missing), and the levels as strings.

    Two levels may be the same string (1 and "1"), and some may be in no row.

    Raises:
        SchemaError: a cell that cannot be a category (a list, a picture); names column and row.
    """
    series = table.frame[name] if name in table.columns else None
    if series is not None and isinstance(series.dtype, pd.CategoricalDtype):  # no cell has to be looked at
        return series.cat.codes.to_numpy(), [key_of(level) for level in series.cat.categories]
    present, raw = table.mask(name), table.values(name)
    rows = np.flatnonzero(present)
    try:
        codes, levels = pd.factorize(raw[present])
    except TypeError:
        row = next(row for row in rows if not isinstance(raw[row], (str, int, float)))
        raise SchemaError(f"column {name!r}, row {row}: {_shown(raw[row])} cannot be a category") from None
    numbers = np.full(table.num_rows, -1, dtype=np.int64)
    numbers[rows] = codes
    return numbers, [key_of(level) for level in levels]


def key_of(cell: Any) -> str:
    """One category as a string, alike for all types that can write it.

    Example:
        >>> key_of(1), key_of(1.0), key_of("1"), key_of(0.5), key_of(True), key_of("01")
        ('1', '1', '1', '0.5', 'True', '01')
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell))
    if isinstance(cell, (float, np.floating)):
        return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
    if isinstance(cell, np.datetime64):
        return str(pd.Timestamp(cell))
    return str(cell)


def _shown(cell: Any) -> str:
    text = repr(cell) if isinstance(cell, (str, bytes)) else str(cell)
    return text if len(text) <= 60 else text[:59] + "…"
