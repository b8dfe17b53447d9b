"""Copies of rows with noise on their numbers."""

import datetime
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from polytask.data.augment.base import checked
from polytask.data.augment.rows import RowAugmentation
from polytask.data.cells import numbers_of
from polytask.data.table import Table


class NumberNoise(RowAugmentation):
    """Copies of rows with normal noise on their numbers, in units of each column's standard deviation in training.

    Args:
        deviation: of the noise, as a share of the column's own, from 0.
        copies: of each row, from 1.
        columns: the number columns that change; all where not given.
    """

    name: ClassVar[str] = "number_noise"
    kinds: ClassVar[tuple[str, ...]] = ("number",)
    use_when: ClassVar[str] = "a small table that is to match a large one; else noise, which draws anew in every pass"

    def __init__(self, *, deviation: float = 0.1, copies: int = 1, columns: tuple[str, ...] | None = None) -> None:
        super().__init__(copies, columns)
        self.deviation = checked(self.name, "deviation", deviation, 0, float("inf"))
        self._numbers: dict[str, float] = {}

    def prepare(self, table: Table, rows: np.ndarray, columns: Sequence[str]) -> None:
        """See `RowAugmentation.prepare`."""
        values = {name: numbers_of(table, name)[rows] for name in columns}
        self._numbers = {name: float(np.nanstd(v)) if not np.isnan(v).all() else 0.0 for name, v in values.items()}

    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """See `RowAugmentation.changed`."""
        noise = self.deviation * self._numbers[column] * float(generator.standard_normal())
        if isinstance(cell, (datetime.timedelta, np.timedelta64)):
            return pd.Timedelta(cell) + pd.Timedelta(days=noise), None
        return float(cell) + noise, None
