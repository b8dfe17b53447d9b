"""Pictures, recordings and videos that cannot be read: counted, named, and missing from then on, where asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.data.media import DECODERS, MediaCells, media_cells
from polytask.data.table import Table
from polytask.data.workers import Workers
from polytask.errors import SchemaError

#: Cells that are tried at a time.
CELLS = 64
#: Cells that are named; all are counted.
NAMED = 3


@dataclass(frozen=True)
class Unreadable:
    """The cells of a column that cannot be read.

    Attributes:
        column: its name.
        rows: of the table.
        reasons: the sentence of each.
    """

    column: str
    rows: tuple[int, ...]
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """How many there are, and the first few."""
        named = "; ".join(reason.removeprefix(f"column {self.column!r}, ") for reason in self.reasons[:NAMED])
        more = f"; … {len(self.rows) - NAMED:,} more" if len(self.rows) > NAMED else ""
        what = "cell cannot be read and counts" if len(self.rows) == 1 else "cells cannot be read and count"
        return f"column {self.column!r}: {len(self.rows):,} {what} as missing ({named}{more})"

    def to_dict(self) -> dict[str, Any]:
        """What a Run keeps of it, as JSON values."""
        return {"rows": list(self.rows), "first": list(self.reasons[:NAMED])}


def skip_unreadable(
    table: Table, columns: Mapping[str, str], rows: np.ndarray | None = None, workers: Workers | None = None
) -> tuple[Table, list[Unreadable]]:
    """Decodes every cell once; those that cannot be read are missing in the table that is given back.

    Args:
        table: the cells.
        columns: name -> kind; those of other kinds than pictures, recordings and videos are passed over, as are those
            that were looked through already.
        rows: only these; all where not given.
        workers: processes that decode; this one where not given.

    Returns:
        The table, and what was found, a column each that has any.
    """
    rows = np.arange(table.num_rows) if rows is None else rows
    found, marks = [], {}
    for name, kind in columns.items():
        if kind not in DECODERS or name in table.unreadable:
            continue
        cells = media_cells(table, name, rows[table.mask(name)[rows]], kind)
        bad = [each for part in (workers or Workers()).map(_reasons, cells.chunks(CELLS)) for each in part]
        marks[name] = np.array([row for row, _ in bad], dtype=np.int64)
        if bad:
            found.append(Unreadable(name, *(tuple(values) for values in zip(*bad, strict=True))))
    return table.without(marks), found


def _reasons(cells: MediaCells) -> list[tuple[int, str]]:
    """The rows of the cells that cannot be read, and why."""
    found = []
    for k, row in enumerate(cells.rows):
        try:
            cells.tried(k)
        except SchemaError as error:
            found.append((row, str(error)))
    return found
