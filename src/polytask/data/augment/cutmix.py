"""Pictures with a piece of another one pasted in."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import BatchAugmentation, Scales, as_rows, checked, chosen_columns
from polytask.data.augment.mixing import check_mixable, drawn_shares, is_batch_chosen, with_partner
from polytask.data.augment.rectangle import inside
from polytask.data.batch import Batch
from polytask.feature import InputSpec
from polytask.tasks import Task


class CutMix(BatchAugmentation):
    """CutMix: pastes a rectangle of another row's picture; every task's loss is λ·L(y_a) + (1 − λ)·L(y_b).

    The rectangle has the picture's form, sides √(1 − λ) of it with λ ~ Beta(alpha, alpha), and a uniform centre; what
    stands over the border is cut, and λ becomes the share of pixels that are left of the row's own picture. Where one
    of a task's two labels is missing, only the other counts. A mask (a label a pixel) is pasted along, and its labels
    count whole; a row that would keep none of its own is left alone. Inputs that are no pictures stay the row's own.

    Args:
        alpha: of the Beta distribution, above 0; 1: λ is uniform, as in the paper.
        probability: that a batch is mixed, in [0, 1]. One that another augmentation has mixed is left alone.
        columns: the picture columns that change; all where not given. Masks belong to these.

    Deviates: rectangle and λ are drawn for each row, not for a batch.

    Paper: Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features, ICCV 2019, arXiv 1905.04899.
    """

    name: ClassVar[str] = "cutmix"
    paper: ClassVar[str] = "yun2019"
    use_when: ClassVar[str] = "labels of whole pictures, or of their pixels"

    def __init__(self, *, alpha: float = 1.0, probability: float = 0.5, columns: tuple[str, ...] | None = None) -> None:
        self.alpha = checked(self.name, "alpha", alpha, 1e-3, 1e3)
        self.probability = checked(self.name, "probability", probability)
        self.columns = columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._pictures = chosen_columns(self.name, self.columns, list(spec.images), "picture")
        check_mixable(self.name, tasks)
        if len({spec.images[column][1:] for column in self._pictures}) > 1:
            raise ValueError(
                f"augmentation {self.name}: the picture columns {', '.join(self._pictures)} are of different sizes, so "
                f"that a rectangle is not the same share of each; name one: columns: [{self._pictures[0]}]"
            )
        self._masks = [task.name for task in tasks if task.spatial == "mask"]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        if not is_batch_chosen(batch, self.probability, generator):
            return batch
        rows = batch.num_rows
        half = ((1 - drawn_shares(rows, self.alpha, generator)).sqrt() / 2).float().unsqueeze(1)
        centre = torch.rand(rows, 2, generator=generator)
        rectangle = torch.cat([centre - half, centre + half], dim=1)
        order = torch.randperm(rows, generator=generator)
        inputs = dict(batch.inputs)
        first = inputs[self._pictures[0]]
        pasted = inside(rectangle, first.shape[-2], first.shape[-1], first.device)
        placed = {}
        for task in self._masks:
            target = batch.targets[task]
            area = inside(rectangle, target.shape[-2], target.shape[-1], target.device)
            placed[task] = area if target.ndim == 4 else area.squeeze(1)
        spared = self._spared(batch, order, pasted, placed)
        pasted = pasted & ~as_rows(spared, pasted)
        for column in self._pictures:
            own = inputs[column]
            inputs[column] = torch.where(pasted, own.index_select(0, order.to(own.device)), own)
        share = 1 - pasted.flatten(1).float().mean(dim=1)
        placed = {task: area & ~as_rows(spared, area) for task, area in placed.items()}
        return with_partner(batch, inputs, order, share, placed)

    @staticmethod
    def _spared(batch: Batch, order: Tensor, pasted: Tensor, placed: Mapping[str, Tensor]) -> Tensor:
        """Rows that nothing is pasted into: nothing of the picture, or no label of a mask, would be left."""
        spared = pasted.flatten(1).all(dim=1)
        for task, area in placed.items():
            weight = batch.weight[task]
            after = torch.where(area, weight.index_select(0, order.to(weight.device)), weight)
            spared = spared | (weight.flatten(1).gt(0).any(dim=1) & ~after.flatten(1).gt(0).any(dim=1))
        return spared
