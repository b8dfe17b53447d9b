"""Pictures under other light."""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import (
    BatchAugmentation,
    Scales,
    check_extra,
    checked,
    chosen_columns,
    is_chosen,
    on_rows,
    uniform,
)
from polytask.data.augment.geometric import with_inputs
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task


class ColorJitter(BatchAugmentation):
    """Changes brightness, contrast, saturation and hue, in this order, of pictures in [0, 1].

    With x in [0, 1], as it was before normalisation, and a factor f a row: brightness f·x; contrast f·x + (1 − f)·(mean
    grey of the picture); saturation f·x + (1 − f)·(grey of the pixel); each cut to [0, 1]. Hue turns by an angle.
    Pictures that have not 3 channels get brightness and contrast alone.

    Args:
        brightness: its factor is uniform in [1 − brightness, 1 + brightness]; in [0, 1].
        contrast: likewise.
        saturation: likewise.
        hue: the largest angle, as a share of the full circle, in [0, 0.5].
        probability: that a row is changed, in [0, 1].
        columns: the picture columns that change; all where not given.
        together: whether a row's pictures get one change; else each its own.
    """

    name: ClassVar[str] = "color_jitter"
    use_when: ClassVar[str] = "light and cameras differ, and no label is a colour"

    def __init__(
        self,
        *,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        probability: float = 0.8,
        columns: tuple[str, ...] | None = None,
        together: bool = True,
    ) -> None:
        self.brightness = checked(self.name, "brightness", brightness)
        self.contrast = checked(self.name, "contrast", contrast)
        self.saturation = checked(self.name, "saturation", saturation)
        self.hue = checked(self.name, "hue", hue, 0, 0.5)
        self.probability = checked(self.name, "probability", probability)
        self.columns, self.together = columns, together

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        check_extra(self.name)
        self._pictures = chosen_columns(self.name, self.columns, list(spec.images), "picture")
        for column in self._pictures:
            channels = spec.images[column][0]
            if channels != 3 and not (self.brightness or self.contrast):
                raise ValueError(
                    f"augmentation {self.name}: column {column!r} has {channels} channel(s), so that saturation and "
                    "hue change nothing; set brightness or contrast"
                )
        self._scales = {
            column: tuple(torch.tensor(list(each)).reshape(1, -1, 1, 1) for each in scales[column])
            for column in self._pictures
        }

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        inputs = dict(batch.inputs)
        drawn = self._drawn(batch.num_rows, generator)
        for k, column in enumerate(self._pictures):
            if k and not self.together:
                drawn = self._drawn(batch.num_rows, generator)
            chosen, *factors = drawn
            change = partial(self._relit, self._scales[column], factors)
            inputs[column] = on_rows(inputs[column], chosen, change)
        return with_inputs(batch, inputs)

    def _relit(self, scale: Sequence[Tensor], factors: Sequence[Tensor], pictures: Tensor, rows: Tensor) -> Tensor:
        """The change of these rows, between undoing and redoing what normalised them."""
        mean, deviation = (each.to(pictures.device, pictures.dtype) for each in scale)
        pixels = (pictures * deviation + mean).clamp(0, 1)
        return (self._changed(pixels, *(factor[rows] for factor in factors)) - mean) / deviation

    def _drawn(self, num_rows: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Which rows; the factors of brightness, contrast, saturation; the angle of the hue."""
        factors = [
            uniform(num_rows, 1 - most, 1 + most, generator)
            for most in (self.brightness, self.contrast, self.saturation)
        ]
        angle = uniform(num_rows, -2 * math.pi * self.hue, 2 * math.pi * self.hue, generator)
        return is_chosen(num_rows, self.probability, generator), *factors, angle

    def _changed(
        self, pictures: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, angle: Tensor
    ) -> Tensor:
        from kornia import enhance

        if self.brightness:
            pictures = enhance.adjust_brightness_accumulative(pictures, brightness)
        if self.contrast:
            pictures = enhance.adjust_contrast_with_mean_subtraction(pictures, contrast)
        if pictures.shape[1] == 3 and self.saturation:
            pictures = enhance.adjust_saturation_with_gray_subtraction(pictures, saturation)
        if pictures.shape[1] == 3 and self.hue:
            pictures = enhance.adjust_hue(pictures, angle)
        return pictures
