"""Pictures moved by a few pixels."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import checked, is_chosen
from polytask.data.augment.geometric import Geometric
from polytask.data.augment.warp import Warp, affine


class PaddedCrop(Geometric):
    """Pads pictures on all sides and cuts their size out of that: moves them by whole pixels.

    Args:
        padding: on each side, as a share of the picture's size, in [0, 1]; 0.125 is the usual 4 pixels of 32.
        probability: that a row is moved, in [0, 1].
        columns: the picture columns that change; all where not given. Targets with a place belong to these.
        together: whether a row's pictures get one change; else each its own.
        visible: a box of which less than this share stays in the picture is dropped, in [0, 1].
    """

    name: ClassVar[str] = "padded_crop"
    use_when: ClassVar[str] = "small pictures, whose things may lie some pixels off"
    still: ClassVar[Sequence[float]] = (0.0, 0.0)

    def __init__(
        self,
        *,
        padding: float = 0.125,
        probability: float = 1.0,
        columns: tuple[str, ...] | None = None,
        together: bool = True,
        visible: float = 0.3,
    ) -> None:
        super().__init__(probability, columns, together, visible)
        self.padding = checked(self.name, "padding", padding)

    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """How far to the right and down, in shares of the picture."""
        drawn = (2 * torch.rand(num_rows, 2, generator=generator) - 1) * self.padding
        return drawn * is_chosen(num_rows, self.probability, generator).unsqueeze(1)

    def warp(self, drawn: Tensor, height: int, width: int) -> Warp:
        """See `Geometric.warp`."""
        matrix = affine(len(drawn))
        matrix[:, 0, 2], matrix[:, 1, 2] = (drawn[:, 0] * width).round(), (drawn[:, 1] * height).round()
        return Warp(matrix, height, width)
