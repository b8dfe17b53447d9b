"""One training step: the definition of multi-task training here. Read this first."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from polytask.balance import Balancer
from polytask.data import Batch
from polytask.model import Model
from polytask.tasks import Task

#: One or more (task names, batch), balanced together.
Step = list[tuple[tuple[str, ...], Batch]]


def task_losses(
    model: Model,
    step: Step,
    tasks: Mapping[str, Task],
    autocast: Callable[[], AbstractContextManager[object]],
) -> dict[str, Tensor]:
    """The mean loss of every task that has a label in this step; a task without one is left out, not 0."""
    losses = {}
    for names, batch in step:
        present = [name for name in names if name in batch.labelled]
        if not present:
            continue
        with autocast():
            outputs = model(batch.inputs, present)
        for name in present:
            target, mask, weight = batch.targets[name], batch.present[name], batch.weight[name]
            total, count = tasks[name].loss(outputs[name], target, mask, weight)
            if not tasks[name].uses_pairs or count > 0:  # only pairs wait for the device to say how many there are
                losses[name] = total / count
    return losses


def training_step(
    losses: Mapping[str, Tensor],
    model: Model,
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    *,
    clip: Callable[[Iterable[torch.nn.Parameter]], None] | None = None,
    epoch: int,
    scores: Mapping[str, float],
) -> dict[str, float]:
    """Balances the tasks' losses, fills the gradients and moves the parameters; returns the tasks' weights."""
    optimizer.zero_grad(set_to_none=True)
    penalties = model.sharing.penalties()
    penalty = torch.stack(list(penalties.values())).sum() if penalties else None
    weights = balancer.backward(
        losses, shared=list(model.shared_parameters()), penalty=penalty, epoch=epoch, scores=scores
    )
    if clip is not None:
        clip(model.parameters())
    optimizer.step()
    return weights
