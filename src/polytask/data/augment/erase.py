"""Pictures of which a part is hidden."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch

from polytask.data.augment.base import (
    BatchAugmentation,
    Scales,
    as_rows,
    checked,
    checked_range,
    chosen_columns,
    is_chosen,
    uniform,
)
from polytask.data.augment.geometric import with_inputs
from polytask.data.augment.rectangle import inside
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task


class Erase(BatchAugmentation):
    """Random erasing: hides a rectangle of the picture; its labels, those of hidden places too, stay.

    Args:
        area: the smallest and the largest share of the picture that is hidden, in (0, 1].
        ratio: the range of the rectangle's width over its height, relative to the picture's own, in [0.1, 10].
        fill: "mean": the mean colour of the training pictures; "noise": normal noise, a number a pixel and channel.
        probability: that a row's pictures are erased, in [0, 1].
        columns: the picture columns that change; all where not given.

    Paper: Zhong, Zheng, Kang, Li, Yang: Random Erasing Data Augmentation, AAAI 2020, arXiv 1708.04896.
    """

    name: ClassVar[str] = "erase"
    paper: ClassVar[str] = "zhong2020"
    use_when: ClassVar[str] = "things in pictures may be partly hidden"

    def __init__(
        self,
        *,
        area: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 10 / 3),
        fill: Literal["mean", "noise"] = "mean",
        probability: float = 0.5,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.area = checked_range(self.name, "area", area, 1e-4, 1.0)
        self.ratio = checked_range(self.name, "ratio", ratio, 0.1, 10.0)
        self.probability = checked(self.name, "probability", probability)
        if fill not in ("mean", "noise"):
            raise ValueError(f"augmentation {self.name}: fill={fill!r}, 'mean' or 'noise' is wanted")
        self.fill, self.columns = fill, columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._pictures = chosen_columns(self.name, self.columns, list(spec.images), "picture")

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        rows = batch.num_rows
        area = uniform(rows, *self.area, generator)
        ratio = uniform(rows, *self.ratio, generator, is_logarithmic=True)
        size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_max(1.0)
        corner = torch.rand(rows, 2, generator=generator) * (1 - size)
        rectangle = torch.cat([corner, corner + size], dim=1)
        chosen = is_chosen(rows, self.probability, generator)
        inputs = dict(batch.inputs)
        for column in self._pictures:
            pictures = inputs[column]
            hidden = inside(rectangle, pictures.shape[-2], pictures.shape[-1], pictures.device)
            hidden = hidden & as_rows(chosen, pictures)
            fill = torch.zeros((), dtype=pictures.dtype, device=pictures.device)
            if self.fill == "noise":
                fill = torch.randn(pictures.shape, generator=generator).to(pictures.device, pictures.dtype)
            inputs[column] = torch.where(hidden, fill, pictures)
        return with_inputs(batch, inputs)
