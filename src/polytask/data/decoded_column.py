"""A column whose cells may have to be decoded: all up front, or a batch's at a time in worker processes."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from polytask.data.media import MediaCells, media_cells
from polytask.data.moments import Moments
from polytask.data.prepared import PreparedColumn
from polytask.data.table import Table
from polytask.ragged import InputRows

#: Numbers that are decoded at a time where all rows are.
CHUNK = 2**22


@dataclass(frozen=True)
class DecodedColumn(PreparedColumn):
    """What training taught about a column of pictures, recordings or videos.

    A missing cell is 0, the mean, with an indicator where training had some.

    Attributes:
        name: of the column.
        has_missing: whether training had missing cells.
    """

    has_missing: bool

    @property
    def names(self) -> list[str]:
        """The number columns beside it."""
        return [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        return [~table.mask(self.name)[rows]] * self.has_missing

    @property
    def is_decoded(self) -> bool:
        """Whether its cells are dear to read, and of one shape, so that they may be left for later."""
        return True

    @property
    @abstractmethod
    def kind(self) -> str:
        """Of the column in the table."""

    @property
    @abstractmethod
    def cell_shape(self) -> tuple[int, ...]:
        """Of what a cell becomes."""

    @property
    @abstractmethod
    def decoding(self) -> dict[str, Any]:
        """All that `decoded` depends on but the cells, as JSON values."""

    @abstractmethod
    def moments(self, decoded: np.ndarray) -> Moments:
        """Of decoded cells, what `finished` scales by."""

    def moments_of_cells(self, cells: MediaCells) -> Moments:
        """The same of cells that are yet to be decoded."""
        return self.moments(self.decoded(cells))

    @abstractmethod
    def decoded(self, cells: Any) -> np.ndarray:
        """What these cells become, `[cells, …]`, but for the last, cheap step: what is worth a process or a file."""

    @abstractmethod
    def finished(self, decoded: np.ndarray) -> np.ndarray:
        """The last step: normalised float32."""

    def block(self, decoded: np.ndarray | None, present: np.ndarray) -> torch.Tensor:
        """float32 `[rows, …]` of what was decoded for the rows that are present."""
        if decoded is not None and present.all():
            return torch.from_numpy(self.finished(decoded))
        block = np.zeros((len(present), *self.cell_shape), dtype=np.float32)
        if decoded is not None:
            block[present] = self.finished(decoded)
        return torch.from_numpy(block)

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """All of these rows, decoded here and now."""
        places = np.flatnonzero(table.mask(self.name)[rows])
        block = np.zeros((len(rows), *self.cell_shape), dtype=np.float32)
        size = max(1, CHUNK // int(np.prod(self.cell_shape)))
        cells = media_cells(table, self.name, rows[places], self.kind)
        for start, chunk in zip(range(0, len(cells), size), cells.chunks(size), strict=True):
            block[places[start : start + size]] = self.finished(self.decoded(chunk))
        return {self.name: torch.from_numpy(block)}
