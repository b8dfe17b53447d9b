"""A Run's own test part: read once, for all weights that are asked for, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
from torch import Tensor

from polytask.errors import RunError
from polytask.runs.evaluation import TaskScores, judge, outputs_of, predictions
from polytask.runs.opening import record_opening
from polytask.tasks import Task

if TYPE_CHECKING:
    from polytask.runs.run import Run


@dataclass
class Opened:
    """What the models of a Run say of its test rows.

    Attributes:
        outputs: weights' name -> task -> output `[rows, …]`.
        scores: task -> every metric, under the first of the weights that judges it.
    """

    outputs: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    scores: dict[str, TaskScores] = field(default_factory=dict)


def open_test(run: Run, tasks: Sequence[Task], best_for: Sequence[str], *, device: str, batch_size: int) -> Opened:
    """Reads the test rows and records when that was; predictions and scores are kept where all tasks were judged
    under the usual weights.

    Args:
        run: whose test part it is.
        tasks: to be judged.
        best_for: names of weights: the first judges all these tasks, the others the task they are called by.
        device: where it runs.
        batch_size: rows at a time.

    Raises:
        RunError: no test rows, or data that are no longer where they were.
    """
    found = Opened({name: {} for name in best_for})
    first, frames = best_for[0], []
    for name, (table, members) in run.tables().items():
        here = [task for task in tasks if task.name in members]
        rows = run.split(name).rows("test")
        if not here:
            continue
        if not len(rows):
            raise RunError(f"this Run has no test rows ({name}); give rows to evaluate, or split with a test part")
        encoded = run.encoded(table, here, rows, device=device)
        for weights in best_for:
            asked = here if weights == first else [task for task in here if task.name == weights]
            if not asked:
                continue
            outputs = outputs_of(run.model(weights, device), encoded, asked, batch_size)
            found.outputs[weights] |= outputs.values
            if weights == first:
                found.scores |= judge(here, run.blueprint.fitted, outputs, encoded)
                index = pd.Index(rows, name="row")
                frame = predictions(here, run.blueprint.fitted, outputs, probabilities=True, index=index)
                frames.append(frame.reset_index().assign(table=name))
    is_whole = len(tasks) == len(run.tasks) and first == "mean"
    record_opening(run.folder, found.scores if is_whole else None, pd.concat(frames))
    return found
