"""The part of every row of a table: train, validation, test, or dropped."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from polytask.errors import SchemaError, nearest

TRAIN, VALIDATION, TEST, DROPPED = 0, 1, 2, -1
#: Names of the parts, as `Split.rows` and a saved split write them.
PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST, "dropped": DROPPED}
#: How a split column may name them.
_WRITTEN = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}


def part_of_word(word: str) -> int:
    """The part that a word in a split column names, in any case; `DROPPED` where it names none."""
    return _WRITTEN.get(word.strip().lower(), DROPPED)


@dataclass(frozen=True)
class Split:
    """The part of every row.

    Attributes:
        parts: int8 `[rows]`: 0 train, 1 validation, 2 test, -1 dropped (no task has a target there).
    """

    parts: np.ndarray

    def rows(self, part: int | str) -> np.ndarray:
        """Positions of the rows of a part, ascending.

        Raises:
            ValueError: no such part.
        """
        if part not in PARTS and part not in PARTS.values():
            raise ValueError(f"there is no part {part!r}; {nearest(str(part), PARTS)}")
        return np.flatnonzero(self.parts == PARTS.get(str(part), part))

    def counts(self) -> dict[str, int]:
        """Number of rows of each part, by its name."""
        return {name: int((self.parts == part).sum()) for name, part in PARTS.items()}

    def to_frame(self) -> pd.DataFrame:
        """Columns `row` and `part` (its name), to be saved."""
        names = np.array(list(PARTS), dtype=object)  # the last one is at -1, as its number says
        return pd.DataFrame({"row": np.arange(len(self.parts)), "part": names[self.parts]})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "Split":
        """Reads what `to_frame` gave.

        Raises:
            SchemaError: the frame is no split.
        """
        if not {"row", "part"} <= set(frame.columns):
            raise SchemaError(f"a saved split has the columns 'row' and 'part', got {list(frame.columns)}")
        rows = frame["row"].to_numpy()
        known = frame["part"].isin(list(PARTS)).to_numpy()
        if not known.all():
            raise SchemaError(
                f"a saved split names the part {frame['part'][~known].iloc[0]!r}; known: {', '.join(PARTS)}"
            )
        if not np.array_equal(np.sort(rows), np.arange(len(rows))):
            raise SchemaError(f"a saved split names every row once, from 0 to {len(rows) - 1}; this one does not")
        parts = np.empty(len(rows), dtype=np.int8)
        parts[rows] = [PARTS[name] for name in frame["part"]]
        return cls(parts)
