"""What a sharing scheme has learnt about who shares what, as plain numbers: written down each epoch and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Record:
    """A small table of numbers with names.

    Attributes:
        kind: how it is drawn: `"shares"` (rows that sum to 1: gates), `"weights"` (of either sign: stitches),
            `"groups"` (equal numbers in a row share: branches) or `"amounts"` (≥ 0: entropies, loads, distances).
        rows: names of the rows.
        columns: names of the columns.
        values: `[rows][columns]`.
    """

    kind: Literal["shares", "weights", "groups", "amounts"]
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": self.kind,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "values": [[float(value) for value in row] for row in self.values],
        }
