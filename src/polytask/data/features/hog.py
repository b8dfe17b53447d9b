"""HOG: which way edges run in each small part of a picture."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.pictures import as_floats, resized, with_channels
from polytask.errors import MissingExtraError, SchemaError


class Hog(Featurizer):
    """Histograms of oriented gradients of a picture, by scikit-image.

    The picture is cut into cells; each has a histogram of the directions of its edges, weighed by their strength, which
    is normalised (L2-Hys) with those of the cells around it, block by block. Of colours, the channel with the strongest
    edge counts at each pixel, so grey and coloured pictures have as many numbers.

    Args:
        size: (height, width) that pictures are brought to; None: that of the training pictures, or 128 × 128 where they
            differ.
        orientations: directions of a histogram, over 180 degrees.
        cell: height and width of a cell, pixels.
        block: cells of a block's side.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> Hog(size=(32, 32)).transform([np.zeros((32, 32, 1), dtype=np.uint8)], {}).shape
        (1, 324)

    Paper: Dalal, Triggs: Histograms of oriented gradients for human detection. CVPR 2005.
    """

    reads: ClassVar[tuple[str, ...]] = ("image",)
    paper: ClassVar[str | None] = "dalal2005"

    def __init__(
        self, *, size: tuple[int, int] | None = None, orientations: int = 9, cell: int = 8, block: int = 2
    ) -> None:
        if min(orientations, cell, block, *(size or ())) < 1 or (size is not None and len(size) != 2):
            raise ValueError(
                f"hog: orientations, cell, block and the two numbers of size are whole numbers >= 1, got "
                f"{orientations}, {cell}, {block} and {size}"
            )
        self.size, self.orientations, self.cell, self.block = size, orientations, cell, block

    def fit(self, cells: Any, place: str) -> Learnt:
        """The size of the pictures."""
        size = self.size
        if size is None:
            sizes = {shape[:2] for shape in cells.shapes()}
            size = sizes.pop() if len(sizes) == 1 else (128, 128)
        if min(size) < self.cell * self.block:
            raise SchemaError(
                f"{place}: pictures of {size[0]}×{size[1]} have no block of {self.block} × {self.block} cells of "
                f"{self.cell} pixels; take hog's size larger, or cell or block smaller"
            )
        return {"size": list(size)}

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, numbers]`."""
        try:
            from skimage.feature import hog
        except ImportError:
            raise MissingExtraError("scikit-image", "data", "hog") from None
        height, width = learnt.get("size") or self.size or (128, 128)
        found = []
        for picture in cells:
            pixels = picture if picture.shape[2] in (1, 3) else with_channels(picture, 1 if picture.shape[2] < 3 else 3)
            pixels = as_floats(resized(pixels, (height, width), "hog"))
            sides = ((self.cell, self.cell), (self.block, self.block))
            found.append(hog(pixels, self.orientations, *sides, block_norm="L2-Hys", channel_axis=-1))
        return np.stack(found).astype(np.float32)
