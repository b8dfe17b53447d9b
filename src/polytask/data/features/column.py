"""A column of which a featurizer makes features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from polytask.config import Choice, plain
from polytask.data.cache import Cache, all_moments
from polytask.data.decoded_column import DecodedColumn
from polytask.data.features.base import Featurizer, Learnt
from polytask.data.media import DECODERS, MediaCells, cells_of
from polytask.data.moments import Moments, joined, moments_of
from polytask.data.table import Table
from polytask.data.workers import Workers
from polytask.errors import SchemaError
from polytask.feature import InputSpec, SequenceSpec
from polytask.ragged import InputRows, Ragged
from polytask.sparse_rows import SparseRows

#: Cells that are decoded at a time.
CELLS = 64


@dataclass(frozen=True)
class FeatureColumn(DecodedColumn):
    """A column of which a featurizer makes features.

    Attributes:
        name: of the column.
        has_missing: whether training had missing cells.
        featurizer: its name in the catalogue.
        settings: of the featurizer.
        gives: what a cell becomes.
        shape: of a cell's features; of a series, the channels at each place.
        learnt: from the training cells; `mean` and `deviation` where the features are standardised.
    """

    featurizer: str
    settings: dict[str, Any]
    gives: str
    shape: tuple[int, ...]
    learnt: Learnt = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        table: Table,
        name: str,
        rows: np.ndarray,
        choice: Choice[Featurizer],
        workers: Workers | None = None,
        cache: Cache | None = None,
    ) -> "FeatureColumn | None":
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
        gives: str = maker.gives
        first = maker.transform(cells[:1], learnt)
        shape = tuple(map(int, first[0].shape[1:] if gives == "sequence" else first.shape[1:]))
        fitted = cls(name, not present.all(), word, plain(choice.settings), gives, shape, learnt)
        if maker.is_standardised:
            found = joined(all_moments(fitted, table, _pieces(cells), workers or Workers(), cache))
            wide = (1, -1, 1, 1) if gives == "picture" else (1, -1)
            learnt |= {"mean": found.mean.reshape(wide), "deviation": found.deviation.reshape(wide)}
        return fitted

    @property
    def decoding(self) -> dict[str, Any]:
        """The featurizer, its settings, and what it learnt but for the scales."""
        learnt = {name: value for name, value in self.learnt.items() if name not in ("mean", "deviation")}
        return {"featurizer": self.featurizer, "settings": self.settings, "learnt": learnt}

    def moments(self, decoded: Any) -> Moments:
        """Of each number of a vector, channel of a series, or channel of a picture."""
        values = np.concatenate(decoded) if self.gives == "sequence" else decoded
        return moments_of(values, (0, 2, 3) if self.gives == "picture" else (0,))

    @property
    def needs_main(self) -> bool:
        """Whether its featurizer stands in the script that is being run, which a worker has to run then too."""
        return _maker_of(self.featurizer).__module__ == "__main__"

    @property
    def is_decoded(self) -> bool:
        """Whether cells are pictures, recordings or videos; series are made up front, as their lengths order rows."""
        return set(_maker_of(self.featurizer).reads) <= set(DECODERS) and self.gives != "sequence"

    @property
    def cited(self) -> tuple[str, ...]:
        """Keys of the publications behind its features."""
        return _maker_of(self.featurizer)(**self.settings).cited()

    @property
    def kind(self) -> str:
        """Of the column; what reads several kinds reads them alike."""
        return _maker_of(self.featurizer).reads[0]

    @property
    def cell_shape(self) -> tuple[int, ...]:
        """Of a cell's features."""
        return self.shape

    @property
    def spec(self) -> InputSpec:
        """A vector, a picture or a sequence."""
        if self.gives == "picture":
            return InputSpec(images={self.name: (self.shape[0], self.shape[1], self.shape[2])})
        if self.gives == "sequence":
            return InputSpec(sequences={self.name: SequenceSpec(channels=self.shape[0])})
        return InputSpec(vectors={self.name: self.shape[0]})

    def decoded(self, cells: MediaCells) -> np.ndarray:
        """The features of these cells before they are standardised."""
        found: np.ndarray = self._raw(cells)
        return found

    def finished(self, decoded: np.ndarray) -> np.ndarray:
        """Standardised where they are to be."""
        if "mean" not in self.learnt:
            return decoded.astype(np.float32, copy=False)
        return ((decoded - self.learnt["mean"]) / self.learnt["deviation"]).astype(np.float32)

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """The features, 0 where a cell is missing."""
        if self.is_decoded:
            return super().blocks(table, rows)
        present = np.flatnonzero(table.mask(self.name)[rows])
        cells = cells_of(table, self.name, rows[present], self.kind) if len(present) else ()
        if self.gives == "sequence":
            series = [np.zeros((0, *self.shape), dtype=np.float32)] * len(rows)
            made = [self.finished(each) for piece in _pieces(cells) for each in self._raw(piece)]
            for place, each in zip(present, made, strict=True):
                series[place] = each
            return {self.name: Ragged.of(series, np.zeros((0, *self.shape), dtype=np.float32))}
        found = self._raw(cells) if len(present) else None
        if found is not None and hasattr(found, "tocsr"):
            return {self.name: SparseRows(_spread(found, present, len(rows)))}
        block = np.zeros((len(rows), *self.shape), dtype=np.float32)
        if found is not None:
            block[present] = self.finished(found)
        return {self.name: torch.from_numpy(block)}

    def _raw(self, cells: Sequence[Any]) -> Any:
        return _maker_of(self.featurizer)(**self.settings).transform(cells, self.learnt)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"maker": _maker_of(self.featurizer)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from polytask.data.features import FEATURES

        # A worker has not run the lines that put a featurizer of the user's own into the catalogue.
        FEATURES.setdefault(state["featurizer"], state["maker"])
        self.__dict__.update({name: value for name, value in state.items() if name != "maker"})


def _pieces(cells: Sequence[Any]) -> list[Any]:
    """Some at a time where they have to be decoded; all at once where they are in memory anyway."""
    if isinstance(cells, MediaCells):
        return cells.chunks(CELLS)
    return [cells] if len(cells) else []


def _spread(matrix: Any, places: np.ndarray, num_rows: int) -> Any:
    """A sparse matrix's rows at these places among empty ones."""
    from scipy import sparse

    if len(places) == num_rows:
        return matrix
    chooser = sparse.csr_matrix((np.ones(len(places)), (places, np.arange(len(places)))), (num_rows, len(places)))
    return chooser @ matrix


def _maker_of(name: str) -> type[Featurizer]:
    from polytask.data.features import FEATURES  # only there once all of them are

    return FEATURES[name]


def _name_of(maker: type[Featurizer]) -> str:
    from polytask.data.features import FEATURES

    return next(name for name, cls in FEATURES.items() if cls is maker)
