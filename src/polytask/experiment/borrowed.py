"""Labels that a Run borrows from a training before it: found once, written into its folder, read from there."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from polytask.data import TRAIN, Preprocessor, Split, Table, label_weights, located, target_cells, with_rows
from polytask.errors import ConfigError
from polytask.experiment.choices import Experiment
from polytask.experiment.pseudo_labels import PseudoLabels
from polytask.experiment.sources import Source
from polytask.experiment.sure_labels import (
    WHAT_CAN,
    Labels,
    borrow,
    borrowing_tasks,
    count,
    fill,
    is_by_cell,
    missing_cells,
    parts_under,
    why_not,
)
from polytask.runs import Run, RunFolder
from polytask.tasks import Task

FILE = "borrowed.parquet"


def check_tasks(tasks: Sequence[Task]) -> None:
    """Refuses to borrow where no task says how sure it is.

    Raises:
        ConfigError: says what would work.
    """
    reasons = {task.name: why for task in tasks if (why := why_not(task)) is not None}
    if len(reasons) == len(tasks):
        name, why = next(iter(reasons.items()))
        raise ConfigError(
            f"data.pseudo_labels: no task can lend a label: {name!r} {why}; {WHAT_CAN}: leave pseudo_labels out, "
            "or take train.mean_teacher"
        )


def find_labels(
    run: Run, sources: Mapping[str, Source], inputs: Sequence[str], settings: PseudoLabels
) -> tuple[pd.DataFrame, dict[str, tuple[int, int]]]:
    """The labels that a finished Run lends.

    Args:
        run: the training before, on the same tables.
        sources: the tables.
        inputs: the columns that its model reads.
        settings: how sure it has to be.

    Returns:
        One line a label: the task, the `table` and `row` it is for, the `label` as JSON; and by task how many there are
        and how many are missing.
    """
    tasks = {task.name: task for task in borrowing_tasks(run, None)}
    home = {task.name: name for name, source in sources.items() for task in source.tasks}
    needs = {name: {column for column in inputs if column in s.table.columns} for name, s in sources.items()}
    lines: list[dict[str, Any]] = []
    counts = {name: np.zeros(2, dtype=int) for name in tasks}
    for name, source in sources.items():
        here = [task for task in tasks.values() if needs[home[task.name]] <= set(source.table.columns)]
        may = parts_under(run, source.table) == TRAIN
        missing = {task.name: _missing(source, task, settings) for task in here}
        for task_name, labels in borrow(run, source.table, here, may, missing, settings.confidence).items():
            counts[task_name] += (labels.is_sure.sum(), missing[task_name][may].sum())
            lines += [
                {"task": task_name, "table": name, "row": row, "label": _written(labels, row)}
                for row in np.flatnonzero(labels.rows).tolist()
            ]
    frame = pd.DataFrame(lines, columns=["task", "table", "row", "label"])
    return frame, {name: (int(number), int(of)) for name, (number, of) in counts.items()}


def without_one_round(experiment: Experiment) -> Experiment:
    """The training that lends its labels to this one."""
    settings = experiment.data.pseudo_labels
    assert settings is not None
    fewer = replace(settings, rounds=settings.rounds - 1) if settings.rounds > 1 else None
    return replace(experiment, data=replace(experiment.data, pseudo_labels=fewer))


def write_labels(
    experiment: Experiment,
    preprocessor: Preprocessor,
    sources: Mapping[str, Source],
    first: Run,
    folder: RunFolder,
    say: Callable[[str], None],
) -> None:
    """Finds the labels that a Run lends to this one, writes them down, and says how many there are."""
    settings = experiment.data.pseudo_labels
    assert settings is not None
    frame, counts = find_labels(first, sources, list(preprocessor.columns), settings)
    for task in experiment.tasks:
        if task.name in counts:
            say(f"{task.name}: {count(*counts[task.name])}")
        else:
            say(f"{task.name}: no label is borrowed: {task.kind} {why_not(task)}")
    if not len(frame):
        say(f"warning: data.pseudo_labels has no effect: no label has a probability of {settings.confidence:g}")
    folder.write_json("run.json", folder.read_json("run.json") | {"borrowed": {n: c[0] for n, c in counts.items()}})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    folder.write(FILE, buffer.getvalue())


def with_borrowed(
    experiment: Experiment, splits: Mapping[str, Split], sources: Mapping[str, Source], folder: RunFolder
) -> tuple[Mapping[str, Source], Mapping[str, Split]]:
    """The tables to train on, borrowed labels included, and which of their rows train.

    Args:
        experiment: the choices.
        splits: of the tables as they were given.
        sources: those tables.
        folder: of the Run.
    """
    if experiment.data.pseudo_labels is None:
        return sources, splits
    lines, weight = pd.read_parquet(folder / FILE), experiment.data.pseudo_labels.weight
    found, parts = {}, {}
    for name, source in sources.items():
        tasks = [task for task in source.tasks if (lines["task"] == task.name).any()]
        frames, weights = (
            [source.table.frame.copy()],
            {task.name: [_given_weights(source.table, task)] for task in tasks},
        )
        part = splits[name].parts.copy()
        for task in tasks:
            for other, here in lines[lines["task"] == task.name].groupby("table", sort=False):
                rows, labels = here["row"].to_numpy(), [json.loads(label) for label in here["label"]]
                if other == name:
                    fill(frames[0], task, _read(task, rows, labels, len(part)))
                    part[rows] = TRAIN
                    own = weights[task.name][0]
                    own[rows] = np.where(np.isnan(own[rows]), 1.0, own[rows]) * weight
                else:
                    frames.append(_taken(sources[str(other)], source, task, rows, labels))
                    for another in tasks:
                        weights[another.name].append(np.full(len(rows), weight))
        table = with_rows(source.table, frames)
        columns = {task.name: f"\0{task.name} weight" for task in tasks}  # no name that a user's column has
        for task in tasks:
            table.frame[columns[task.name]] = np.concatenate(weights[task.name])
        table = Table(table.frame, kinds=table.overrides, source=table.source)
        own_tasks = tuple(replace(t, weight=columns.get(t.name, t.weight)) for t in source.tasks)
        found[name] = replace(source, table=table, tasks=own_tasks)
        parts[name] = Split(np.append(part, np.full(table.num_rows - len(part), TRAIN, dtype=part.dtype)))
    return found, parts


def _missing(source: Source, task: Task, settings: PseudoLabels) -> np.ndarray:
    """The cells of a task that may be filled; in a table of other tasks, all."""
    if task in source.tasks:
        there = target_cells(source.table, task)[1]
    else:
        shape = (source.table.num_rows, len(task.columns))
        there = np.zeros(shape if is_by_cell(task) else shape[:1], dtype=bool)
    return missing_cells(source.table, task, there, share_weight=settings.weight == 1)


def _given_weights(table: Table, task: Task) -> np.ndarray:
    """The weights of a task's own rows, as they are given; 1 where none are."""
    return label_weights(table, task).copy() if task.weight_columns else np.ones(table.num_rows)


