"""Tasks that single-task models predict alike: one of them may be enough."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from polytask.data import correlation, cramers_v
from polytask.runs import RunFolder, explained
from polytask.studies.plan import Job
from polytask.tasks import Task

#: Predictions that go together above this are of one task twice.
SAME = 0.95
#: On fewer common rows nothing is said.
COMMON = 30


def redundant_predictions(folder: RunFolder, twins: Sequence[Job], tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Pairs of tasks whose single-task models say nearly the same of the same validation rows.

    |r| of predicted numbers, and of the probability of the class that sorts last, each a mean over the Runs of the
    first division of the rows; Cramér's V of the classes that the first Run predicts, where there are more than two.

    Args:
        folder: of the study.
        twins: Runs of the twins, each of one task.
        tasks: of the study.

    Returns:
        One a pair above 0.95: `tasks`, `measure`, `value`, `rows`; the strongest first.
    """
    said = {}
    for task in tasks:
        read = [_read(folder, job, task) for job in twins if job.unit.task == task.name and job.split == 0]
        frames = [found for found in read if found is not None]
        if frames:
            said[task.name] = _mean(frames)
    pairs = []
    for (one, (first, is_class)), (other, (second, is_other_class)) in combinations(said.items(), 2):
        common = first.index.intersection(second.index)
        if is_class != is_other_class or len(common) < COMMON:
            continue
        a, b = first.loc[common].to_numpy(), second.loc[common].to_numpy()
        value = cramers_v(a, b) if is_class else correlation(a.astype(float), b.astype(float))
        if value > SAME:
            measure = "Cramér's V" if is_class else "|r|"
            pairs.append({"tasks": [one, other], "measure": measure, "value": value, "rows": len(common)})
    return sorted(pairs, key=lambda pair: -pair["value"])


def _mean(frames: Sequence[tuple["pd.Series[Any]", bool]]) -> tuple["pd.Series[Any]", bool]:
    first, is_class = frames[0]
    if is_class:
        return first, True
    return pd.concat([values for values, _ in frames], axis=1).mean(axis=1), False


def _read(folder: RunFolder, job: Job, task: Task) -> tuple["pd.Series[Any]", bool] | None:
    """What a Run says of its validation rows, and whether it is classes; None for kinds that say no number or class."""
    path = folder / job.folder / "predictions" / "validation.parquet"
    if not path.exists():  # it crashed
        return None
    with explained(path):
        frame = pd.read_parquet(path).set_index(["table", "row"])
    if task.name not in frame.columns:
        return None
    if task.kind == "regression":
        return frame[task.name], False
    if task.kind not in ("classification", "ordinal"):
        return None
    columns = [column for column in frame.columns if column.startswith(f"{task.name}[")]
    if len(columns) == 2:
        return frame[columns[1]], False
    return frame[task.name], True
