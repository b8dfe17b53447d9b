"""Numbers with noise."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from polytask.data.augment.base import BatchAugmentation, Scales, as_rows, checked, chosen_columns, is_chosen
from polytask.data.augment.geometric import with_inputs
from polytask.data.batch import Batch
from polytask.feature import NUMBERS, InputSpec
from polytask.tasks import Task


class Noise(BatchAugmentation):
    """Adds normal noise to the numbers and vectors of a table, as scaled for the model.

    A missing cell, and what says that it is missing, stays as it is.

    Args:
        deviation: of the noise, in units of the prepared column (about 1 is its spread), from 0.
        probability: that a row is changed, in [0, 1].
        columns: the number and vector columns that change; all where not given. Columns of 0 and 1 are numbers too.
    """

    name: ClassVar[str] = "noise"
    use_when: ClassVar[str] = "numbers are measured, and no label hangs on their last digits"

    def __init__(
        self, *, deviation: float = 0.1, probability: float = 1.0, columns: tuple[str, ...] | None = None
    ) -> None:
        self.deviation = checked(self.name, "deviation", deviation, 0, float("inf"))
        self.probability = checked(self.name, "probability", probability)
        self.columns = columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        indicators = {f"{name} is missing": name for name in (*spec.numbers, *spec.images, *spec.vectors)}
        known = [name for name in spec.numbers if name not in indicators]
        chosen = chosen_columns(self.name, self.columns, [*known, *spec.vectors], "number or vector")
        places = {name: place for place, name in enumerate(spec.numbers)}
        #: Of the block of numbers: 1 where a column changes, and which column says that its cell is missing (-1: none).
        self._changes = torch.tensor([float(name in chosen) for name in spec.numbers])
        self._indicators = torch.tensor([places.get(f"{name} is missing", -1) for name in spec.numbers])
        self._vectors = [name for name in spec.vectors if name in chosen]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        chosen = is_chosen(batch.num_rows, self.probability, generator).float() * self.deviation
        inputs = dict(batch.inputs)
        if self._changes.any():
            numbers = inputs[NUMBERS]
            noise = torch.randn(numbers.shape, generator=generator).to(numbers.device, numbers.dtype)
            indicators, changes = self._indicators.to(numbers.device), self._changes.to(numbers.device)
            is_there = (numbers[:, indicators.clamp_min(0)] == 0) | (indicators < 0)
            inputs[NUMBERS] = numbers + noise * changes * is_there * as_rows(chosen, numbers)
        for name in self._vectors:
            vectors = inputs[name]
            noise = torch.randn(vectors.shape, generator=generator).to(vectors.device, vectors.dtype)
            inputs[name] = vectors + noise * as_rows(chosen, vectors)
        return with_inputs(batch, inputs)
