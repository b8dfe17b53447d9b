"""Augmentations that move pixels: pictures, and all that has a place in them, move along."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from polytask.data.augment.base import BatchAugmentation, Scales, checked, chosen_columns
from polytask.data.augment.warp import Warp
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task

#: Kinds of targets that have a place in a picture.
PLACED = ("mask", "boxes", "keypoints")


@dataclass(frozen=True)
class Moved:
    """What `Geometric.move` gives; None for what it was not given.

    Attributes:
        images: `[batch, channels, height, width]`.
        masks: `[batch, …, height, width]`.
        boxes: `[batch, boxes, 4]`, 0 where there is none.
        is_box: where there is one still, bool `[batch, boxes]`.
        keypoints: `[batch, points, 2]`, 0 where there is none.
        is_keypoint: where there is one still, bool `[batch, points]`.
    """

    images: Tensor | None = None
    masks: Tensor | None = None
    boxes: Tensor | None = None
    is_box: Tensor | None = None
    keypoints: Tensor | None = None
    is_keypoint: Tensor | None = None


class Geometric(BatchAugmentation):
    """One change a row, drawn once, applied alike to all of a row's pictures, masks, boxes and keypoints.

    A row that would lose its last label of a task (its only box leaves the picture, say) stays as it is.

    Args:
        probability: that a row is changed, in [0, 1].
        columns: the picture columns that change; all where not given. Targets with a place belong to these.
        together: whether a row's pictures get one change, as sides of a pair should; else each its own.
        visible: a box of which less than this share stays in the picture is dropped, in [0, 1].
    """

    def __init__(self, probability: float, columns: Sequence[str] | None, together: bool, visible: float) -> None:
        self.probability = checked(self.name, "probability", probability)
        self.visible = checked(self.name, "visible", visible)
        self.columns, self.together = columns, together
        self._pictures: tuple[str, ...] = ()
        self._placed: dict[str, str] = {}

    @abstractmethod
    def draw(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """What is done to each row, `[rows, numbers]` on the CPU, whatever the size of its picture.

        Rows that are not changed have the values of `still`.
        """

    @property
    @abstractmethod
    def still(self) -> Sequence[float]:
        """The numbers of a row that is not changed."""

    @abstractmethod
    def warp(self, drawn: Tensor, height: int, width: int) -> Warp:
        """The change of pictures of this size."""

    def move(
        self,
        *,
        generator: torch.Generator,
        images: Tensor | None = None,
        masks: Tensor | None = None,
        boxes: Tensor | None = None,
        is_box: Tensor | None = None,
        keypoints: Tensor | None = None,
        is_keypoint: Tensor | None = None,
        size: tuple[int, int] | None = None,
        void: float = 0,
    ) -> Moved:
        """For a loop of your own: pictures and what has a place in them, moved alike.

        Args:
            generator: on the CPU.
            images: float `[batch, channels, height, width]`; pixels that were not there before become 0.
            masks: `[batch, …, height, width]`, of labels of any type.
            boxes: float `[batch, boxes, 4]` as [x_min, y_min, x_max, y_max] in pixels.
            is_box: bool `[batch, boxes]`, where they are not padding; all where not given.
            keypoints: float `[batch, points, 2]` as (x, y) in pixels.
            is_keypoint: likewise.
            size: height and width, where neither images nor masks are given.
            void: the label of a mask where there was no pixel.

        Raises:
            ValueError: there is nothing to tell the size by.

        Example:
            >>> from polytask.data.augment import Flip
            >>> flip = Flip(probability=1.0)
            >>> box = torch.tensor([[[0.0, 0.0, 2.0, 1.0]]])
            >>> flip.move(boxes=box, size=(4, 8), generator=torch.Generator()).boxes
            tensor([[[6., 0., 8., 1.]]])
        """
        pixels = images if images is not None else masks
        if pixels is None and size is None:
            raise ValueError("move: give images or masks, or the size (height, width) of the pictures")
        height, width = (int(pixels.shape[-2]), int(pixels.shape[-1])) if pixels is not None else size or (0, 0)
        rows = [len(one) for one in (images, masks, boxes, keypoints) if one is not None]
        if len(set(rows)) != 1:
            raise ValueError(f"move: all that moves alike has one number of rows, got {rows}")
        warp = self.warp(self.draw(rows[0], generator), height, width)
        moved = Moved(
            images=None if images is None else warp.images(images),
            masks=None if masks is None else warp.masks(masks, void),
        )
        if boxes is not None:
            there = boxes.new_ones(boxes.shape[:2], dtype=torch.bool) if is_box is None else is_box
            found, kept = warp.boxes(boxes, there, visible=self.visible)
            moved = replace(moved, boxes=found, is_box=kept)
        if keypoints is not None:
            there = keypoints.new_ones(keypoints.shape[:2], dtype=torch.bool) if is_keypoint is None else is_keypoint
            found, kept = warp.keypoints(keypoints, there)
            moved = replace(moved, keypoints=found, is_keypoint=kept)
        return moved

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._pictures = chosen_columns(self.name, self.columns, list(spec.images), "picture")
        self._placed = {task.name: task.spatial for task in tasks if task.spatial in PLACED}
        sizes = {spec.images[column][1:] for column in self._pictures}
        if not self._placed or len(self._pictures) == 1:
            self._size = next(iter(sizes))
            return
        task = next(iter(self._placed))
        if not self.together or len(sizes) > 1:
            why = "each with a change of its own" if not self.together else "of different sizes"
            raise ValueError(
                f"augmentation {self.name}: the target of task {task!r} has its place in a picture, but there are "
                f"{len(self._pictures)}, {why} ({', '.join(self._pictures)}); name one: columns: [{self._pictures[0]}]"
            )
        self._size = next(iter(sizes))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        drawn = self.draw(batch.num_rows, generator)
        if self._placed:
            drawn = self._spared(batch, drawn)
        inputs = dict(batch.inputs)
        for k, column in enumerate(self._pictures):
            if k and not self.together:
                drawn = self.draw(batch.num_rows, generator)
            height, width = inputs[column].shape[-2:]
            inputs[column] = self.warp(drawn, height, width).images(inputs[column])
        if not self._placed:
            return with_inputs(batch, inputs)
        return with_inputs(self._with_targets(batch, drawn), inputs)

    def _spared(self, batch: Batch, drawn: Tensor) -> Tensor:
        """The draws, but those that would take a row's last label from it."""
        moved = self._with_targets(batch, drawn)
        loses = torch.zeros(batch.num_rows, dtype=torch.bool)
        for task in self._placed:
            for before, after in zip(_all_of(batch), _all_of(moved), strict=True):
                had, has = (one.weight[task].flatten(1).gt(0).any(dim=1) for one in (before, after))
                loses |= (had & ~has).cpu()
        return torch.where(loses.unsqueeze(1), torch.tensor(self.still, dtype=drawn.dtype), drawn)

    def _with_targets(self, batch: Batch, drawn: Tensor) -> Batch:
        """The batch with its placed targets moved, and those of the rows mixed into it."""
        targets, present, weight = dict(batch.targets), dict(batch.present), dict(batch.weight)
        for task, kind in self._placed.items():
            if kind == "mask":
                warp = self.warp(drawn, *targets[task].shape[-2:])
                targets[task], present[task] = warp.masks(targets[task]), warp.masks(present[task])
                weight[task] = warp.masks(weight[task])
                continue
            warp, size = self.warp(drawn, *self._size), 4 if kind == "boxes" else 2
            there, place = present[task].all(dim=-1), targets[task][..., :size]
            found, kept = (
                warp.boxes(place, there, visible=self.visible) if kind == "boxes" else warp.keypoints(place, there)
            )
            targets[task] = torch.cat([found, targets[task][..., size:]], dim=-1)
            present[task] = present[task] & kept.unsqueeze(-1)
            weight[task] = torch.where(present[task], weight[task], torch.zeros_like(weight[task]))
        partner = None if batch.partner is None else self._with_targets(batch.partner, drawn)
        return replace(batch, targets=targets, present=present, weight=weight, partner=partner)


def with_inputs(batch: Batch, inputs: dict[str, Tensor]) -> Batch:
    """The batch with other inputs, which are those of the rows mixed into it too."""
    partner = None if batch.partner is None else with_inputs(batch.partner, inputs)
    return replace(batch, inputs=inputs, partner=partner)


def _all_of(batch: Batch) -> list[Batch]:
    """The batch, and those that are mixed into it."""
    return [batch, *(_all_of(batch.partner) if batch.partner is not None else [])]
