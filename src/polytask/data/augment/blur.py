"""Blurred pictures."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import (
    BatchAugmentation,
    Scales,
    check_extra,
    checked,
    checked_range,
    chosen_columns,
    is_chosen,
    on_rows,
    uniform,
)
from polytask.data.augment.geometric import with_inputs
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task


class Blur(BatchAugmentation):
    """Blurs pictures with a Gaussian whose deviation is uniform in a range.

    Args:
        deviation: of the Gaussian, smallest and largest, in pixels, in [0.01, 100].
        probability: that a row is blurred, in [0, 1].
        columns: the picture columns that change; all where not given.
    """

    name: ClassVar[str] = "blur"
    use_when: ClassVar[str] = "pictures may be out of focus"

    def __init__(
        self,
        *,
        deviation: tuple[float, float] = (0.1, 2.0),
        probability: float = 0.5,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.deviation = checked_range(self.name, "deviation", deviation, 0.01, 100)
        self.probability = checked(self.name, "probability", probability)
        self.columns = columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        check_extra(self.name)
        self._pictures = chosen_columns(self.name, self.columns, list(spec.images), "picture")

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        deviation = uniform(batch.num_rows, *self.deviation, generator)
        chosen = is_chosen(batch.num_rows, self.probability, generator)
        inputs = dict(batch.inputs)
        for column in self._pictures:
            inputs[column] = on_rows(inputs[column], chosen, lambda rows, k: self._blurred(rows, deviation[k]))
        return with_inputs(batch, inputs)

    def _blurred(self, pictures: Tensor, deviation: Tensor) -> Tensor:
        from kornia.filters import gaussian_blur2d

        # Three deviations to each side hold all but 0.3 % of the weight; the reflected border must fit the picture.
        reach = math.ceil(3 * self.deviation[1])
        height, width = (2 * min(reach, side - 1) + 1 for side in pictures.shape[-2:])
        sigma = deviation.to(pictures.device, pictures.dtype).unsqueeze(1).repeat(1, 2)
        return gaussian_blur2d(pictures, (height, width), sigma)
