"""Mirrored pictures."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import checked
from polytask.data.augment.geometric import Geometric
from polytask.data.augment.warp import Warp, affine


class Flip(Geometric):
    """Mirrors pictures left and right, or up and down; exact, no pixel is interpolated.

    Labels that tell left from right (a hand, an arrow, a 6 from a 9 turned over) become wrong: leave it out there.

    Args:
        probability: that a row is mirrored left and right, in [0, 1].
        vertical: that it is mirrored up and down, in [0, 1], drawn apart from the other.
        columns: the picture columns that change; all where not given. Targets with a place belong to these.
        together: whether a row's pictures get one change; else each its own.

    Example:
        >>> Flip(probability=1.0).move(images=torch.tensor([[[[1.0, 2.0]]]]), generator=torch.Generator()).images
        tensor([[[[2., 1.]]]])
    """

    name: ClassVar[str] = "flip"
    use_when: ClassVar[str] = "no label depends on left and right"
    still: ClassVar[Sequence[float]] = (0.0, 0.0)

    def __init__(
        self,
        *,
        probability: float = 0.5,
        vertical: float = 0.0,
        columns: tuple[str, ...] | None = None,
        together: bool = True,
    ) -> None:
        super().__init__(probability, columns, together, visible=0.0)  # no box leaves the picture
        self.vertical = checked(self.name, "vertical", vertical)

    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """1 where a row is mirrored: left and right, up and down."""
        drawn = torch.rand(num_rows, 2, generator=generator)
        return (drawn < torch.tensor([self.probability, self.vertical])).float()

    def warp(self, drawn: Tensor, height: int, width: int) -> Warp:
        """See `Geometric.warp`."""
        matrix = affine(len(drawn))
        for axis, size in enumerate((width, height)):
            matrix[:, axis, axis] = 1 - 2 * drawn[:, axis]
            matrix[:, axis, 2] = size * drawn[:, axis]
        return Warp(matrix, height, width, mirrored=drawn > 0)
