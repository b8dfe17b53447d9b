"""Changed copies of training rows, made before anything is encoded."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from polytask.data.augment.base import Augmentation, chosen_columns
from polytask.data.table import Table

#: Column -> the columns of lists of the same length whose items go with its items: tags with their tokens.
Along = Mapping[str, Sequence[str]]
NOTHING_ALONG: Along = {}


class RowAugmentation(Augmentation):
    """Adds changed copies of training rows to them; all that it does not change in a copy is as in its row.

    Args:
        copies: of each row, from 1.
        columns: the columns that change; all of the kinds that it knows where not given.
    """

    level: ClassVar[Literal["batch", "rows"]] = "rows"
    #: The kinds of columns that it changes.
    kinds: ClassVar[tuple[str, ...]]
    #: Whether items move without its saying where to, so that labels of single items are no longer right.
    loses_places: bool = False

    def __init__(self, copies: int, columns: Sequence[str] | None) -> None:
        if copies < 1:
            raise ValueError(f"augmentation {self.name}: copies={copies}, a number of copies from 1 is wanted")
        self.copies, self.columns = copies, columns

    def columns_of(self, table: Table, inputs: Sequence[str]) -> tuple[str, ...]:
        """The columns that it changes.

        Args:
            table: whose rows are copied.
            inputs: the columns that a model reads; no other one is changed.

        Raises:
            ValueError: there is none, or one is named that it cannot change.
        """
        known = [name for name in inputs if table.kind(name) in self.kinds]
        return chosen_columns(self.name, self.columns, known, " or ".join(self.kinds))

    def prepare(self, table: Table, rows: np.ndarray, columns: Sequence[str]) -> None:
        """Learns what it has to know of the training rows, from these alone; nothing unless it says otherwise."""

    @abstractmethod
    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """A present cell's copy, and which of its items are left, in order (None: all of them, or it has none).

        Args:
            cell: as it stands in the table.
            place: how an error names it.
            column: that it stands in.
            generator: to draw from.
        """


def augment_rows(
    table: Table,
    rows: np.ndarray,
    augmentations: Iterable[RowAugmentation],
    generator: np.random.Generator,
    *,
    inputs: Sequence[str] | None = None,
    along: Along = NOTHING_ALONG,
) -> Table:
    """These rows, and below them the changed copies that each augmentation makes of each.

    Args:
        table: of all rows.
        rows: of training, as positions.
        augmentations: each makes its own copies of the rows as they are.
        generator: to draw from.
        inputs: the columns that may change; all where not given.
        along: see `Along`.

    Raises:
        ValueError: one finds no column that it can change.
        SchemaError: a cell that cannot be changed; names column and row.

    Example:
        >>> from polytask.data.augment import NumberNoise
        >>> table = Table(pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}))
        >>> more = augment_rows(table, np.array([1]), [NumberNoise(copies=2, columns=("x",))], np.random.default_rng(0))
        >>> more.num_rows, more.values("y").tolist()
        (3, ['b', 'b', 'b'])
    """
    rows = np.asarray(rows)
    parts = [table.frame.iloc[rows]]
    for augmentation in augmentations:
        columns = augmentation.columns_of(table, table.columns if inputs is None else inputs)
        augmentation.prepare(table, rows, columns)
        parts += [
            changed_rows(table, rows, augmentation, columns, generator, along) for _ in range(augmentation.copies)
        ]
    return with_rows(table, parts)


def changed_rows(
    table: Table,
    rows: np.ndarray,
    augmentation: RowAugmentation,
    columns: Sequence[str],
    generator: np.random.Generator,
    along: Along = NOTHING_ALONG,
) -> pd.DataFrame:
    """One changed copy of each of these rows."""
    frame = table.frame.iloc[rows].copy()
    for name in columns:
        present = table.mask(name)[rows]
        cells = list(frame[name])
        tags = {other: list(frame[other]) for other in along.get(name, ()) if other in frame}
        for k in np.flatnonzero(present):
            place = f"column {name!r}, row {rows[k]}"
            cells[k], left = augmentation.changed(cells[k], place, name, generator)
            for other, lists in tags.items():
                if left is not None and table.mask(other)[rows[k]] and len(lists[k]) > max(left, default=-1):
                    lists[k] = [lists[k][item] for item in left]
        for column, values in {name: cells, **tags}.items():
            frame[column] = _series(values, frame[column])
    return frame


def with_rows(table: Table, parts: Sequence[pd.DataFrame]) -> Table:
    """A table of these rows, each column of the kind that it has in the whole table."""
    kinds = {name: table.kind(name) for name in table.columns}
    joined = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    return Table(joined, kinds=kinds, source=table.source)


def _series(cells: list[Any], before: pd.Series) -> pd.Series:
    """Cells as a column: numbers as numbers, all else as objects."""
    if isinstance(before.dtype, np.dtype) and before.dtype.kind in "iuf":
        return pd.Series(cells, index=before.index, dtype=np.float64)
    return pd.Series(cells, index=before.index, dtype=object)
