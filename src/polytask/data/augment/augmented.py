"""Training rows that are augmented as they are walked over: neither agenda nor loop knows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from polytask.data.augment.base import BatchAugmentation
from polytask.data.batch import Batch, Examples, Walk
from polytask.data.tensor_table import generator_of


class AugmentedWalk(Walk):
    """Another walk, every batch of it changed.

    What a batch becomes follows from (seed, name, pass, position, rank of the process) alone, so that the state of the
    other walk is all there is to save, and each of several processes draws its own.

    Args:
        walk: the other one.
        augmentations: applied one after the other.
        name: of the walk.
    """

    def __init__(self, walk: Walk, augmentations: Sequence[BatchAugmentation], name: str) -> None:
        super().__init__()
        self.walk, self.augmentations, self.name = walk, tuple(augmentations), name
        self.batch_size, self.seed, self.num_rows = walk.batch_size, walk.seed, walk.num_rows

    @property
    def batches_per_pass(self) -> int:
        """See `Walk.batches_per_pass`."""
        return self.walk.batches_per_pass

    def next(self) -> Batch:
        """See `Walk.next`."""
        self.walk.part = self.part
        batch = self.walk.next()
        if not batch.num_rows:
            return batch
        changed = self._changed(batch, "augment")
        if not self.has_second_view or changed.partner is not None:  # a mixture has other rows in it the second time
            return changed
        second = self._changed(batch, "second view")
        return changed if second.partner is not None else replace(changed, second=second.inputs)

    def _changed(self, batch: Batch, purpose: str) -> Batch:
        """The batch under the draws of one purpose."""
        stands = self.walk.state()
        mark = f"{purpose}\0{self.name}\0{stands['position']}\0{self.part.rank}"
        generator = generator_of(self.seed, mark, stands["pass"])
        with torch.no_grad():
            for augmentation in self.augmentations:
                batch = augmentation(batch, generator)
        return batch

    def state(self) -> dict[str, int]:
        """See `Walk.state`."""
        return self.walk.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Walk.restore`."""
        self.walk.restore(state)


class AugmentedExamples(Examples):
    """Training rows, changed anew in every batch that is taken of them.

    Args:
        rows: in memory, decoded when they are wanted, or streamed.
        augmentations: prepared for these rows, applied one after the other.
    """

    def __init__(self, rows: Examples, augmentations: Sequence[BatchAugmentation]) -> None:
        self.rows, self.augmentations = rows, tuple(augmentations)
        self.num_rows, self.tasks = rows.num_rows, rows.tasks

    def walk(self, batch_size: int, seed: int, name: str = "", *, task: str | None = None) -> AugmentedWalk:
        """See `Examples.walk`."""
        return AugmentedWalk(self.rows.walk(batch_size, seed, name, task=task), self.augmentations, name)
