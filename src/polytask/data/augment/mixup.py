"""Mixtures of two rows."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from polytask.data.augment.base import BatchAugmentation, Scales, as_rows, checked, number_sequences
from polytask.data.augment.mixing import check_mixable, drawn_shares, is_batch_chosen, with_partner
from polytask.data.batch import Batch
from polytask.feature import NUMBERS, InputSpec, mask_of
from polytask.tasks import Task


class Mixup(BatchAugmentation):
    """Mixup: x = λ·x_a + (1 − λ)·x_b, and every task's loss is λ·L(y_a) + (1 − λ)·L(y_b), with λ ~ Beta(alpha, alpha).

    Numbers, vectors, pictures and sequences of numbers are mixed; a sequence is as long as the longer of the two. Where
    one of a task's two labels is missing, only the other counts, with its share of the weight. Categories and tokens
    have no mixture: they are row a's, whose share is always the larger one.

    Args:
        alpha: of the Beta distribution; above 0: the larger, the nearer λ is to ½; the papers take 0.1 to 0.4.
        probability: that a batch is mixed, in [0, 1]. One that another augmentation has mixed is left alone.

    Deviates: λ is drawn for each row, and is max(λ, 1 − λ), as in MixMatch (arXiv 1905.02249): rows a and b are drawn
        alike, so that where everything can be mixed it makes no difference.

    Paper: Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv 1710.09412.
    """

    name: ClassVar[str] = "mixup"
    paper: ClassVar[str] = "zhang2018"
    use_when: ClassVar[str] = "few labels, numbers or pictures as inputs; probabilities become less sure"

    def __init__(self, *, alpha: float = 0.2, probability: float = 1.0) -> None:
        self.alpha = checked(self.name, "alpha", alpha, 1e-3, 1e3)
        self.probability = checked(self.name, "probability", probability)

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        check_mixable(self.name, tasks)
        self._sequences = number_sequences(spec)
        numbers = [NUMBERS] if spec.numbers else []
        self._mixed = [*numbers, *spec.images, *spec.vectors, *self._sequences]
        if not self._mixed:
            raise ValueError(
                f"augmentation {self.name}: all inputs are categories or tokens, which have no mixture; leave it out"
            )

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        if not is_batch_chosen(batch, self.probability, generator):
            return batch
        share = drawn_shares(batch.num_rows, self.alpha, generator)
        share = torch.maximum(share, 1 - share)
        order = torch.randperm(batch.num_rows, generator=generator)
        inputs = dict(batch.inputs)
        for name in self._mixed:
            own = inputs[name]
            lam = as_rows(share.to(own.dtype), own)
            inputs[name] = lam * own + (1 - lam) * own.index_select(0, order.to(own.device))
        for name in self._sequences:
            mask = inputs[mask_of(name)]
            inputs[mask_of(name)] = mask | mask.index_select(0, order.to(mask.device))
        return with_partner(batch, inputs, order, share, {})
