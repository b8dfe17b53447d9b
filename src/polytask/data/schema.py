"""What each column of a table holds: its kind, how much is missing, an example.

The kind of a column chooses how it is prepared and which encoder reads it; it is inferred by the rules of
`infer_kind` and each can be overridden by its name (`pt.read(path, kinds={"zip": "category"})`).
"""

import datetime
import decimal
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from polytask.errors import SchemaError

#: Kinds of columns. The last two are shown but are no inputs.
KINDS = (
    "number",
    "category",
    "boolean",
    "date",
    "image",
    "text",
    "tokens",
    "sequence",
    "vector",
    "audio",
    "video",
    "id",
    "other",
)
#: The kinds that may be inputs.
INPUT_KINDS = KINDS[:-2]
#: Kinds whose cells hold more than one value each.
LIST_KINDS = ("tokens", "sequence", "vector")
#: Endings of paths to pictures.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
#: First bytes of PNG and JPEG files.
IMAGE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
#: Endings of paths to recordings.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au")
#: First bytes of WAV, FLAC and Ogg files.
AUDIO_MAGIC = (b"RIFF", b"fLaC", b"OggS")

ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?)?"
#: Strings are text when they have this many words on average, and repeat seldom.
TEXT_WORDS = 5
#: Strings are an id when at least this many rows hold more than this share of different values.
ID_ROWS, ID_SHARE = 50, 0.9


@dataclass(frozen=True)
class Column:
    """One column: what it holds and how much of it.

    Attributes:
        name: of the column.
        kind: one of `KINDS`.
        dtype: as pandas calls it.
        missing: number of rows without a value.
        unique: number of different values present; None where cells cannot be compared (pictures, lists).
        example: the first value present, shortened.
    """

    name: str
    kind: str
    dtype: str
    missing: int
    unique: int | None
    example: str


@dataclass(frozen=True)
class Schema:
    """All columns of a table, in order.

    Attributes:
        columns: one `Column` each.
        num_rows: of the table.
    """

    columns: tuple[Column, ...]
    num_rows: int

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON values."""
        return {"num_rows": self.num_rows, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Schema":
        """Reads what `to_json` gave.

        Raises:
            SchemaError: the values are no schema.
        """
        try:
            columns = tuple(Column(**column) for column in values["columns"])
            return cls(columns=columns, num_rows=int(values["num_rows"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"this is no schema ({error}): keys 'num_rows' and 'columns' are wanted") from None


def infer_kind(series: pd.Series) -> str:
    """The kind of a column, by its type and its present cells.

    In this order: true/false is *boolean*; a pandas category *category*; timestamps and dates *date*; numbers
    and durations *number*, whatever their values; nothing present *number*. Strings: all ISO 8601 dates
    (`2024-05-31`, `2024-05-31 12:00`) *date*; all ending like a picture's file *image*, like a recording's *audio*;
    5 words or more on average, half of them different, *text*; 50 rows or more of which over 90 % differ *id*; else
    *category*. Bytes, most of which begin like a PNG or JPEG file, and 2-D or 3-D arrays *image*, 4-D arrays *video*;
    bytes, most of which begin like a WAV, FLAC or Ogg file, *audio*; lists of strings *tokens*; lists and 1-D arrays of
    numbers *vector* where all have one length, else *sequence*; strings mixed with numbers *category*; all else
    *other*.

    Example:
        >>> infer_kind(pd.Series(["2024-01-31", None, "2024-02-01"]))
        'date'
        >>> infer_kind(pd.Series(["red", "green", "red"]))
        'category'
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(series.dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(series.dtype):
        return "date"
    if types.is_timedelta64_dtype(series.dtype) or types.is_numeric_dtype(series.dtype):
        return "other" if types.is_complex_dtype(series.dtype) else "number"
    cells = series[series.notna()].to_numpy(dtype=object)
    return _kind_of_cells(cells) if len(cells) else "number"


def _kind_of_cells(cells: np.ndarray) -> str:
    found = {type(cell) for cell in cells}
    if all(issubclass(cls, str) for cls in found):
        return _kind_of_strings(pd.Series(cells, dtype=object))
    if all(issubclass(cls, (bool, np.bool_)) for cls in found):
        return "boolean"
    if all(issubclass(cls, (datetime.date, np.datetime64)) for cls in found):
        return "date"
    scalars = (numbers.Real, decimal.Decimal, np.bool_, datetime.timedelta, np.timedelta64)
    if all(issubclass(cls, scalars) for cls in found):
        return "number"
    if all(issubclass(cls, (str, *scalars)) for cls in found):
        return "category"
    if all(issubclass(cls, (bytes, bytearray, memoryview)) for cls in found):
        return _kind_of_bytes(cells)
    if all(issubclass(cls, (list, tuple, np.ndarray)) for cls in found):
        return _kind_of_lists(cells)
    return "other"


def _kind_of_bytes(cells: np.ndarray) -> str:
    for kind, magic in (("image", IMAGE_MAGIC), ("audio", AUDIO_MAGIC)):
        # A broken one among them is to be named as that, not to hide the column.
        if 2 * sum(bytes(cell[:8]).startswith(magic) for cell in cells) > len(cells):
            return kind
    return "other"


def _kind_of_lists(cells: np.ndarray) -> str:
    axes = {num_axes(cell) for cell in cells[:100]}
    if axes <= {2, 3}:
        return "image"
    if axes == {4}:
        return "video"
    first = next((cell[0] for cell in cells if len(cell)), None)
    if isinstance(first, str):
        return "tokens"
    return "vector" if len({len(cell) for cell in cells}) == 1 else "sequence"


def num_axes(cell: Any) -> int:
    """Axes of an array or of nested lists (as Parquet gives arrays of arrays back)."""
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return cell.ndim
    return 1 + (num_axes(cell[0]) if len(cell) and isinstance(cell[0], (list, tuple, np.ndarray)) else 0)


def _kind_of_strings(cells: pd.Series) -> str:
    unique = pd.Series(cells.unique(), dtype=object)
    text = unique.astype(str)
    if text.iloc[:100].str.fullmatch(ISO_DATE).all() and text.str.fullmatch(ISO_DATE).all():
        dates = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        if dates.notna().all():
            return "date"
    for kind, suffixes in (("image", IMAGE_SUFFIXES), ("audio", AUDIO_SUFFIXES)):
        if text.str.lower().str.endswith(suffixes).all():
            return kind
    share = len(unique) / len(cells)
    words = text.iloc[:1000].str.count(r"\S+").mean()
    if share >= 0.5 and words >= TEXT_WORDS:
        return "text"
    return "id" if len(cells) >= ID_ROWS and share > ID_SHARE else "category"


def describe(series: pd.Series, name: str, kind: str) -> Column:
    """One row of a schema."""
    present = series[series.notna()]
    try:
        unique: int | None = int(present.nunique())
    except TypeError:
        unique = None
    example = _short(present.iloc[0]) if len(present) else ""
    return Column(name, kind, str(series.dtype), len(series) - len(present), unique, example)


def _short(cell: Any) -> str:
    if isinstance(cell, np.ndarray) and (cell.ndim > 1 or cell.size > 8):
        return f"array {list(cell.shape)} {cell.dtype}"
    if isinstance(cell, (bytes, bytearray)):
        return f"{len(cell)} bytes"
    text = " ".join(str(cell).split())
    return text if len(text) <= 40 else text[:39] + "…"
