"""Series that begin earlier or later."""

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
    lengths_in,
    number_sequences,
    uniform,
)
from polytask.data.augment.geometric import with_inputs
from polytask.data.augment.places import in_order, tagged_columns, with_order
from polytask.data.batch import Batch
from polytask.feature import InputSpec, mask_of
from polytask.tasks import Task


class Shift(BatchAugmentation):
    """Moves a sequence of numbers along its places; its length stays.

    Args:
        share: how far at most, as a share of the row's own length, in [0, 1].
        wrap: whether what leaves at one end comes in at the other; else 0 comes in.
        columns: the sequence columns that change; all of numbers where not given.
    """

    name: ClassVar[str] = "shift"
    use_when: ClassVar[str] = "waveforms and series without a fixed beginning"

    def __init__(self, *, share: float = 0.1, wrap: bool = False, columns: tuple[str, ...] | None = None) -> None:
        self.share = checked(self.name, "share", share)
        self.wrap, self.columns = wrap, columns

    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """See `BatchAugmentation.prepare`."""
        self._series = chosen_columns(self.name, self.columns, number_sequences(spec), "sequence-of-numbers")
        self._tagged = tagged_columns(self.name, tasks, self._series)
        if self._tagged and not self.wrap:
            task = next(iter(self._tagged))
            raise ValueError(
                f"augmentation {self.name}: task {task!r} has a label at every place, which would be lost at one end; "
                "set wrap: true"
            )

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """See `BatchAugmentation.__call__`."""
        inputs, orders = dict(batch.inputs), {}
        for name in self._series:
            values, length = inputs[name], as_rows(lengths_in(batch, name), inputs[mask_of(name)])
            drawn = uniform(len(values), -self.share, self.share, generator).to(length.device).unsqueeze(1)
            place = torch.arange(values.shape[1], device=length.device)
            source = place - (drawn * length).round().long()
            order = torch.where(place < length, source.remainder(length.clamp_min(1)), place)
            moved = in_order(values, order)
            inputs[name] = moved if self.wrap else _without(moved, (source < 0) | (source >= length))
            orders[name] = order
        tagged = with_order(batch, orders, self._tagged) if self._tagged else replace(batch)
        return with_inputs(tagged, inputs)


def _without(values: Tensor, is_new: Tensor) -> Tensor:
    """0 where nothing was before."""
    return values.masked_fill(is_new.unsqueeze(-1) if values.ndim == 3 else is_new, 0.0)
