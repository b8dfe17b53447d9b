"""What comes before a Run, and may serve several: the tables, their inputs, splits, preprocessing and lint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polytask.data import (
    Finding,
    Preprocessor,
    Split,
    Table,
    default_inputs,
    lint,
    lint_across,
    located,
    make_splits,
)
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment.choices import DataSettings, Experiment
from polytask.tasks import Task

#: The name of the one table that all tasks have in common.
ALL = "all"


@dataclass(frozen=True)
class Source:
    """One table and the tasks whose rows it holds."""

    table: Table
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Given:
    """What a study makes once, for all of its Runs to share.

    Attributes:
        splits: table -> the part of every row.
        preprocessor: fitted on the training rows of the study, which may be more than this Run's.
        findings: of the lint.
        mark: says which Run of which study this is; written into `run.json`.
    """

    splits: Mapping[str, Split]
    preprocessor: Preprocessor
    findings: Sequence[Finding]
    mark: str = ""


def load_sources(experiment: Experiment, data: Any = None) -> dict[str, Source]:
    """The tables by name, each with its tasks.

    Args:
        experiment: names the tasks, and the path where no data are given.
        data: one table for all tasks, or `{task: table}`; in any form that `Table.of` reads.

    Raises:
        ConfigError: no data, or tables for other tasks than the experiment's.
        SchemaError: a table cannot be read, or `kinds` names a column that none has.
    """
    settings = experiment.data
    found = settings.path if data is None else data
    if found is None:
        raise ConfigError("there are no data: give a table, or data.path")
    if not isinstance(found, Mapping):
        return {ALL: Source(Table.of(found, kinds=settings.kinds), experiment.tasks)}
    by_name = {task.name: task for task in experiment.tasks}
    for name in found:
        if name not in by_name:
            raise ConfigError(f"there is a table for {name!r}, which is no task; {nearest(str(name), by_name)}")
    for name in by_name:
        if name not in found:
            raise ConfigError(f"task {name!r} has no table; give one for each task, or one for all")
    tables = {name: Table.of(found[name]) for name in by_name}
    check_columns("kinds", settings.kinds, tables)
    for name, table in tables.items():
        here = {column: kind for column, kind in settings.kinds.items() if column in table.columns}
        tables[name] = Table.of(table, kinds=here)
    return {name: Source(tables[name], (task,)) for name, task in by_name.items()}


def make_given(experiment: Experiment, sources: Mapping[str, Source]) -> Given:
    """Splits the rows, lints, and fits the preprocessing on training rows.

    Raises:
        SchemaError: a column is missing or cannot be what it should be.
    """
    inputs = input_columns(experiment.data, sources)
    splits = make_splits({name: (s.table, s.tasks) for name, s in sources.items()}, experiment.data.split)
    return Given(
        splits=splits,
        findings=look_over(sources, splits, inputs),
        preprocessor=fit_preprocessor(experiment.data, sources, splits, inputs),
    )


def look_over(sources: Mapping[str, Source], splits: Mapping[str, Split], inputs: Sequence[str]) -> list[Finding]:
    """What the lint finds in each table, and between them."""
    findings = [f for name, s in sources.items() for f in lint(s.table, s.tasks, splits[name], inputs)]
    if len(sources) > 1:
        findings += lint_across({name: located(s.table, inputs) for name, s in sources.items()}, splits, inputs)
    return findings


def fit_preprocessor(
    settings: DataSettings, sources: Mapping[str, Source], splits: Mapping[str, Split], inputs: Sequence[str]
) -> Preprocessor:
    """The preprocessing of these inputs, fitted on the training rows of all tables."""
    training, rows = _training_rows(sources, splits, list(inputs))
    return Preprocessor.fit(training, inputs, rows, settings.preprocess)


def input_columns(settings: DataSettings, sources: Mapping[str, Source]) -> list[str]:
    """The input columns, which every table must have.

    Raises:
        SchemaError: a column that is not there, or tables whose inputs differ.
        ConfigError: a target among the inputs.
    """
    found: list[str] | None = None
    # A target of one table's task is no input of another's either.
    tasks = [task for source in sources.values() for task in source.tasks]
    targets = {column: task.name for task in tasks for column in task.columns}
    check_columns("ignore", settings.ignore, {name: source.table for name, source in sources.items()})
    for name, source in sources.items():
        known = source.table.columns
        for column in settings.inputs or ():
            if column not in known:
                raise SchemaError(f"inputs: there is no column {column!r}; {nearest(column, known)}")
        ignore = [column for column in settings.ignore if column in known]
        here = list(settings.inputs or default_inputs(source.table, tasks, ignore, settings.split))
        for column in here:
            if column in targets:
                raise ConfigError(f"data.inputs: {column!r} is the target of task {targets[column]!r}; take it out")
        if found is not None and set(here) != set(found):
            odd = sorted(set(here) ^ set(found))[0]
            raise SchemaError(
                f"the tables have different input columns: {odd!r} is not in all of them (table {name!r}); "
                "name the common ones in data.inputs, or put it into data.ignore"
            )
        found = found or here
    return found or []


def check_columns(setting: str, columns: Iterable[str], tables: Mapping[str, Table]) -> None:
    """Refuses a column that no table has; that only some have it is no mistake."""
    known = {column for table in tables.values() for column in table.columns}
    for column in columns:
        if column not in known:
            where = " in any table" if len(tables) > 1 else ""
            raise SchemaError(f"{setting}: there is no column {column!r}{where}; {nearest(column, known)}")


def _training_rows(
    sources: Mapping[str, Source], splits: Mapping[str, Split], inputs: list[str]
) -> tuple[Table, np.ndarray]:
    """One table with the training rows of all, and their row numbers in it."""
    if len(sources) == 1:
        ((name, source),) = sources.items()
        return source.table, splits[name].rows("train")
    frames = [located(s.table, inputs).frame.iloc[splits[name].rows("train")] for name, s in sources.items()]
    first = next(iter(sources.values())).table
    joined = pd.concat(frames, ignore_index=True)
    return Table(joined, kinds={name: first.kind(name) for name in inputs}), np.arange(len(joined))
