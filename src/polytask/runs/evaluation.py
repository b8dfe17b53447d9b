"""Running a model over many rows, and judging what it says: the same code for validation, test and new rows."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from polytask.data import JudgedExamples, StreamedTable, Table, target_cells
from polytask.ragged import Ragged, as_padded, join_padded
from polytask.tasks import Fitted, Task

#: Metrics of one task: every metric's value, its `skill`, its `loss`, and `rows` (labelled ones).
TaskScores = dict[str, float]


@dataclass
class Outputs:
    """What a model says of every row of a table, on the CPU, and what the losses come to.

    Attributes:
        values: task -> output `[rows, …]`; NaN behind the end of a row that is shorter than others.
        losses: task -> mean loss over labelled cells; NaN without any.
    """

    values: dict[str, Tensor]
    losses: dict[str, float]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def run_model(
    model: Callable[..., dict[str, Tensor]],
    table: JudgedExamples,
    tasks: Sequence[Task],
    *,
    batch_size: int = 4096,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Outputs:
    """Every task's output for every row, in order. Call it within `evaluating(model)`."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: at least 1 row at a time")
    names = [task.name for task in tasks]
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    sums = {name: [0.0, 0.0] for name in names}
    for batch in table.in_order(batch_size):
        with autocast():
            outputs = model(batch.inputs, names)
        for task in tasks:
            output = outputs[task.name].float()
            parts[task.name].append(_ended(output, task.lengths(batch.inputs)).cpu())
            if task.name in batch.labelled:
                total, count = task.loss(
                    output, batch.targets[task.name], batch.present[task.name], batch.weight[task.name]
                )
                sums[task.name][0] += float(total)
                sums[task.name][1] += float(count)
    losses = {name: total / count if count else math.nan for name, (total, count) in sums.items()}
    return Outputs({name: join_padded(part, math.nan) for name, part in parts.items() if part}, losses)


def _ended(output: Tensor, lengths: Tensor | None) -> Tensor:
    """The output with NaN behind each row's end."""
    if lengths is None:
        return output
    is_behind = torch.arange(output.shape[1], device=output.device) >= lengths.unsqueeze(1)
    return output.masked_fill(is_behind.unsqueeze(2), math.nan)


def outputs_of(model: nn.Module, table: JudgedExamples, tasks: Sequence[Task], batch_size: int) -> Outputs:
    """`run_model` in evaluation mode."""
    with evaluating(model):
        return run_model(model, table, tasks, batch_size=batch_size)


def predictions(
    tasks: Sequence[Task], fitted: Mapping[str, Fitted], outputs: Outputs, *, probabilities: bool, index: pd.Index
) -> pd.DataFrame:
    """What the outputs say in the user's own terms, one row an output; with class probabilities, if wanted."""
    columns: dict[str, np.ndarray] = {}
    for task in tasks:
        columns |= task.decode(outputs.values[task.name], fitted[task.name])
        if probabilities:
            columns |= task.probabilities(outputs.values[task.name], fitted[task.name])
    return pd.DataFrame(columns, index=index)


def judge(
    tasks: Sequence[Task], fitted: Mapping[str, Fitted], outputs: Outputs, table: JudgedExamples
) -> dict[str, TaskScores]:
    """Every metric of every task, with its skill against the training rows' best constant on the same rows."""
    scores = {}
    for task in tasks:
        fit = fitted[task.name]
        target, present = (as_padded(cells[task.name]).cpu() for cells in (table.targets, table.present))
        rows = int(present.any(dim=1).sum()) if present.ndim > 1 else int(present.sum())
        metric = task.primary_metric(fit)
        found: TaskScores = {m.name: math.nan for m in task.metrics_for(fit)} | {"skill": math.nan}
        if rows:
            found |= task.evaluate(outputs.values[task.name], target, present, fit)
            constant = metric.score(task.constant(fit, len(target)), target, present, fit)
            found["skill"] = task.skill(found[metric.name], constant, fit)
        scores[task.name] = found | {"loss": outputs.losses[task.name], "rows": rows}
    return scores


def left_out(table: Table | StreamedTable, tasks: Sequence[Task], encoded: JudgedExamples) -> dict[str, int]:
    """How many labels of a table are of classes that training never had: task -> count, where there are any."""
    found = {}
    for task in tasks:
        if isinstance(table, StreamedTable):
            given = table.has_labels([task])[task.name]
        else:
            _, given = target_cells(table, task)
        kept = encoded.present[task.name]
        if isinstance(kept, Ragged) or given.shape != tuple(kept.shape):
            continue
        missing = int(given.sum()) - int(kept.sum())
        if missing:
            found[task.name] = missing
    return found
