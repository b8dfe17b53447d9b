"""Encoded inputs as the matrices that baselines read."""

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from polytask.feature import CATEGORIES, NUMBERS, Inputs
from polytask.studies.baselines.baseline import Matrix

#: Pictures that are higher or wider are averaged down to this: single pixels of large ones say little.
LARGEST_PICTURE = 32
#: Levels that scikit-learn's trees take of one category.
MOST_LEVELS = 255
#: A matrix with a smaller share of cells that are not 0 is held sparse.
SPARSE_BELOW = 0.25


def numbers_of(inputs: Inputs) -> list[np.ndarray]:
    """The block of numbers and every picture, float32 `[rows, columns]` each."""
    blocks = [inputs[NUMBERS]] if NUMBERS in inputs else []
    for name, picture in inputs.items():
        if name not in (NUMBERS, CATEGORIES):
            size = (min(picture.shape[2], LARGEST_PICTURE), min(picture.shape[3], LARGEST_PICTURE))
            blocks.append(functional.adaptive_avg_pool2d(picture, size).flatten(1))
    return [block.float().cpu().numpy() for block in blocks]


def codes_of(inputs: Inputs) -> np.ndarray:
    """The categories' codes, `[rows, categories]`."""
    num_rows = len(next(iter(inputs.values())))
    return inputs.get(CATEGORIES, torch.zeros(num_rows, 0, dtype=torch.int64)).cpu().numpy()


class TreeColumns:
    """One dense matrix: categories first, then numbers and pixels as they are.

    A category keeps its `most_levels` − 1 most frequent codes; rarer ones, and those that training rows do not have,
    are one more level.
    """

    def __init__(self, inputs: Inputs, most_levels: int | None = None) -> None:
        self.codes = [_frequent(column, most_levels) for column in codes_of(inputs).T]

    @property
    def is_category(self) -> np.ndarray:
        """Positions of the categories."""
        return np.arange(len(self.codes))

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """float32 `[rows, columns]`."""
        columns = [_places(column, kept) for column, kept in zip(codes_of(inputs).T, self.codes, strict=True)]
        categories = [np.stack(columns, axis=1).astype(np.float32)] if columns else []
        return np.concatenate([*categories, *numbers_of(inputs)], axis=1)


class LinearColumns:
    """One-hot categories, and numbers with mean 0 and variance 1 over the training rows.

    The pixels of a picture share one spread, so that a border that hardly changes is not blown up. Codes that training
    rows do not have are 0 everywhere.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.codes = [np.unique(column) for column in codes_of(inputs).T]
        blocks = numbers_of(inputs)
        self.means = [block.mean(axis=0, dtype=np.float64) for block in blocks]
        spreads = [block.std(axis=0, dtype=np.float64) for block in blocks]
        first_picture = 1 if NUMBERS in inputs else 0
        for k in range(first_picture, len(spreads)):
            spreads[k] = np.full_like(spreads[k], np.sqrt(np.mean(spreads[k] ** 2)))
        self.spreads = [np.where(spread > 0, spread, 1.0) for spread in spreads]
        filled = sum(map(len, self.means)) + len(self.codes)
        self.is_sparse = filled < SPARSE_BELOW * (sum(map(len, self.means)) + sum(map(len, self.codes)))

    def __call__(self, inputs: Inputs) -> Matrix:
        """float64 `[rows, columns]`, sparse where most of it is 0."""
        blocks = zip(numbers_of(inputs), self.means, self.spreads, strict=True)
        scaled = [(block - mean) / spread for block, mean, spread in blocks]
        columns = codes_of(inputs)
        hot = [_one_hot(column, kept) for column, kept in zip(columns.T, self.codes, strict=True)]
        if self.is_sparse:
            return sparse.csr_array(sparse.hstack([*map(sparse.csr_array, scaled), *hot]))
        return np.concatenate([*scaled, *(block.toarray() for block in hot)], axis=1)


def _frequent(column: np.ndarray, most_levels: int | None) -> np.ndarray:
    """The codes that keep a level of their own, ascending."""
    codes, counts = np.unique(column, return_counts=True)
    if most_levels is None or len(codes) < most_levels:
        return codes
    return np.sort(codes[np.argsort(-counts, kind="stable")[: most_levels - 1]])


def _places(column: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each code's place among the kept ones; behind all of them where it is not kept."""
    places = np.searchsorted(kept, column)
    is_kept = kept[np.minimum(places, len(kept) - 1)] == column
    return np.where(is_kept, places, len(kept))


def _one_hot(column: np.ndarray, kept: np.ndarray) -> sparse.csr_array:
    places = _places(column, kept)
    rows = np.flatnonzero(places < len(kept))
    return sparse.csr_array((np.ones(len(rows)), (rows, places[rows])), shape=(len(column), len(kept)))
