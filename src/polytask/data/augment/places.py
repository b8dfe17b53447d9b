"""Items of sequences that change places, and the tags that go with them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from polytask.data.batch import Batch
from polytask.tasks import Task


def tagged_columns(name: str, tasks: Sequence[Task], columns: Sequence[str]) -> dict[str, str]:
    """The tasks with a tag a place -> the column whose items the tags are of, if that changes.

    Args:
        name: of the augmentation.
        tasks: of the batch.
        columns: the sequence columns that change.

    Raises:
        ValueError: it cannot be told which column a task's tags are of.
    """
    found = {}
    for task in tasks:
        if task.spatial != "places":
            continue
        own = getattr(task, "tokens", None)
        if own is None and len(columns) > 1:
            raise ValueError(
                f"augmentation {name}: the tags of task {task.name!r} go with one of {', '.join(columns)} alone; "
                f"name that one: columns: [{columns[0]}]"
            )
        if own in (None, columns[0]) or own in columns:
            found[task.name] = own or columns[0]
    return found


def with_order(batch: Batch, orders: Mapping[str, Tensor], tagged: Mapping[str, str]) -> Batch:
    """The batch with each row's tags in a new order, as its items are.

    Args:
        batch: whose targets are `[batch, length, …]` for the tagged tasks.
        orders: column -> the old place of each new one, int64 `[batch, length]`.
        tagged: task -> the column whose items its tags are of.
    """
    targets, present, weight = dict(batch.targets), dict(batch.present), dict(batch.weight)
    for task, column in tagged.items():
        length = targets[task].shape[1]  # shorter than the column's, where the longest rows have no tags
        order = orders[column][:, :length].clamp_max(length - 1)
        for kind in (targets, present, weight):
            kind[task] = in_order(kind[task], order)
    partner = None if batch.partner is None else with_order(batch.partner, orders, tagged)
    return replace(batch, targets=targets, present=present, weight=weight, partner=partner)


def in_order(values: Tensor, order: Tensor) -> Tensor:
    """Items `[batch, length, …]` in this order, int64 `[batch, length]`."""
    index = order.to(values.device).reshape(*order.shape, *[1] * (values.ndim - 2))
    return torch.take_along_dim(values, index, dim=1)
