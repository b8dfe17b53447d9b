"""Rows of different lengths as one tensor: what text, tags and series are kept in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from polytask.sparse_rows import SparseRows


class Ragged:
    """Rows of different lengths, one behind the other; nothing is padded before a batch is made.

    Args:
        values: all rows' items, `[items, …]`.
        lengths: of the rows, int64 `[rows]`; their sum is the number of items.

    Raises:
        ValueError: lengths that do not add up to the items.

    Example:
        >>> rows = Ragged.of([np.array([1, 2, 3]), np.array([4])])
        >>> rows.take(torch.tensor([1, 0]))[0].tolist()
        [[4, 0, 0], [1, 2, 3]]
    """

    def __init__(self, values: Shaped[Tensor, "items ..."], lengths: Int[Tensor, " rows"]) -> None:
        if int(lengths.sum()) != len(values):
            raise ValueError(f"rows of {int(lengths.sum())} items in all are wanted, got {len(values)} items")
        self.values = values
        # On the CPU: a batch's width is known there before its rows are.
        self.lengths = lengths.cpu()
        self._starts = (self.lengths.cumsum(0) - self.lengths).to(values.device)
        self._sizes = self.lengths.to(values.device)

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], like: np.ndarray | None = None) -> "Ragged":
        """From an array a row, each `[length, …]`; `like` gives type and inner shape where there may be no row."""
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        joined = np.concatenate([*rows, *([] if like is None else [like[:0]])])
        return cls(torch.from_numpy(joined), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(
        self, index: Int[Tensor, " batch"]
    ) -> tuple[Shaped[Tensor, "batch length ..."], Bool[Tensor, "batch length"]]:
        """These rows padded with 0 to the longest of them (1 at least), and where they are not padding.

        Args:
            index: rows, int64, on the CPU.
        """
        longest = max(1, int(self.lengths[index].max()) if len(index) else 1)
        index = index.to(self.values.device)
        place = torch.arange(longest, device=self.values.device)
        mask = place < self._sizes[index].unsqueeze(1)
        if not len(self.values):
            return self.values.new_zeros(len(index), longest, *self.values.shape[1:]), mask
        flat = (self._starts[index].unsqueeze(1) + place).clamp_max(len(self.values) - 1)
        values = self.values[flat]
        wide = mask.reshape(*mask.shape, *[1] * (values.ndim - 2))
        return torch.where(wide, values, torch.zeros((), dtype=values.dtype, device=values.device)), mask

    def padded(self) -> tuple[Shaped[Tensor, "rows length ..."], Bool[Tensor, "rows length"]]:
        """All rows, padded to the longest."""
        return self.take(torch.arange(len(self)))

    def select(self, index: Int[Tensor, " chosen"]) -> "Ragged":
        """These rows, as rows of different lengths still."""
        index = index.cpu()
        lengths = self.lengths[index]
        within = torch.arange(int(lengths.sum())) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        flat = self._starts.cpu()[index].repeat_interleave(lengths) + within
        return Ragged(self.values[flat.to(self.values.device)], lengths)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Ragged":
        """The same rows with other items, one for each."""
        return Ragged(change(self.values), self.lengths)

    def to(self, device: torch.device | str) -> "Ragged":
        """On this device."""
        return Ragged(self.values.to(device), self.lengths)


#: What a column's rows are kept in: one tensor with a row each, or rows of different lengths.
Rows = Tensor | Ragged
#: The same of inputs, which may also be nearly all zero.
InputRows = Tensor | Ragged | SparseRows
#: All rows of a part as a preprocessor gives them: block or column name -> rows.
Blocks = Mapping[str, InputRows]


def select_rows(rows: Any, index: Tensor) -> Any:
    """These rows of a block, in the block's own form."""
    return rows[index] if isinstance(rows, Tensor) else rows.select(index)


def as_padded(rows: Rows) -> Tensor:
    """All rows as one tensor, those of different lengths padded with 0 to the longest."""
    return rows.padded()[0] if isinstance(rows, Ragged) else rows


def join_padded(parts: Sequence[Tensor], filler: float = 0.0) -> Tensor:
    """Batches of rows below each other; where they differ in length (axis 1), the shorter ones are filled up."""
    if parts[0].ndim < 2 or len({part.shape[1] for part in parts}) == 1:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    shape = (sum(len(part) for part in parts), longest, *parts[0].shape[2:])
    joined = parts[0].new_full(shape, filler)
    row = 0
    for part in parts:
        joined[row : row + len(part), : part.shape[1]] = part
        row += len(part)
    return joined
