"""What comes before a Run, and may serve several: the tables, their inputs, splits, preprocessing and lint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from polytask.data import (
    Cache,
    Finding,
    FittingRows,
    Preprocessor,
    Select,
    Selected,
    Split,
    Table,
    Workers,
    choose_features,
    default_inputs,
    lint,
    lint_across,
    located,
    score_features,
    skip_unreadable,
)
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment.choices import DataSettings, Experiment
from polytask.experiment.derived import derived_sources
from polytask.experiment.sources import ALL, Source
from polytask.experiment.streamed import draw_fitting, lint_drawn, of_drawn_rows, open_source, split_all


@dataclass(frozen=True)
class Given:
    """What a study makes once, for all of its Runs to share.

    Attributes:
        splits: table -> the part of every row.
        preprocessor: fitted on the training rows of the study, which may be more than this Run's.
        findings: of the lint.
        mark: says which Run of which study this is; written into `run.json`.
        fitting: by streamed table, the rows that tasks learn from.
    """

    splits: Mapping[str, Split]
    preprocessor: Preprocessor
    findings: Sequence[Finding]
    mark: str = ""
    fitting: Mapping[str, FittingRows] = field(default_factory=dict)


def load_sources(experiment: Experiment, data: Any = None) -> dict[str, Source]:
    """The tables by name, each with its tasks.

    Args:
        experiment: names the tasks, and the path where no data are given.
        data: one table for all tasks, or `{task: table}`; in any form that `Table.of` reads; or Sources as they are.

    Raises:
        ConfigError: no data, or tables for other tasks than the experiment's.
        SchemaError: a table cannot be read, or `kinds` names a column that none has.
    """
    settings = experiment.data
    found = settings.path if data is None else data
    if found is None:
        raise ConfigError("there are no data: give a table, or data.path")
    if isinstance(found, Mapping) and all(isinstance(one, Source) for one in found.values()):
        return dict(found)
    if settings.steps.is_any:
        return _readable(settings, derived_sources(experiment, found))
    if not isinstance(found, Mapping):
        table, stream = open_source(found, settings.kinds, settings)
        return _readable(settings, {ALL: Source(table, experiment.tasks, stream)})
    by_name = {task.name: task for task in experiment.tasks}
    for name in found:
        if name not in by_name:
            raise ConfigError(f"there is a table for {name!r}, which is no task; {nearest(str(name), by_name)}")
    for name in by_name:
        if name not in found:
            raise ConfigError(f"task {name!r} has no table; give one for each task, or one for all")
    tables = {name: open_source(found[name], {}, settings) for name in by_name}
    check_columns("kinds", settings.kinds, {name: table for name, (table, _) in tables.items()})
    sources = {}
    for name, (table, stream) in tables.items():
        here = {column: kind for column, kind in settings.kinds.items() if column in table.columns}
        table, stream = open_source(found[name] if stream else table, here, settings)
        sources[name] = Source(table, (by_name[name],), stream)
    return _readable(settings, sources)


def _readable(settings: DataSettings, sources: dict[str, Source]) -> dict[str, Source]:
    """The same tables; where that is asked, cells of input columns that cannot be read are missing in them."""
    if settings.unreadable == "error":
        return sources
    made = {}
    with Workers(settings.workers) as workers:
        for name, source in sources.items():
            known = [name for name in settings.inputs or source.table.columns if name in source.table.columns]
            kinds = {column: source.table.kind(column) for column in known if column not in settings.ignore}
            table, found = skip_unreadable(source.table, kinds, workers=workers)
            made[name] = replace(source, table=table, unreadable=tuple(found))
    return made


def make_given(experiment: Experiment, sources: Mapping[str, Source]) -> Given:
    """Splits the rows, lints, and fits the preprocessing on training rows.

    Raises:
        SchemaError: a column is missing or cannot be what it should be.
    """
    settings = experiment.data
    inputs = input_columns(settings, sources)
    splits = split_all({name: (s.whole, s.tasks) for name, s in sources.items()}, settings)
    own = inputs_by_table(inputs, sources)
    fitting = {
        name: draw_fitting(source.stream, source.tasks, splits[name], own[name], settings)
        for name, source in sources.items()
        if source.stream is not None
    }
    drawn = {n: Source(fitting[n].table, s.tasks) if n in fitting else s for n, s in sources.items()}
    looked_at = {**splits, **{name: rows.split_of_tasks for name, rows in fitting.items()}}
    learnt_from = {**splits, **{name: rows.split for name, rows in fitting.items()}}
    with of_drawn_rows(fitting.values()):
        findings = _in_each(drawn, looked_at, own)
        for name, rows in fitting.items():
            whole = sources[name]
            findings[name] = lint_drawn(findings[name], whole.stream, whole.tasks, splits[name], rows)
        across = _across(drawn, looked_at, own, settings.key)
        preprocessor = fit_preprocessor(settings, drawn, learnt_from, inputs)
    found = [finding for of_table in findings.values() for finding in of_table] + across
    return Given(splits=splits, findings=found, preprocessor=preprocessor, fitting=fitting)


def look_over(
    sources: Mapping[str, Source], splits: Mapping[str, Split], inputs: Sequence[str], key: str | None = None
) -> list[Finding]:
    """What the lint finds in each table, and between them."""
    own = inputs_by_table(inputs, sources)
    within = [finding for found in _in_each(sources, splits, own).values() for finding in found]
    return within + _across(sources, splits, own, key)


def _in_each(
    sources: Mapping[str, Source], splits: Mapping[str, Split], own: Mapping[str, Sequence[str]]
) -> dict[str, list[Finding]]:
    return {name: lint(s.table, s.tasks, splits[name], own[name]) for name, s in sources.items()}


def _across(
    sources: Mapping[str, Source], splits: Mapping[str, Split], own: Mapping[str, Sequence[str]], key: str | None
) -> list[Finding]:
    if len(sources) < 2:
        return []
    tables = {name: located(s.table, s.table.columns) for name, s in sources.items()}
    return lint_across(tables, splits, own, tasks={n: s.tasks for n, s in sources.items()}, key=key)


def fit_preprocessor(
    settings: DataSettings,
    sources: Mapping[str, Source],
    splits: Mapping[str, Split],
    inputs: Sequence[str],
    tasks: Sequence[str] | None = None,
) -> Preprocessor:
    """The preprocessing of these inputs, fitted on the training rows of all tables.

    Args:
        settings: of the data.
        sources: the tables.
        splits: of each.
        inputs: columns that may be read.
        tasks: names of those that say which columns are worth it, where columns are selected; all where not given.
    """
    dropped: tuple[str, ...] = ()
    if settings.preprocess.select is not None:
        found = selected(settings.preprocess.select, sources, splits, inputs, tasks)
        inputs, dropped = found.kept, found.dropped
    training, rows = _training_rows(sources, splits, list(inputs))
    # Of several tables' training rows a table is made, whose cells nobody asks for again.
    cache = Cache(settings.cache) if settings.cache is not None and len(sources) == 1 else None
    with Workers(settings.workers) as workers:
        fitted = Preprocessor.fit(training, inputs, rows, settings.preprocess, workers, cache)
    return replace(fitted, unselected=dropped, skips_unreadable=settings.unreadable == "skip")


def selected(
    settings: Select,
    sources: Mapping[str, Source],
    splits: Mapping[str, Split],
    inputs: Sequence[str],
    tasks: Sequence[str] | None = None,
) -> Selected:
    """The columns that are worth it, by the training rows of all tables; see `fit_preprocessor`.

    Raises:
        ConfigError: nothing to select by.
    """
    by_task: dict[str, dict[str, float]] = {}
    for name, source in sources.items():
        asked = [task for task in source.tasks if tasks is None or task.name in tasks]
        by_task |= score_features(source.table, asked, splits[name].rows("train"), inputs, settings)
    return choose_features(by_task, inputs, settings)


def inputs_by_table(inputs: Sequence[str], sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """Which of the inputs each table has; what it has not is missing in all of its rows."""
    return {name: [column for column in inputs if column in source.table.columns] for name, source in sources.items()}


def input_columns(settings: DataSettings, sources: Mapping[str, Source]) -> list[str]:
    """The input columns of all tables together, in the order in which they come.

    Raises:
        SchemaError: a column that no table has, a table without any, or one column of two kinds.
        ConfigError: a target, mask or weight among the inputs.
    """
    found: dict[str, str] = {}
    # A target of one table's task is no input of another's either.
    tasks = [task for source in sources.values() for task in source.tasks]
    targets = {c: f"the weight of task {task.name!r}" for task in tasks for c in task.weight_columns}
    targets |= {c: f"the mask of task {task.name!r}" for task in tasks for c in task.mask_columns}
    targets |= {column: f"the target of task {task.name!r}" for task in tasks for column in task.columns}
    check_columns("ignore", settings.ignore, {name: source.table for name, source in sources.items()})
    check_columns("inputs", settings.inputs or (), {name: source.table for name, source in sources.items()})
    for name, source in sources.items():
        known = source.table.columns
        dividing = (*settings.splitting_columns, source.table.split_column)
        ignore = [column for column in (*settings.ignore, *dividing) if column in known]
        if settings.inputs is None:
            here = default_inputs(
                source.table, tasks, ignore, settings.split, place=f"table {name!r}: " * (len(sources) > 1)
            )
        else:
            here = [column for column in settings.inputs if column in known]
        if not here:
            raise SchemaError(f"inputs: table {name!r} has none of the columns {', '.join(settings.inputs or ())}")
        for column in here:
            if column in targets:
                raise ConfigError(f"data.inputs: {column!r} is {targets[column]}; take it out")
            kind = source.table.kind(column)
            if found.setdefault(column, kind) != kind and source.table.mask(column).any():
                other = next(n for n, s in sources.items() if column in s.table.columns)
                raise SchemaError(
                    f"column {column!r} is of kind {found[column]} in table {other!r} and of kind {kind} in table "
                    f"{name!r}; say which it is: kinds={{{column!r}: {found[column]!r}}}"
                )
    return list(settings.inputs) if settings.inputs is not None else list(found)


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
    here = inputs_by_table(inputs, sources)
    frames = [located(s.table, here[name]).frame.iloc[splits[name].rows("train")] for name, s in sources.items()]
    kinds = {column: s.table.kind(column) for name, s in reversed(list(sources.items())) for column in here[name]}
    joined = pd.concat(frames, ignore_index=True)
    return Table(joined, kinds=kinds), np.arange(len(joined))
