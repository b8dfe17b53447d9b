"""Texts whose words stand in a slightly other order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from polytask.data.augment.base import (
    BatchAugmentation,
    Scales,
    as_rows,
    checked,
    chosen_columns,
    is_chosen,
    token_columns,
)
from polytask.data.augment.geometric import with_inputs
from polytask.data.augment.places import in_order, tagged_columns, with_order
from polytask.data.batch import Batch
from polytask.feature import InputSpec, mask_of
from polytask.tasks import Task


class WordSwap(BatchAugmentation):
    """Shuffles tokens a little: sorted by place + U(0, distance + 1), so that none moves further than `distance`.

    Tags of tokens move along; tags of spans (B-, I-) then no longer follow each other.

    Args:
        distance: how far a token moves at most, from 1.
        probability: that a row is changed, in [0, 1].
        columns: the token columns that change; all where not given.

    Paper: Lample, Conneau, Denoyer, Ranzato: Unsupervised Machine Translation Using Monolingual Corpora Only, ICLR
        2018, arXiv 1711.00043.
    """

    name: ClassVar[str] = "word_swap"
    paper: ClassVar[str] = "lample2018"
    use_when: ClassVar[str] = "no label hangs on the order of words"

    def __init__(self, *, distance: int = 2, probability: float = 0.5, columns: tuple[str, ...] | None = None) -> None:
        if distance < 1:
            raise ValueError(f"augmentation {self.name}: distance={distance}, a number of places from 1 is wanted")
        self.distance, self.columns = distance, columns
        self.probability = checked(self.name, "probability", probability)

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._tokens = chosen_columns(self.name, self.columns, token_columns(spec), "token")
        self._tagged = tagged_columns(self.name, tasks, self._tokens)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        inputs = dict(batch.inputs)
        orders = {column: self._order(inputs[mask_of(column)], generator) for column in self._tokens}
        for column, order in orders.items():
            inputs[column] = in_order(inputs[column], order)
        moved = with_order(batch, orders, self._tagged) if self._tagged else replace(batch)
        return with_inputs(moved, inputs)

    def _order(self, mask: Tensor, generator: torch.Generator) -> Tensor:
        """The old place of each new token; padding stays where it is."""
        noise = torch.rand(mask.shape, generator=generator) * (self.distance + 1)
        chosen = is_chosen(len(mask), self.probability, generator)
        noise = (noise * as_rows(chosen, noise)).to(mask.device)
        place = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32)
        return torch.where(mask, place + noise, torch.inf).argsort(dim=1, stable=True)
