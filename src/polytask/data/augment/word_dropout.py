"""Texts of which some words are hidden."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from polytask.data.augment.base import BatchAugmentation, Scales, checked, chosen_columns, token_columns
from polytask.data.augment.geometric import with_inputs
from polytask.data.batch import Batch
from polytask.feature import InputSpec, mask_of
from polytask.tasks import Task

#: The code of a token that training has not seen.
UNKNOWN = 1


class WordDropout(BatchAugmentation):
    """Each token becomes the unknown one with some probability; tags of tokens stay, as the places do.

    Args:
        probability: that a token is hidden, in [0, 1].
        columns: the token columns that change; all where not given.

    Paper: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio: Generating Sentences from a Continuous Space, CoNLL 2016,
        arXiv 1511.06349.
    """

    name: ClassVar[str] = "word_dropout"
    paper: ClassVar[str] = "bowman2016"
    use_when: ClassVar[str] = "tokens, of which many are rare; the code of unseen words gets trained too"

    def __init__(self, *, probability: float = 0.1, columns: tuple[str, ...] | None = None) -> None:
        self.probability = checked(self.name, "probability", probability)
        self.columns = columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._tokens = chosen_columns(self.name, self.columns, token_columns(spec), "token")

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        inputs = dict(batch.inputs)
        for column in self._tokens:
            tokens = inputs[column]
            hidden = torch.rand(tokens.shape, generator=generator).to(tokens.device) < self.probability
            inputs[column] = tokens.masked_fill(hidden & inputs[mask_of(column)], UNKNOWN)
        return with_inputs(batch, inputs)
