"""A geometric change of pictures, and of everything that has a place in them."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from polytask.data.augment.base import on_rows


@dataclass(frozen=True)
class Warp:
    """One affine change a row: of pictures, masks, boxes and keypoints alike.

    Coordinates are (x, y) in pixels from the upper left corner of the picture, so that pixel (row i, column j) covers
    [j, j + 1] × [i, i + 1] and its centre is (j + ½, i + ½). Boxes are [x_min, y_min, x_max, y_max].

    Attributes:
        matrix: `[batch, 3, 3]`, old -> new coordinates; the last row is (0, 0, 1).
        height: of the pictures, before and after, in pixels.
        width: likewise.
        mirrored: bool `[batch, 2]`, where all it does is to mirror (left and right, up and down): pixels then move
            without interpolation.
    """

    matrix: Float[Tensor, "batch 3 3"]
    height: int
    width: int
    mirrored: Bool[Tensor, "batch 2"] | None = None

    def images(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Pictures, interpolated bilinearly; 0 (the mean of a normalised picture) where there was none before."""
        if self.mirrored is not None:
            return self._mirror(images)
        place = self._sources(images)
        scale = torch.tensor([2 / self.width, 2 / self.height], dtype=images.dtype, device=images.device)
        moved = functional.grid_sample(images, place.to(images.dtype) * scale - 1, align_corners=False)
        return torch.where(self._moves(images), moved, images)

    def masks(
        self, masks: Shaped[Tensor, "batch ... height width"], void: float = 0
    ) -> Shaped[Tensor, "batch ... height width"]:
        """Maps of labels: each new pixel has the label of the old one that its centre comes from.

        Args:
            masks: of any type; true/false too.
            void: the label where there was no pixel before.
        """
        if self.mirrored is not None:
            return self._mirror(masks)
        place = self._sources(masks).floor().long()
        column, row = place[..., 0], place[..., 1]
        is_inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        flat = (row.clamp(0, self.height - 1) * self.width + column.clamp(0, self.width - 1)).flatten(1)
        between = masks.ndim - 3
        index = flat.reshape(len(flat), *[1] * between, -1).expand(*masks.shape[:-2], -1)
        moved = masks.flatten(-2).gather(-1, index).reshape(masks.shape)
        is_inside = is_inside.reshape(len(flat), *[1] * between, self.height, self.width)
        moved = torch.where(is_inside, moved, torch.full((), void, dtype=masks.dtype, device=masks.device))
        return torch.where(self._moves(masks), moved, masks)

    def boxes(
        self, boxes: Float[Tensor, "batch boxes 4"], is_box: Bool[Tensor, "batch boxes"], *, visible: float = 0.3
    ) -> tuple[Float[Tensor, "batch boxes 4"], Bool[Tensor, "batch boxes"]]:
        """The smallest upright boxes around the moved ones, cut at the picture's border.

        Args:
            boxes: padded to one number a row.
            is_box: where they are not padding.
            visible: a box of which less than this share of its area is in the picture is dropped.

        Returns:
            The boxes, 0 where there is none, and where there is one.
        """
        x_min, y_min, x_max, y_max = boxes.unbind(-1)
        x = torch.stack([x_min, x_max, x_max, x_min], dim=-1)
        y = torch.stack([y_min, y_min, y_max, y_max], dim=-1)
        corners = self._points(torch.stack([x, y], dim=-1).flatten(1, 2)).unflatten(1, (-1, 4))
        low, high = corners.amin(dim=2), corners.amax(dim=2)
        limit = torch.tensor([self.width, self.height], dtype=boxes.dtype, device=boxes.device)
        cut_low, cut_high = low.clamp_min(0).minimum(limit), high.clamp_min(0).minimum(limit)
        area, seen = (high - low).prod(dim=-1), (cut_high - cut_low).prod(dim=-1)
        moves = self._moves(is_box)
        kept = is_box & (((seen > 0) & (seen >= visible * area)) | ~moves)
        moved = torch.where(moves.unsqueeze(-1), torch.cat([cut_low, cut_high], dim=-1), boxes)
        return torch.where(kept.unsqueeze(-1), moved, torch.zeros_like(moved)), kept

    def keypoints(
        self, points: Float[Tensor, "batch points 2"], is_point: Bool[Tensor, "batch points"]
    ) -> tuple[Float[Tensor, "batch points 2"], Bool[Tensor, "batch points"]]:
        """The moved points, 0 where there is none, and where there is one: those that leave the picture are dropped."""
        moved = self._points(points)
        limit = torch.tensor([self.width, self.height], dtype=points.dtype, device=points.device)
        moves = self._moves(is_point)
        kept = is_point & (((moved >= 0) & (moved <= limit)).all(dim=-1) | ~moves)
        moved = torch.where(moves.unsqueeze(-1), moved, points)
        return torch.where(kept.unsqueeze(-1), moved, torch.zeros_like(moved)), kept

    def _moves(self, like: Tensor) -> Tensor:
        """Rows that are changed at all, shaped to meet the axes of `like`: the others stay as they are, bit for bit."""
        still = torch.eye(3, dtype=self.matrix.dtype, device=self.matrix.device)
        moves = (self.matrix != still).flatten(1).any(dim=1)
        return moves.to(like.device).reshape(-1, *[1] * (like.ndim - 1))

    def _mirror(self, pixels: Tensor) -> Tensor:
        assert self.mirrored is not None
        pixels = on_rows(pixels, self.mirrored[:, 0], lambda rows, _: rows.flip(-1))
        return on_rows(pixels, self.mirrored[:, 1], lambda rows, _: rows.flip(-2))

    def _points(self, points: Tensor) -> Tensor:
        """Points `[batch, points, 2]` where they come to lie."""
        matrix = self.matrix.to(points.device, points.dtype)
        return points @ matrix[:, :2, :2].mT + matrix[:, None, :2, 2]

    def _sources(self, pixels: Tensor) -> Tensor:
        """Where each new pixel's centre lay before, `[batch, height, width, 2]`.

        Raises:
            ValueError: pixels of another size.
        """
        if tuple(pixels.shape[-2:]) != (self.height, self.width):
            size = f"{pixels.shape[-2]}×{pixels.shape[-1]}"
            raise ValueError(f"this warp is of pictures of {self.height}×{self.width}, got {size}")
        inverse = _inverse(self.matrix.double()).float().to(pixels.device)
        y = torch.arange(self.height, device=pixels.device) + 0.5
        x = torch.arange(self.width, device=pixels.device) + 0.5
        centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(1, -1, 2)
        found = centres @ inverse[:, :2, :2].mT + inverse[:, None, :2, 2]
        return found.unflatten(1, (self.height, self.width))


def _inverse(matrix: Tensor) -> Tensor:
    """Of affine matrices, in closed form: no call that waits for a device."""
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    turned = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) / (a * d - b * c).reshape(-1, 1, 1)
    moved = -(turned @ matrix[:, :2, 2:])
    inverse = torch.zeros_like(matrix)
    inverse[:, :2, :2], inverse[:, :2, 2:], inverse[:, 2, 2] = turned, moved, 1
    return inverse


def affine(num_rows: int) -> Float[Tensor, "rows 3 3"]:
    """Matrices that change nothing, to be written into."""
    return torch.eye(3).repeat(num_rows, 1, 1)
