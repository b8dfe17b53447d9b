"""Tables that are made of what was read, and the tasks that each of them has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polytask.data import SPLIT, SplitSettings, Table, clean, renamed, target_cells
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment.choices import DataSettings, Experiment
from polytask.experiment.sources import ALL, Source
from polytask.tasks import Task
from polytask.wording import listed


def derived_sources(experiment: Experiment, found: Any) -> dict[str, Source]:
    """The tables that the experiment's steps make, each with its tasks.

    Args:
        experiment: whose data settings ask for a step.
        found: what is read, in any form that `Steps.tables` takes.

    Raises:
        SchemaError: it cannot be read, a step does not fit it, or a value of `by` has too few labels.
        ConfigError: a task's name with a value's is none.
    """
    settings = experiment.data
    tables = settings.steps.tables(found, settings.kinds)
    if list(tables) == [ALL]:
        return {ALL: Source(tables[ALL], experiment.tasks)}
    if settings.by is None:
        return _by_columns(experiment.tasks, tables)
    kept = _with_labels(experiment, tables, settings.by)
    return {name: Source(table, _tasks_of(experiment, table.value or "")) for name, table in kept.items()}


def as_trained(experiment: Experiment, sources: Mapping[str, Source]) -> Experiment:
    """The experiment on tables that are made already: with the tasks that are trained, and nothing left to be done."""
    if not experiment.data.steps.is_any:
        return experiment
    tasks = tuple(task for source in sources.values() for task in source.tasks)
    data = without_steps(experiment.data)
    if experiment.data.by is not None:
        made: dict[str, list[str]] = {}
        for source in sources.values():
            for name, written in written_names(source).items():
                made.setdefault(written, []).append(name)
        data = replace(data, resample=renamed(data.resample, experiment.tasks, made))
    return replace(experiment, tasks=tasks, data=data)


def without_steps(settings: DataSettings) -> DataSettings:
    """The settings of data that are made already; windows say their part themselves."""
    split = settings.split
    if settings.windows is not None:
        split = replace(split, column=SPLIT, by_time=None, by_group=None)
    return replace(settings, merge=None, on_contradiction="error", windows=None, by=None, fewest_rows=None, split=split)


def written_names(source: Source) -> dict[str, str]:
    """Task -> the written one that it was made of, in a table of one value; empty in all others."""
    if source.table.value is None:
        return {}
    return {task.name: task.name.removesuffix(f"-{clean(source.table.value)}") for task in source.tasks}


def _by_columns(tasks: Sequence[Task], tables: Mapping[str, Table]) -> dict[str, Source]:
    """Every table with the tasks whose columns it has; one without is left out, and said."""
    found = {}
    for task in tasks:
        if not any(set(task.columns) <= set(table.columns) for table in tables.values()):
            known = [column for table in tables.values() for column in table.columns]
            raise SchemaError(f"{task.place}: there is no such column in any table; {nearest(task.columns[0], known)}")
    unused = [name for name, table in tables.items() if not any(set(t.columns) <= set(table.columns) for t in tasks)]
    for name, table in tables.items():
        here = tuple(task for task in tasks if set(task.columns) <= set(table.columns))
        if here:
            note = [f"no task is of {listed(unused)}: left out"] if unused else []
            found[name] = Source(table.with_notes(*note), here)
    return found


def _tasks_of(experiment: Experiment, value: str) -> tuple[Task, ...]:
    """Every task once more for this value, as `<task>-<value>`."""
    ending = clean(value)
    made: list[Task] = []
    for task in experiment.tasks:
        column = task.name if tuple(task.columns) == (task.name,) else task.column
        try:
            made.append(
                replace(
                    task,
                    name=f"{task.name}-{ending}",
                    column=column,
                    after=tuple(f"{other}-{ending}" for other in task.after),
                )
            )
        except ValueError as error:
            raise ConfigError(f"data.by: value {value!r}: {error}") from error
    return tuple(made)


def _with_labels(experiment: Experiment, tables: Mapping[str, Table], by: str) -> dict[str, Table]:
    """The tables whose tasks all have labels enough to be split; the others are refused, or left out if asked."""
    fewest = experiment.data.fewest_rows
    wanted = max(fewest or 0, _fewest_for(experiment.data.split))
    few: dict[str, int] = {}
    for name, table in tables.items():
        labels = [target_cells(table, task)[1].reshape(table.num_rows, -1).any(axis=1) for task in experiment.tasks]
        count = min(int(present.sum()) for present in labels)
        if count < wanted:
            few[name] = count
    shown = listed([f"{tables[name].value}: {count}" for name, count in few.items()])
    if few and fewest is None:
        raise SchemaError(
            f"data.by: {len(few)} of {len(tables)} values of {by!r} have fewer than {wanted} rows with a label of "
            f"every task, too few for a row in each part ({shown}); write fewest_rows: {wanted} to leave them out"
        )
    if len(few) > len(tables) - 2:
        raise SchemaError(
            f"data.fewest_rows={fewest} leaves {len(tables) - len(few)} of {len(tables)} values of {by!r}; two at "
            f"least are wanted (labelled rows are {shown})"
        )
    if not few:
        return dict(tables)
    rows = sum(tables[name].num_rows for name in few)
    note = (
        f"{len(few)} of {len(tables)} values of {by!r} with fewer than {wanted} labelled rows are left out, "
        f"{rows:,} rows in all ({shown})"
    )
    return {name: table.with_notes(note) for name, table in tables.items() if name not in few}


def _fewest_for(split: SplitSettings) -> int:
    """Rows that a table needs to have one in each part; those that a column or time divides say it themselves."""
    if split.column or split.by_time:
        return 1
    return 3 if split.test else 2
