"""Statistics of a series: how large it is, how much it varies, where it goes, how long it is."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.errors import SchemaError


def over_time(series: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, least and greatest of each channel of a series `[length, channels]`, in a row.

    Example:
        >>> over_time(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
        [2.0, 0.0, 1.0, 0.0, 1.0, 0.0, 3.0, 0.0]
    """
    if not len(series):
        return np.zeros(4 * series.shape[1])
    parts = [series.mean(axis=0), series.std(axis=0), series.min(axis=0), series.max(axis=0)]
    return np.concatenate(parts)


class Statistics(Featurizer):
    """A series as one vector: of each channel the mean, standard deviation, least, greatest and slope; and its length.

    The slope is that of the least-squares line, a place. An empty series is 0 throughout.

    Example:
        >>> Statistics().transform([np.array([1.0, 2.0, 3.0])], {"channels": 1}).astype(float).round(3).tolist()
        [[2.0, 0.816, 1.0, 3.0, 1.0, 3.0]]
    """

    reads: ClassVar[tuple[str, ...]] = ("sequence", "vector")

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """The number of channels."""
        found = sorted({1 if cell.ndim == 1 else cell.shape[1] for cell in cells if len(cell)})
        if len(found) > 1:
            raise SchemaError(
                f"{place}: some series have {found[0]} numbers at each place, others {found[1]}; all of a column need "
                "one number of channels"
            )
        return {"channels": found[0] if found else 1}

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, 5 · channels + 1]`."""
        return np.stack([self._vector(cell, learnt["channels"]) for cell in cells]).astype(np.float32)

    def _vector(self, cell: np.ndarray, channels: int) -> np.ndarray:
        if len(cell) and (1 if cell.ndim == 1 else cell.shape[1]) != channels:
            raise SchemaError(
                f"statistics: a series has shape {list(cell.shape)}, but training had {channels} numbers at each place"
            )
        series = cell.reshape(len(cell), channels) if len(cell) else np.zeros((0, channels))
        time = np.arange(len(series)) - (len(series) - 1) / 2
        spread = float(time @ time)
        slope = time @ series / spread if spread else np.zeros(channels)
        return np.concatenate([over_time(series), slope, [float(len(series))]])
