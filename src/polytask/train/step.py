"""One training step: the definition of multi-task training here. Read this first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from polytask.balance import Balancer, Probe, Processes
from polytask.model import Model
from polytask.train.agenda import Step
from polytask.train.mean_teacher import NONE, Cast, Tasks, Teacher
from polytask.train.task_optimizer import TaskOptimizer


def task_losses(
    model: Model, step: Step, tasks: Tasks, autocast: Cast, processes: Processes | None = None, teacher: Teacher = NONE
) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """The mean loss of every task with a label in this step (without one it is left out, not 0), and the penalty."""
    sums: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    penalties: dict[str, list[torch.Tensor]] = {}
    for names, batch in step:
        if not (asked := teacher.asks(names, batch)):  # a teacher asks on rows without a label too
            continue
        with autocast():
            outputs = model(batch.inputs, asked)
        teacher.compare(batch, outputs)
        for name, penalty in model.penalties().items():
            penalties.setdefault(name, []).append(penalty)
        for name in (name for name in asked if name in batch.labelled):
            total, count = model.loss(tasks[name], outputs[name], batch)
            if not tasks[name].uses_pairs or count > 0:  # only pairs wait for the device to say how many there are
                sums[name] = total, count
    # Of several processes, each has a share of every mean: the sum over its rows ÷ the labels of all.
    losses = {n: total / count for n, (total, count) in sums.items()} if processes is None else processes.shares(sums)
    return losses, torch.stack([torch.stack(p).mean() for p in penalties.values()]).sum() if penalties else None


def training_step(
    losses: Mapping[str, torch.Tensor],
    shared: Sequence[torch.nn.Parameter],
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    *,
    clip: Callable[[Iterable[torch.nn.Parameter]], None] | None = None,
    probe: Probe | None = None,
    **more: Any,
) -> dict[str, float]:
    """Balances the tasks' losses, fills the gradients and moves the parameters; returns the tasks' weights."""
    optimizer.zero_grad(set_to_none=True)
    if isinstance(optimizer, TaskOptimizer):  # takes the tasks' gradients itself, in the balancer's place
        weights = optimizer.backward(losses, allow_unreached=True, penalty=more.get("penalty"))
    else:
        weights = balancer.backward(losses, shared=shared, allow_unreached=True, probe=probe, **more)
    if clip is not None:
        clip([p for group in optimizer.param_groups for p in group["params"]])
    optimizer.step()
    if probe is not None and balancer.looks_after:
        balancer.after_step(probe.losses())
    return weights
