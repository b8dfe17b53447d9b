"""What mixtures of two rows have in common: who is mixed with whom, how much, and what becomes of the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from polytask.data.augment.base import as_rows, refuse_pairs
from polytask.data.batch import Batch
from polytask.tasks import Task


def check_mixable(name: str, tasks: Sequence[Task]) -> None:
    """Checks that a mixture of two rows has a meaning for these tasks.

    Raises:
        ValueError: a task that compares rows, or whose target is a set of places.
    """
    refuse_pairs(name, tasks)
    for task in tasks:
        if task.spatial not in (None, "mask"):
            raise ValueError(
                f"augmentation {name}: the target of task {task.name!r} ({task.kind}) is made of places in its row "
                f"({task.spatial}), which a mixture of two rows does not have; leave the augmentation or the task out"
            )


def drawn_shares(num_rows: int, alpha: float, generator: torch.Generator) -> Tensor:
    """λ a row, float64 `[rows]`: λ ~ Beta(alpha, alpha)."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).beta(alpha, alpha, num_rows))


def is_batch_chosen(batch: Batch, probability: float, generator: torch.Generator) -> bool:
    """Whether this batch is mixed: never one that is mixed already, so that of several mixtures one is drawn."""
    drawn = float(torch.rand((), generator=generator))
    return drawn < probability and batch.num_rows > 1 and batch.partner is None


def with_partner(
    batch: Batch, inputs: dict[str, Tensor], order: Tensor, share: Tensor, placed: Mapping[str, Tensor]
) -> Batch:
    """The mixed batch: own labels count λ, those of the other row 1 − λ, missing ones of either not at all.

    Args:
        batch: before it was mixed.
        inputs: mixed.
        order: the other row of each, int64 `[batch]` on the CPU.
        share: λ, `[batch]`: how much of each row is its own.
        placed: tasks whose target is a mask, mixed pixel by pixel -> where a pixel is the other row's.
    """
    other = {
        kind: {name: values.index_select(0, order.to(values.device)) for name, values in getattr(batch, kind).items()}
        for kind in ("targets", "present", "weight")
    }
    targets, present = dict(batch.targets), dict(batch.present)
    own, others = dict(batch.weight), dict(other["weight"])
    for name, weight in batch.weight.items():
        if name in placed:
            pasted = placed[name]
            targets[name] = torch.where(pasted, other["targets"][name], targets[name])
            present[name] = torch.where(pasted, other["present"][name], present[name])
            own[name] = torch.where(pasted, others[name], weight)
            other["present"][name] = torch.zeros_like(other["present"][name])
            others[name] = torch.zeros_like(weight)
            continue
        lam = as_rows(share.to(weight.dtype), weight)
        own[name], others[name] = weight * lam, others[name] * (1 - lam)
    partner = replace(batch, inputs=inputs, targets=other["targets"], present=other["present"], weight=others)
    return replace(batch, inputs=inputs, targets=targets, present=present, weight=own, partner=partner)