def _taken(other: Source, source: Source, task: Task, rows: np.ndarray, labels: list[Any]) -> pd.DataFrame:
    """Rows of another task's table as rows of this one: its inputs, and the borrowed labels alone."""
    targets = {column for own in source.tasks for column in (*own.columns, *own.weight_columns, *own.mask_columns)}
    columns = [c for c in source.table.columns if c in other.table.columns and c not in targets]
    frame = located(other.table, columns).frame.iloc[rows].reset_index(drop=True)
    for column in task.columns:
        frame[column] = pd.Series([None] * len(frame), dtype=object)
    fill(frame, task, _read(task, np.arange(len(rows)), labels, len(rows)))
    return frame


def _written(labels: Labels, row: int) -> str:
    """The labels of a row, one a column of the task; null where none is borrowed."""
    if labels.is_sure.ndim == 1:
        return json.dumps([labels.values[row]])
    cells = zip(labels.values[row], labels.is_sure[row], strict=True)
    return json.dumps([value if sure else None for value, sure in cells])


def _read(task: Task, rows: np.ndarray, labels: Sequence[Sequence[Any]], num_rows: int) -> Labels:
    """What `_written` wrote."""
    shape = (num_rows, len(task.columns) if is_by_cell(task) else 1)
    values, is_sure = np.full(shape, None, dtype=object), np.zeros(shape, dtype=bool)
    for row, cells in zip(rows.tolist(), labels, strict=True):
        for place, cell in enumerate(cells):
            values[row, place], is_sure[row, place] = cell, cell is not None
    return Labels(values, is_sure) if is_by_cell(task) else Labels(values[:, 0], is_sure[:, 0])
