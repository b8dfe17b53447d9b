"""A piece of each picture, resized to the whole."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import checked_range, is_chosen, uniform
from polytask.data.augment.geometric import Geometric
from polytask.data.augment.warp import Warp, affine


class Crop(Geometric):
    """A random resized crop: a piece of the picture, stretched to the picture's size.

    The piece has `area` of the picture's pixels, uniform in its range, and its width over its height, relative to the
    picture's own, is log-uniform in `ratio`; a side longer than the picture's is cut to it.

    Args:
        area: the smallest and the largest share of the picture, in (0, 1].
        ratio: the range of the form, in [0.1, 10].
        probability: that a row is cropped, in [0, 1].
        columns: the picture columns that change; all where not given. Targets with a place belong to these.
        together: whether a row's pictures get one change; else each its own.
        visible: a box of which less than this share stays in the picture is dropped, in [0, 1].

    Paper: Szegedy et al.: Going deeper with convolutions, CVPR 2015, arXiv 1409.4842.
    """

    name: ClassVar[str] = "crop"
    paper: ClassVar[str] = "szegedy2015"
    use_when: ClassVar[str] = "the thing to see may be near or far, and anywhere"
    still: ClassVar[Sequence[float]] = (0.0, 0.0, 1.0, 1.0)

    def __init__(
        self,
        *,
        area: tuple[float, float] = (0.5, 1.0),
        ratio: tuple[float, float] = (0.75, 4 / 3),
        probability: float = 1.0,
        columns: tuple[str, ...] | None = None,
        together: bool = True,
        visible: float = 0.3,
    ) -> None:
        super().__init__(probability, columns, together, visible)
        self.area = checked_range(self.name, "area", area, 1e-3, 1.0)
        self.ratio = checked_range(self.name, "ratio", ratio, 0.1, 10.0)

    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """The piece as (left, top, width, height), in shares of the picture."""
        area = uniform(num_rows, *self.area, generator)
        ratio = uniform(num_rows, *self.ratio, generator, is_logarithmic=True)
        size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_max(1.0)
        corner = torch.rand(num_rows, 2, generator=generator) * (1 - size)
        chosen = is_chosen(num_rows, self.probability, generator)
        return torch.where(chosen.unsqueeze(1), torch.cat([corner, size], dim=1), torch.tensor(self.still))

    def warp(self, drawn: Tensor, height: int, width: int) -> Warp:
        """See `Geometric.warp`."""
        matrix = affine(len(drawn)).double()
        for axis, size in enumerate((width, height)):
            matrix[:, axis, axis] = 1 / drawn[:, 2 + axis]
            matrix[:, axis, 2] = -size * drawn[:, axis] / drawn[:, 2 + axis]
        return Warp(matrix, height, width)
