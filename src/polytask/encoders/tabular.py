"""The first stage of every encoder of a table: numbers, categories and vectors as one vector a row."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polytask.feature import CATEGORIES, NUMBERS, Feature, Inputs, InputSpec

#: How numbers enter: as they are, as sines and cosines, or as those through a layer of their own.
Numbers = Literal["linear", "periodic", "plr"]


class CategoryEmbedding(nn.Module):
    """One table for all category columns, read by one lookup: `[B, columns]` codes to `[B, columns · dim]`.

    The start is small, N(0, 0.05²): from torch's N(0, 1) rare codes keep noise that drowns the numbers. Code
    1 ("not seen in training") starts, and as no training row has it stays, at 0.
    """

    offsets: Int[Tensor, " columns"]

    def __init__(self, num_codes: tuple[int, ...], dim: int) -> None:
        super().__init__()
        offsets = torch.tensor((0, *num_codes[:-1])).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.table = nn.Parameter(torch.empty(sum(num_codes), dim).normal_(std=0.05))
        not_seen = [int(first) + 1 for first, number in zip(offsets, num_codes, strict=True) if number > 1]
        with torch.no_grad():
            self.table[not_seen] = 0.0

    def forward(self, codes: Int[Tensor, "batch columns"]) -> Float[Tensor, "batch channels"]:
        """Each code's row of the table, joined."""
        return functional.embedding(codes + self.offsets, self.table).flatten(1)


class PeriodicEmbedding(nn.Module):
    """Each number x as [cos(2π c x), sin(2π c x)] with k learnt frequencies c ~ N(0, σ²) of its own.

    With `dim`, each number's 2k values go through its own linear layer and ReLU ("PLR"); the layers of all
    numbers are one batched product. `[B, numbers]` to `[B, numbers · (dim or 2k)]`.

    Paper: Gorishniy, Rubachev, Babenko: On embeddings for numerical features in tabular deep learning.
        NeurIPS 2022. arXiv 2203.05556.
    """

    def __init__(self, num_columns: int, frequencies: int, scale: float, dim: int | None) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(num_columns, frequencies).normal_(std=scale))
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if dim is not None:
            bound = 1 / math.sqrt(2 * frequencies)
            self.weight = nn.Parameter(torch.empty(num_columns, 2 * frequencies, dim).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(num_columns, dim).uniform_(-bound, bound))

    def forward(self, numbers: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch channels"]:
        """Each number's waves (or their layer), joined."""
        angle = 2 * math.pi * self.frequencies * numbers.unsqueeze(-1)
        waves = torch.cat([angle.cos(), angle.sin()], dim=-1)
        if self.weight is not None and self.bias is not None:
            waves = (torch.einsum("bnk,nkd->bnd", waves, self.weight) + self.bias).relu()
        return waves.flatten(1)


class TableEmbedding(nn.Module):
    """The numbers, categories and vectors of a table as one vector a row, `[B, width]`.

    Args:
        spec: the columns.
        numbers: "linear" as they are, "periodic" as sines and cosines, "plr" as those through a layer and
            ReLU.
        embedding_dim: channels of each category, and of each number under "plr".
        frequencies: a number under "periodic" and "plr".
        frequency_scale: σ of their start; larger follows finer detail.

    Attributes:
        width: channels it gives.

    Raises:
        ValueError: the spec has no number, category or vector; a setting that cannot be.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        numbers: Numbers = "linear",
        embedding_dim: int = 8,
        frequencies: int = 16,
        frequency_scale: float = 0.1,
    ) -> None:
        super().__init__()
        if not spec.has_table:
            raise ValueError("a table's embedding needs a number, category or vector column, got none")
        if min(embedding_dim, frequencies) < 1 or frequency_scale <= 0:
            raise ValueError(
                "embedding_dim, frequencies and frequency_scale are > 0, "
                f"got {embedding_dim}, {frequencies} and {frequency_scale}"
            )
        self.numbers: PeriodicEmbedding | None = None
        self.categories: CategoryEmbedding | None = None
        self.has_numbers = bool(spec.numbers)
        self.vectors = tuple(spec.vectors)
        self.width = len(spec.numbers)
        if spec.numbers and numbers != "linear":
            dim = embedding_dim if numbers == "plr" else None
            self.numbers = PeriodicEmbedding(len(spec.numbers), frequencies, frequency_scale, dim)
            self.width = len(spec.numbers) * (dim or 2 * frequencies)
        if spec.categories:
            self.categories = CategoryEmbedding(tuple(number for _, number in spec.categories), embedding_dim)
            self.width += len(spec.categories) * embedding_dim
        self.width += sum(spec.vectors.values())

    def forward(self, inputs: Inputs) -> Feature:
        """Numbers first, then categories, then vectors."""
        parts = []
        if self.has_numbers:
            parts.append(inputs[NUMBERS] if self.numbers is None else self.numbers(inputs[NUMBERS]))
        if self.categories is not None:
            parts.append(self.categories(inputs[CATEGORIES]))
        parts += [inputs[column] for column in self.vectors]
        return Feature(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
