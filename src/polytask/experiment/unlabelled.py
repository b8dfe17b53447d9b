"""Rows without labels, which a mean teacher learns from: those of no task's, and those of other tasks' tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from polytask.data import (
    DROPPED,
    TRAIN,
    Preprocessor,
    Split,
    Table,
    Targets,
    encode_targets,
    held_out_parts,
    settings_by_table,
)
from polytask.errors import ConfigError
from polytask.experiment.choices import Experiment
from polytask.experiment.sources import Source
from polytask.model import Model
from polytask.tasks import Fitted, Task


def unlabelled_name(name: str) -> str:
    """What the rows of a table in which every label is missing are called among the tables of a training."""
    return f"{name} without labels"


def tasks_served(name: str, sources: Mapping[str, Source], inputs: Sequence[str]) -> list[Task]:
    """The other tasks that rows of a table serve as rows without a label: those whose own table has no other inputs.

    Tasks whose outputs have places are none: a mean teacher does not compare them.
    """
    columns = set(sources[name].table.columns)
    others = {task: set(s.table.columns) & set(inputs) for n, s in sources.items() if n != name for task in s.tasks}
    return [task for task, needed in others.items() if needed <= columns and task.spatial is None]


def rows_without_labels(
    experiment: Experiment,
    sources: Mapping[str, Source],
    splits: Mapping[str, Split],
    preprocessor: Preprocessor,
    name: str,
) -> np.ndarray:
    """Rows of a table in which every label is missing, but those whose group, key or time the splits hold out.

    One alone is none: batch norm needs two.
    """
    data, own = experiment.data, {n: (s.table, splits[n]) for n, s in sources.items()}
    settings = settings_by_table(own, data.split, data.splits)
    parts = held_out_parts(sources[name].table, own, list(preprocessor.columns), settings, data.key)
    rows = np.flatnonzero((splits[name].parts == DROPPED) & (parts == TRAIN))
    return rows if len(rows) > 1 else rows[:0]


def no_targets(tasks: Sequence[Task], fitted: Mapping[str, Fitted], num_rows: int) -> Targets:
    """The targets of rows that have none."""
    if not tasks:
        return Targets({}, {}, {})
    empty = pd.DataFrame({column: [None] * num_rows for task in tasks for column in task.columns}, dtype=object)
    return encode_targets(Table(empty), [_without_conventions(task) for task in tasks], fitted, np.arange(num_rows))


def _without_conventions(task: Task) -> Task:
    """The task where no cell is a label: no column says whether or how much one counts."""
    return replace(task, weight=None, mask=None, where=None)


def joined(one: Targets, other: Targets) -> Targets:
    """The targets of both tasks on the same rows."""
    return Targets(one.values | other.values, one.present | other.present, one.weight | other.weight)


def check_mean_teacher(experiment: Experiment, model: Model, tables: Sequence[Sequence[str]]) -> None:
    """Refuses choices under which rows cannot serve tasks that they have no label of.

    Args:
        experiment: the choices.
        model: as they make it.
        tables: the tasks that the rows of each table serve.

    Raises:
        ConfigError: says which, and what would work.
    """
    if not experiment.agenda.constructor.balances:
        raise ConfigError(
            "train.mean_teacher: every row serves all tasks, but this agenda trains one task a step: take agenda joint"
        )
    if experiment.sharing.constructor.draws_preference:
        raise ConfigError(
            "train.mean_teacher compares two forwards, but this sharing draws a preference for each: take another one"
        )
    try:
        model.sharing.check_rows(tables, is_one_task_a_step=False)
    except ValueError as error:
        raise ConfigError(f"train.mean_teacher: every row serves all tasks whose inputs it has; {error}") from error
