"""Cells as what they mean: text, token lists, pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from polytask.data.images import picture_of
from polytask.data.table import Table
from polytask.errors import SchemaError


def cells_of(table: Table, name: str, rows: np.ndarray) -> Sequence[Any]:
    """The cells of these rows, decoded by the column's kind; all of them must be present.

    Returns:
        text as str, tokens as lists, pictures as float32 `[channels, height, width]`.

    Raises:
        SchemaError: a cell that cannot be read; names column and row.
    """
    kind, cells = table.kind(name), table.values(name)
    if kind == "image":
        return [picture_of(table, name, row) for row in rows]
    if kind in ("text", "category", "id"):
        return [str(cells[row]) for row in rows]
    if kind == "tokens":
        return [list(cells[row]) for row in rows]
    raise SchemaError(f"column {name!r} is of kind {kind}, of which no features can be made")
