"""Columns whose cells hold several values: vectors of one width, series and token lists of any length."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from polytask.data.prepared import PreparedColumn, PreprocessSettings
from polytask.data.table import Table
from polytask.errors import SchemaError
from polytask.feature import InputSpec, SequenceSpec
from polytask.ragged import InputRows, Ragged


@dataclass(frozen=True)
class VectorColumn(PreparedColumn):
    """A vector a row: every number standardised, and clipped smoothly where numbers are.

    Zeros and ones alone stay as they are. A missing vector is 0, with an indicator where training had some.

    Attributes:
        has_missing: whether training had missing cells.
        mean: a number.
        deviation: a number; 1 where a number is constant.
        clip: whether x / sqrt(1 + (x / 3)²) follows.
    """

    has_missing: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    clip: bool

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "VectorColumn | None":
        """Learns from these rows; None where all are alike.

        Raises:
            SchemaError: vectors of two widths, or a cell that is none.
        """
        present = table.mask(name)[rows]
        if not present.any():
            return None
        values = _stacked(table, name, rows[present], None)
        has_missing = not present.all()
        if not has_missing and (values == values[0]).all():
            return None
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        is_scaled = not np.isin(values, (0.0, 1.0)).all()
        mean, deviation = (mean, np.where(deviation > 0, deviation, 1.0)) if is_scaled else (mean * 0, mean * 0 + 1)
        clip = is_scaled and settings.numbers == "robust"
        return cls(name, has_missing, tuple(mean.tolist()), tuple(deviation.tolist()), clip)

    @property
    def names(self) -> list[str]:
        """The number columns beside the vector."""
        return [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        return [~table.mask(self.name)[rows]] * self.has_missing

    @property
    def spec(self) -> InputSpec:
        """A vector."""
        return InputSpec(vectors={self.name: len(self.mean)})

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """float32 `[rows, width]`."""
        present = table.mask(self.name)[rows]
        scaled = np.zeros((len(rows), len(self.mean)), dtype=np.float32)
        if present.any():
            values = _stacked(table, self.name, rows[present], len(self.mean))
            values = (values - np.array(self.mean)) / np.array(self.deviation)
            scaled[present] = 3 * values / np.hypot(3, values) if self.clip else values
        return {self.name: torch.from_numpy(scaled)}


@dataclass(frozen=True)
class SequenceColumn(PreparedColumn):
    """A series a row, of any length: one number or several at each place, each standardised over all places.

    A missing series has length 0.

    Attributes:
        is_flat: whether a place holds one number, not an array of them.
        mean: a channel.
        deviation: a channel; 1 where it is constant.
    """

    is_flat: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "SequenceColumn | None":
        """Learns from these rows; None where no place holds anything.

        Raises:
            SchemaError: a cell that is no series of numbers, or of another number of channels.
        """
        present = rows[table.mask(name)[rows]]
        cells = [numbers_in(cell, name, row) for cell, row in zip(table.values(name)[present], present, strict=True)]
        filled = [cell for cell in cells if len(cell)]
        if not filled:
            return None
        channels = 1 if filled[0].ndim == 1 else filled[0].shape[1]
        fitted = cls(name, filled[0].ndim == 1, (0.0,) * channels, (1.0,) * channels)
        values = np.concatenate([fitted._checked(cell, row) for cell, row in zip(cells, present, strict=True)])
        deviation = values.std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        return cls(name, fitted.is_flat, tuple(values.mean(axis=0).tolist()), tuple(deviation.tolist()))

    @property
    def spec(self) -> InputSpec:
        """A sequence of numbers."""
        return InputSpec(sequences={self.name: SequenceSpec(channels=len(self.mean))})

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """float32 rows `[length, channels]`."""
        empty = np.zeros((0, len(self.mean)), dtype=np.float32)
        present, cells = table.mask(self.name), table.values(self.name)
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        series = []
        for row in rows:
            values = self._checked(numbers_in(cells[row], self.name, row), row) if present[row] else empty
            series.append(((values - mean) / deviation).astype(np.float32))
        return {self.name: Ragged.of(series, empty)}

    def _checked(self, values: np.ndarray, row: int) -> np.ndarray:
        """The values of one cell, `[length, channels]`."""
        channels = len(self.mean)
        if not len(values):
            return np.zeros((0, channels))
        found = 1 if values.ndim == 1 else values.shape[1]
        if (values.ndim == 1) != self.is_flat or found != channels:
            raise SchemaError(
                f"column {self.name!r}, row {row}: the series has {found} numbers at each place, but training had "
                f"{channels}; all series of a column need one number of channels"
            )
        return values.reshape(len(values), channels)


@dataclass(frozen=True)
class TokensColumn(PreparedColumn):
    """A list of tokens a row: code 0 padding, 1 a token not known from training, 2 … the known ones in order.

    A missing list has length 0.

    Attributes:
        vocabulary: the known tokens.
    """

    vocabulary: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "TokensColumn | None":
        """Learns from these rows; None where there is no token.

        Raises:
            SchemaError: a cell that is no list.
        """
        present = rows[table.mask(name)[rows]]
        counts: Counter[str] = Counter()
        for cell, row in zip(table.values(name)[present], present, strict=True):
            counts.update(_tokens(cell, name, row))
        if not counts:
            return None
        return cls(name, tuple(sorted(token for token, n in counts.items() if n >= settings.min_token_count)))

    @property
    def spec(self) -> InputSpec:
        """A sequence of codes."""
        return InputSpec(sequences={self.name: SequenceSpec(num_codes=2 + len(self.vocabulary))})

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """int64 rows `[length]`."""
        code_of = {token: code for code, token in enumerate(self.vocabulary, start=2)}
        present, cells = table.mask(self.name), table.values(self.name)
        empty = np.zeros(0, dtype=np.int64)
        coded = [
            np.array([code_of.get(token, 1) for token in _tokens(cells[row], self.name, row)], dtype=np.int64)
            if present[row]
            else empty
            for row in rows
        ]
        return {self.name: Ragged.of(coded, empty)}


def _tokens(cell: Any, name: str, row: int) -> list[str]:
    if isinstance(cell, (list, tuple, np.ndarray)):
        return [str(token) for token in cell]
    raise SchemaError(
        f"column {name!r}, row {row}: a list of tokens is wanted, got {cell!r}; split the text into words, or let "
        f"it be text: kinds={{{name!r}: 'text'}}"
    )


def numbers_in(cell: Any, name: str, row: int) -> np.ndarray:
    """A cell as a finite float64 array of one or two axes."""
    what = "no list of numbers"
    if isinstance(cell, (list, tuple, np.ndarray)):
        try:
            lists = [list(item) if isinstance(item, np.ndarray) else item for item in cell]
            values = np.array(lists, dtype=np.float64) if len(lists) else np.zeros(0)
        except (TypeError, ValueError):
            values = np.zeros((0, 0, 0))
        if values.ndim in (1, 2) and np.isfinite(values).all():
            return values
        what = "not of finite numbers alone" if values.ndim in (1, 2) else "no list of numbers, nor of equal lists"
    raise SchemaError(f"column {name!r}, row {row}: the cell is {what}; [1.0, 2.5, …] is wanted, or an empty cell")


def _stacked(table: Table, name: str, rows: np.ndarray, width: int | None) -> np.ndarray:
    """The vectors of these rows, `[rows, width]`, all of one width."""
    cells = table.values(name)
    vectors = []
    for row in rows:
        vector = numbers_in(cells[row], name, row)
        width = len(vector) if width is None else width
        if vector.ndim != 1 or len(vector) != width or not width:
            raise SchemaError(
                f"column {name!r}, row {row}: the vector has shape {list(vector.shape)}, but [{width}] is wanted as "
                f"elsewhere; where rows differ in length by nature, say so: kinds={{{name!r}: 'sequence'}}"
            )
        vectors.append(vector)
    return np.stack(vectors)
