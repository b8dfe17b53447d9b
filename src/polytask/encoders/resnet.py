"""ResNet for tables: residual blocks of two linear layers."""

from typing import ClassVar

from torch import Tensor, nn

from polytask.encoders.base import Encoder
from polytask.encoders.default import unreadable
from polytask.encoders.mlp import check_layers
from polytask.encoders.tabular import Numbers, TableEmbedding
from polytask.feature import Feature, InputSpec


class ResidualStage(nn.Module):
    """x + Dropout(Linear(Dropout(ReLU(Linear(BatchNorm(x)))))).

    Args:
        width: channels in and out.
        hidden: channels between the two linear layers.
        dropout: between them.
        residual_dropout: behind them.
        before: channels that come in where they are not `width`: the first stage maps them by a linear layer.
        is_last: the last stage ends in batch norm and ReLU, as its sum has neither.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        dropout: float,
        residual_dropout: float,
        before: int | None,
        is_last: bool,
    ) -> None:
        super().__init__()
        self.enter = nn.Identity() if before is None else nn.Linear(before, width)
        self.block = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(residual_dropout),
        )
        self.leave = nn.Sequential(nn.BatchNorm1d(width), nn.ReLU()) if is_last else nn.Identity()

    def forward(self, feature: Feature) -> Feature:
        """`[B, before]` to `[B, width]`."""
        values: Tensor = self.enter(feature.pooled())
        return Feature(self.leave(values + self.block(values)))


class ResNet(Encoder):
    """Residual blocks over a table's numbers and categories: stage 0 embeds them, then one stage a block.

    Batch norm wants training batches of two rows or more.

    Args:
        spec: the columns; numbers and categories only.
        width: channels after every block.
        blocks: how many.
        hidden_factor: channels inside a block, as a multiple of `width`.
        dropout: inside a block, in [0, 1).
        residual_dropout: behind a block, in [0, 1).
        numbers: how numbers enter: "linear" as they are, "periodic" or "plr" (see `TableEmbedding`).
        embedding_dim: channels of each category, and of each number under "plr".
        frequencies: a number under "periodic" and "plr".
        frequency_scale: σ of their start.

    Raises:
        ValueError: the spec has images, sequences or no column at all; a setting that cannot be.

    Example:
        >>> ResNet(InputSpec(numbers=("age", "hours")), width=32, blocks=2).widths
        (2, 32, 32)

    Paper: Gorishniy, Rubachev, Khrulkov, Babenko: Revisiting deep learning models for tabular data. NeurIPS
        2021. arXiv 2106.11959.
    """

    paper: ClassVar[str] = "gorishniy2021"
    width_settings: ClassVar[tuple[str, ...]] = ("width",)

    def __init__(
        self,
        spec: InputSpec,
        *,
        width: int = 128,
        blocks: int = 3,
        hidden_factor: float = 2.0,
        dropout: float = 0.1,
        residual_dropout: float = 0.0,
        numbers: Numbers = "linear",
        embedding_dim: int = 8,
        frequencies: int = 16,
        frequency_scale: float = 0.1,
    ) -> None:
        super().__init__(spec)
        if spec.images or spec.sequences or not spec.has_table:
            raise unreadable("resnet", "a table's columns", spec)
        check_layers((width, blocks, int(width * hidden_factor)), dropout)
        check_layers((), residual_dropout)
        embedding = TableEmbedding(
            spec,
            numbers=numbers,
            embedding_dim=embedding_dim,
            frequencies=frequencies,
            frequency_scale=frequency_scale,
        )
        self.widths = (embedding.width, *[width] * blocks)
        residual = [
            ResidualStage(
                width,
                int(width * hidden_factor),
                dropout=dropout,
                residual_dropout=residual_dropout,
                before=embedding.width if block == 0 else None,
                is_last=block == blocks - 1,
            )
            for block in range(blocks)
        ]
        self.stages = nn.ModuleList([embedding, *residual])
