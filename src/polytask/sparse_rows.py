"""Rows that are nearly all zero, kept as what is not: what TF-IDF gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor


class SparseRows:
    """A matrix of mostly zeros in compressed rows, in the CPU's memory; a batch of it is dense.

    Args:
        matrix: `[rows, width]`, of any scipy sparse form; kept as float32.
        device: where batches are wanted.

    Example:
        >>> rows = SparseRows(sparse.csr_matrix(np.eye(3)))
        >>> rows.take(torch.tensor([2])).tolist()
        [[0.0, 0.0, 1.0]]
    """

    def __init__(self, matrix: Any, device: torch.device | str = "cpu") -> None:
        self.matrix = sparse.csr_matrix(matrix, dtype=np.float32)
        self.device = torch.device(device)

    def __len__(self) -> int:
        return self.matrix.shape[0]

    @property
    def width(self) -> int:
        """Numbers a row."""
        return self.matrix.shape[1]

    def take(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """These rows, dense.

        Args:
            index: rows, int64, on the CPU.
        """
        return torch.from_numpy(self.matrix[index.numpy()].toarray()).to(self.device)

    def select(self, index: Int[Tensor, " chosen"]) -> "SparseRows":
        """These rows, sparse still."""
        return SparseRows(self.matrix[index.cpu().numpy()], self.device)

    @classmethod
    def joined(cls, blocks: Sequence["SparseRows"]) -> "SparseRows":
        """Blocks of rows below each other."""
        return cls(sparse.vstack([block.matrix for block in blocks], format="csr"), blocks[0].device)

    def to(self, device: torch.device | str) -> "SparseRows":
        """With batches on this device."""
        return SparseRows(self.matrix, device)
