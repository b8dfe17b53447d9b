"""Encoded inputs as the matrices that baselines read."""

from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from polytask.feature import CATEGORIES, NUMBERS
from polytask.ragged import Blocks, Ragged
from polytask.sparse_rows import SparseRows
from polytask.studies.baselines.baseline import Matrix

#: Pictures that are higher or wider are averaged down to this: single pixels of large ones say little.
LARGEST_PICTURE = 32
#: Levels that scikit-learn's trees take of one category.
MOST_LEVELS = 255
#: Trees look at this many columns of what is nearly all zero, the heaviest ones.
MOST_TERMS = 300
#: Token codes are counted in this many places.
TOKEN_PLACES = 1024
#: A matrix with a smaller share of cells that are not 0 is held sparse.
SPARSE_BELOW = 0.25


def numbers_of(inputs: Blocks) -> list[np.ndarray]:
    """The block of numbers, every picture, vector and series, float32 `[rows, columns]` each."""
    found = [_flat(inputs[NUMBERS])] if NUMBERS in inputs else []
    for name, block in inputs.items():
        if name not in (NUMBERS, CATEGORIES) and not isinstance(block, SparseRows):
            found.append(_flat(block))
    return found


def sparse_of(inputs: Blocks) -> list[sparse.csr_matrix]:
    """What is nearly all zero, float32 `[rows, columns]` each."""
    return [block.matrix for block in inputs.values() if isinstance(block, SparseRows)]


def codes_of(inputs: Blocks) -> np.ndarray:
    """The categories' codes, `[rows, categories]`."""
    codes = inputs.get(CATEGORIES)
    if isinstance(codes, Tensor):
        return codes.cpu().numpy()
    return np.zeros((len(next(iter(inputs.values()))), 0), dtype=np.int64)


def _flat(block: Any) -> np.ndarray:
    """A block as numbers a row: pictures averaged down, series by their mean and spread, tokens counted."""
    if isinstance(block, Ragged):
        return _of_tokens(block) if block.values.ndim == 1 else _of_series(block)
    if block.ndim == 4:
        size = (min(block.shape[2], LARGEST_PICTURE), min(block.shape[3], LARGEST_PICTURE))
        block = functional.adaptive_avg_pool2d(block, size).flatten(1)
    return block.float().cpu().numpy()


def _of_series(block: Ragged) -> np.ndarray:
    """Length, and each channel's mean and standard deviation."""
    values, mask = (each.cpu().numpy() for each in block.padded())
    count = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    mean = values.sum(axis=1) / count
    spread = np.sqrt(np.maximum((values**2).sum(axis=1) / count - mean**2, 0))
    return np.concatenate([block.lengths.numpy()[:, None], mean, spread], axis=1).astype(np.float32)


def _of_tokens(block: Ragged) -> np.ndarray:
    """How often each of the first codes stands in a row; codes beyond share places with them."""
    counts = np.zeros((len(block), TOKEN_PLACES), dtype=np.float32)
    owner = np.repeat(np.arange(len(block)), block.lengths.numpy())
    np.add.at(counts, (owner, block.values.cpu().numpy() % TOKEN_PLACES), 1)
    return counts


class TreeColumns:
    """One dense matrix: categories first, then numbers and pixels as they are.

    A category keeps its `most_levels` − 1 most frequent codes; rarer ones, and those that training rows do not have,
    are one more level.
    """

    def __init__(self, inputs: Blocks, most_levels: int | None = None) -> None:
        self.codes = [_frequent(column, most_levels) for column in codes_of(inputs).T]
        weights = [np.asarray(abs(matrix).sum(axis=0)).ravel() for matrix in sparse_of(inputs)]
        self.terms = [np.sort(np.argsort(-weight, kind="stable")[:MOST_TERMS]) for weight in weights]

    @property
    def is_category(self) -> np.ndarray:
        """Positions of the categories."""
        return np.arange(len(self.codes))

    def __call__(self, inputs: Blocks) -> np.ndarray:
        """float32 `[rows, columns]`."""
        columns = [_places(column, kept) for column, kept in zip(codes_of(inputs).T, self.codes, strict=True)]
        categories = [np.stack(columns, axis=1).astype(np.float32)] if columns else []
        rare = [matrix[:, kept].toarray() for matrix, kept in zip(sparse_of(inputs), self.terms, strict=True)]
        return np.concatenate([*categories, *numbers_of(inputs), *rare], axis=1)


class LinearColumns:
    """One-hot categories, and numbers with mean 0 and variance 1 over the training rows.

    The pixels of a picture share one spread, so that a border that hardly changes is not blown up. Codes that training
    rows do not have are 0 everywhere.
    """

    def __init__(self, inputs: Blocks) -> None:
        self.codes = [np.unique(column) for column in codes_of(inputs).T]
        blocks = numbers_of(inputs)
        self.means = [block.mean(axis=0, dtype=np.float64) for block in blocks]
        spreads = [block.std(axis=0, dtype=np.float64) for block in blocks]
        names = [NUMBERS] * (NUMBERS in inputs) + [n for n in inputs if n not in (NUMBERS, CATEGORIES)]
        dense = [inputs[name] for name in names if not isinstance(inputs[name], SparseRows)]
        for k, block in enumerate(dense):
            if isinstance(block, Tensor) and block.ndim == 4:
                spreads[k] = np.full_like(spreads[k], np.sqrt(np.mean(spreads[k] ** 2)))
        self.spreads = [np.where(spread > 0, spread, 1.0) for spread in spreads]
        filled = sum(map(len, self.means)) + len(self.codes)
        self.is_sparse = bool(sparse_of(inputs)) or filled < SPARSE_BELOW * (
            sum(map(len, self.means)) + sum(map(len, self.codes))
        )

    def __call__(self, inputs: Blocks) -> Matrix:
        """float64 `[rows, columns]`, sparse where most of it is 0."""
        blocks = zip(numbers_of(inputs), self.means, self.spreads, strict=True)
        scaled = [(block - mean) / spread for block, mean, spread in blocks]
        columns = codes_of(inputs)
        hot = [_one_hot(column, kept) for column, kept in zip(columns.T, self.codes, strict=True)]
        if self.is_sparse:
            rare = map(sparse.csr_array, sparse_of(inputs))
            return sparse.csr_array(sparse.hstack([*map(sparse.csr_array, scaled), *hot, *rare]))
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
