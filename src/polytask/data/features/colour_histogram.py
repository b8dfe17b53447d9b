"""Colour histogram: which colours a picture has, and how much of each."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.pictures import as_floats, with_channels


class ColourHistogram(Featurizer):
    """The share of a picture's pixels in each of `bins`³ boxes of red, green and blue; of any size and mode.

    Args:
        bins: of each channel, over [0, 1].

    Raises:
        ValueError: a number of bins below 2.

    Example:
        >>> ColourHistogram(bins=2).transform([np.ones((4, 4, 3), dtype=np.float32)], {}).tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]

    Paper: Swain, Ballard: Color indexing. International Journal of Computer Vision 1991.
    """

    reads: ClassVar[tuple[str, ...]] = ("image",)
    paper: ClassVar[str | None] = "swain1991"

    def __init__(self, *, bins: int = 4) -> None:
        if bins < 2:
            raise ValueError(f"colour_histogram: bins={bins}: a whole number >= 2 is wanted")
        self.bins = bins

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, bins³]`, each row summing to 1."""
        return np.stack([self._shares(picture) for picture in cells])

    def _shares(self, picture: np.ndarray) -> np.ndarray:
        values = as_floats(with_channels(picture, 3)).reshape(-1, 3)
        places = np.clip((values * self.bins).astype(np.int64), 0, self.bins - 1)
        codes = (places[:, 0] * self.bins + places[:, 1]) * self.bins + places[:, 2]
        counts = np.bincount(codes, minlength=self.bins**3)
        return (counts / len(values)).astype(np.float32)
