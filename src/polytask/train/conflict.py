"""How much the tasks' gradients agree: pairwise cosines on the shared parameters, under any balancer."""

from collections.abc import Mapping
from contextlib import nullcontext
from itertools import combinations

from torch import Tensor

from polytask.gradients import Engine, Processes, Shares, cosines
from polytask.model import Model
from polytask.tasks import Task
from polytask.train.agenda import Step
from polytask.train.step import task_losses


def gradient_cosines(
    model: Model, steps: list[Step], tasks: Mapping[str, Task], processes: Processes | None = None
) -> dict[str, float]:
    """The cosine of every pair of tasks' gradients on these batches (of all processes), as `{"a|b": cosine}`.

    Taken in evaluation mode: without dropout's noise, and without touching batch norm's statistics, the random state or
    `.grad`. Empty where there is one task only or nothing is shared.
    """
    shared = [p for p in model.shared_parameters() if p.requires_grad]
    if not shared or len(tasks) < 2:
        return {}
    was_training = model.training
    model.eval()
    try:
        found: dict[str, Tensor] = {}
        present: set[str] = set()
        for step in steps:
            losses = task_losses(model, step, tasks, nullcontext, processes)[0]
            found |= losses
            present.update(losses.means if isinstance(losses, Shares) else losses)
        # In the tasks' own order, so that a pair has one name in every epoch.
        names = [name for name in tasks if name in present]
        if len(names) < 2:
            return {}
        losses = {name: found[name] for name in names if name in found}
        gradients = Engine().differentiate(
            losses, shared, with_own=False, allow_unreached=True, processes=processes, names=names
        )
        table = cosines(gradients.gramian())
    finally:
        model.train(was_training)
    return {f"{names[i]}|{names[j]}": float(table[i, j]) for i, j in combinations(range(len(names)), 2)}
