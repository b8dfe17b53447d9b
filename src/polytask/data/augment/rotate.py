"""Turned pictures."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import checked, is_chosen, uniform
from polytask.data.augment.geometric import Geometric
from polytask.data.augment.warp import Warp, affine


class Rotate(Geometric):
    """Turns pictures about their centre by an angle that is uniform in [−degrees, degrees].

    What turns in from outside is the mean colour; a mask has no label there.

    Args:
        degrees: the largest angle, in [0, 180].
        probability: that a row is turned, in [0, 1].
        columns: the picture columns that change; all where not given. Targets with a place belong to these.
        together: whether a row's pictures get one change; else each its own.
        visible: a box of which less than this share stays in the picture is dropped, in [0, 1].

    Example:
        >>> turned = Rotate(degrees=0.0).move(images=torch.ones(1, 1, 2, 2), generator=torch.Generator())
        >>> turned.images
        tensor([[[[1., 1.], [1., 1.]]]])
    """

    name: ClassVar[str] = "rotate"
    use_when: ClassVar[str] = "pictures are taken at any angle"
    still: ClassVar[Sequence[float]] = (0.0,)

    def __init__(
        self,
        *,
        degrees: float = 15.0,
        probability: float = 1.0,
        columns: tuple[str, ...] | None = None,
        together: bool = True,
        visible: float = 0.3,
    ) -> None:
        super().__init__(probability, columns, together, visible)
        self.degrees = checked(self.name, "degrees", degrees, 0, 180)

    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """The angle in degrees, clockwise as the picture is seen."""
        angle = uniform(num_rows, -self.degrees, self.degrees, generator)
        return (angle * is_chosen(num_rows, self.probability, generator)).unsqueeze(1)

    def warp(self, drawn: Tensor, height: int, width: int) -> Warp:
        """See `Geometric.warp`."""
        angle = torch.deg2rad(drawn[:, 0].double())
        sine, cosine = angle.sin(), angle.cos()
        matrix = affine(len(drawn)).double()
        matrix[:, 0, 0], matrix[:, 0, 1] = cosine, -sine
        matrix[:, 1, 0], matrix[:, 1, 1] = sine, cosine
        centre = torch.tensor([width / 2, height / 2], dtype=torch.float64)
        matrix[:, :2, 2] = centre - matrix[:, :2, :2] @ centre
        return Warp(matrix, height, width)
