"""What makes features of a column's cells: fitted on training rows, stored without pickle."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from polytask.config import Choice, choose
from polytask.data.media import cells_of
from polytask.data.prepared import PreparedColumn
from polytask.data.table import Table
from polytask.errors import SchemaError
from polytask.feature import InputSpec, SequenceSpec
from polytask.ragged import InputRows, Ragged
from polytask.sparse_rows import SparseRows

#: What a featurizer learnt from training cells: numpy arrays, and JSON values.
Learnt = dict[str, Any]


class Featurizer(ABC):
    """Turns each cell of a column into a vector, a picture or a series: an encoder's input.

    Its settings are keyword-only. Cells come decoded (text, token lists, float32 pictures `[C, H, W]`, recordings,
    videos; see `cells_of`), those of missing rows are left out.
    """

    #: `TheFeaturizer.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: The kinds of columns that it reads.
    reads: ClassVar[tuple[str, ...]]
    #: What a cell becomes: float32 `[width]`, `[channels, height, width]` or `[length, channels]`.
    gives: ClassVar[Literal["vector", "picture", "sequence"]] = "vector"
    #: Whether its numbers are standardised by the training rows'.
    is_standardised: ClassVar[bool] = True

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """Learns from the cells of training rows; nothing by default.

        Args:
            cells: decoded, at least one.
            place: the column, for an error.

        Raises:
            SchemaError: cells that it can learn nothing from.
        """
        return {}

    @abstractmethod
    def transform(self, cells: Sequence[Any], learnt: Learnt) -> Any:
        """The features of these cells.

        Returns:
            `[cells, …]` as numpy; a scipy sparse matrix where nearly all is 0; a list of arrays for series.
        """


@dataclass(frozen=True)
class FeatureColumn(PreparedColumn):
    """A column of which a featurizer makes features.

    Attributes:
        has_missing: whether training had missing cells.
        featurizer: its name in the catalogue.
        settings: of the featurizer.
        gives: what a cell becomes.
        shape: of a cell's features; of a series, the channels at each place.
        learnt: from the training cells; `mean` and `deviation` where the features are standardised.
    """

    has_missing: bool
    featurizer: str
    settings: dict[str, Any]
    gives: str
    shape: tuple[int, ...]
    learnt: Learnt = field(default_factory=dict)

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, choice: Choice[Featurizer]) -> "FeatureColumn | None":
        """Learns from these rows; None where none of them has a cell.

        Raises:
            SchemaError: the column is of a kind that the featurizer does not read, or a cell cannot be read.
            ConfigError: settings that cannot be.
        """
        maker, word = choice(), _name_of(choice.constructor)
        if table.kind(name) not in maker.reads:
            raise SchemaError(
                f"column {name!r} is of kind {table.kind(name)}, but {word} reads "
                f"{' and '.join(maker.reads)}; choose another, or say what it is: kinds={{{name!r}: ...}}"
            )
        present = table.mask(name)[rows]
        if not present.any():
            return None
        cells = cells_of(table, name, rows[present])
        learnt = maker.fit(cells, f"column {name!r}")
        found = maker.transform(cells, learnt)
        shape = found[0].shape[1:] if maker.gives == "sequence" else found.shape[1:]
        if maker.is_standardised:
            learnt = {**learnt, **_scales(found, maker.gives)}
        return cls(name, not present.all(), word, dict(choice.settings), maker.gives, tuple(map(int, shape)), learnt)

    @property
    def names(self) -> list[str]:
        """The number columns beside the features."""
        return [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        return [~table.mask(self.name)[rows]] * self.has_missing

    @property
    def spec(self) -> InputSpec:
        """A vector, a picture or a sequence."""
        if self.gives == "picture":
            return InputSpec(images={self.name: (self.shape[0], self.shape[1], self.shape[2])})
        if self.gives == "sequence":
            return InputSpec(sequences={self.name: SequenceSpec(channels=self.shape[0])})
        return InputSpec(vectors={self.name: self.shape[0]})

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """The features, 0 where a cell is missing."""
        present = np.flatnonzero(table.mask(self.name)[rows])
        found = self._features(cells_of(table, self.name, rows[present])) if len(present) else None
        if self.gives == "sequence":
            series = [np.zeros((0, *self.shape), dtype=np.float32)] * len(rows)
            for place, each in zip(present, found if found is not None else (), strict=True):
                series[place] = each
            return {self.name: Ragged.of(series, np.zeros((0, *self.shape), dtype=np.float32))}
        if found is not None and hasattr(found, "tocsr"):
            return {self.name: SparseRows(_spread(found, present, len(rows)))}
        block = np.zeros((len(rows), *self.shape), dtype=np.float32)
        if found is not None:
            block[present] = found
        return {self.name: torch.from_numpy(block)}

    def _features(self, cells: Sequence[Any]) -> Any:
        """Standardised where they are to be."""
        from polytask.data.features import FEATURES  # only there once all of them are

        found = FEATURES[self.featurizer](**self.settings).transform(cells, self.learnt)
        if "mean" not in self.learnt:
            return found
        mean, deviation = self.learnt["mean"], self.learnt["deviation"]
        if self.gives == "sequence":
            return [((each - mean) / deviation).astype(np.float32) for each in found]
        return ((found - mean) / deviation).astype(np.float32)


def _scales(found: Any, gives: str) -> dict[str, np.ndarray]:
    """Mean and deviation of each number of a vector, channel of a series, or channel of a picture."""
    values = np.concatenate(found) if gives == "sequence" else found
    axes = (0, 2, 3) if gives == "picture" else (0,)
    kept = gives == "picture"
    mean = values.mean(axis=axes, dtype=np.float64, keepdims=kept)
    deviation = values.std(axis=axes, dtype=np.float64, keepdims=kept)
    return {"mean": mean, "deviation": np.where(deviation > 0, deviation, 1.0)}


def _spread(matrix: Any, places: np.ndarray, num_rows: int) -> Any:
    """A sparse matrix's rows at these places among empty ones."""
    from scipy import sparse

    if len(places) == num_rows:
        return matrix
    chooser = sparse.csr_matrix((np.ones(len(places)), (places, np.arange(len(places)))), (num_rows, len(places)))
    return chooser @ matrix


def _name_of(maker: type[Featurizer]) -> str:
    from polytask.data.features import FEATURES

    return next(name for name, cls in FEATURES.items() if cls is maker)
