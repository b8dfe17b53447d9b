"""Tables that stay in their files: how they are opened and split, and what is fitted on some of their rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from polytask.data import (
    Finding,
    FittingRows,
    Split,
    SplitSettings,
    StreamedTable,
    StreamSettings,
    Table,
    check_key,
    draw_fitting_rows,
    is_few_labels,
    make_splits,
    settings_by_table,
    split_stream,
    together_by,
)
from polytask.errors import ConfigError, SchemaError
from polytask.experiment.choices import DataSettings
from polytask.tasks import Task

#: Tables by name, in memory or streamed, each with the tasks whose targets it holds.
Tables = Mapping[str, tuple[Table | StreamedTable, Sequence[Task]]]


def open_source(data: Any, kinds: Mapping[str, str], settings: DataSettings) -> tuple[Table, StreamedTable | None]:
    """A table that is read whole; or some rows of one that is streamed, and that one.

    Raises:
        SchemaError: it cannot be read, or is to be streamed and no Parquet.
    """
    is_place = isinstance(data, str | Path) or (
        isinstance(data, list | tuple) and all(isinstance(one, str | Path) for one in data)
    )
    if not settings.stream or not (is_place or isinstance(data, StreamedTable)):
        return settings.steps.read(data, kinds), None
    if isinstance(data, StreamedTable):
        opened = data if not kinds else StreamedTable(data.source, kinds={**data.overrides, **kinds})
    else:
        opened = StreamedTable(data, kinds=kinds)
    return opened.preview, opened


def split_all(tables: Tables, settings: DataSettings) -> dict[str, Split]:
    """Splits tables in memory and streamed ones by the same settings.

    Raises:
        ConfigError: rows that belong together over tables that deal them out differently.
        SchemaError: see `make_splits` and `split_stream`.
    """
    key, of = settings.key, settings_by_table({n: t for n, (t, _) in tables.items()}, settings.split, settings.splits)
    if key is not None:
        check_key(key, {n: t.preview if isinstance(t, StreamedTable) else t for n, (t, _) in tables.items()})
    _check_together(tables, of, key)
    found: dict[str, Split] = {}
    whole: dict[str, tuple[Table, Sequence[Task]]] = {}
    for name, (table, tasks) in tables.items():
        if isinstance(table, StreamedTable):
            found[name] = split_stream(table, tasks, of[name], key=key)
        else:
            whole[name] = table, tasks
    if whole:
        has_key = any(key in table.columns for table, _ in whole.values())
        own = {name: one for name, one in settings.splits.items() if name in whole}
        found |= make_splits(whole, settings.split, key=key if has_key else None, own=own)
    return {name: found[name] for name in tables}


def _check_together(tables: Tables, of: Mapping[str, SplitSettings], key: str | None) -> None:
    """Refuses groups, or entities of a key, that would be on two sides.

    Raises:
        ConfigError: they stand in a streamed table and in one in memory, or in streamed tables of different splits.
        SchemaError: settings that a streamed table cannot follow.
    """
    seen: dict[str, str] = {}
    for name, (table, _) in tables.items():
        column = together_by(table, of[name], key) if isinstance(table, StreamedTable) else None
        if column is None:
            continue
        what = "key" if column == key else "split.by_group"
        for other, (whole, _) in tables.items():
            if isinstance(whole, Table) and column in (of[other].by_group, *({key} & {*whole.columns})):
                raise ConfigError(
                    f"{what}: {name!r} is streamed and {other!r} is in memory; rows of one {column!r} stay on one side "
                    "of all tables only where all are streamed, or none: give all as Parquet files"
                )
        first = seen.setdefault(column, name)
        if _deals(of[first]) != _deals(of[name]):
            raise ConfigError(
                f"{what}: tables {first!r} and {name!r} hold rows of one {column!r} together and split differently; "
                "streamed tables keep them on one side where seed, validation and test are the same: make them so"
            )


def _deals(split: SplitSettings) -> tuple[int, float, float, bool]:
    """What decides the side of a group of streamed rows."""
    return split.seed, split.validation, split.test, split.column is not None


def draw_fitting(
    table: StreamedTable, tasks: Sequence[Task], split: Split, inputs: Sequence[str], settings: DataSettings
) -> FittingRows:
    """The rows of a streamed table that everything is fitted on; drawn by the split's seed, as the split is."""
    streaming = settings.streaming or StreamSettings()
    also = [settings.key] if settings.key is not None and settings.key in table.columns else []
    return draw_fitting_rows(table, tasks, split, inputs, streaming.fit_rows, settings.split.seed, also)


@contextmanager
def of_drawn_rows(fitting: Collection[FittingRows]) -> Iterator[None]:
    """What cannot be learnt from drawn rows is said with how its rows are counted."""
    try:
        yield
    except SchemaError as error:
        if not fitting:
            raise
        count = sum(rows.table.num_rows for rows in fitting)
        raise SchemaError(f"{error} (rows are counted among the {count:,} that were drawn to learn from)") from None


def lint_drawn(
    findings: Sequence[Finding],
    table: StreamedTable | None,
    tasks: Sequence[Task],
    split: Split,
    rows: FittingRows,
) -> list[Finding]:
    """What was found among drawn rows, said of them; that a task has few labels only where all rows say so."""
    if table is None or rows.is_whole:
        return list(findings)
    has_label, kept = table.has_labels(tasks), []
    where = f" (among {rows.table.num_rows:,} rows drawn of {table.num_rows:,})"
    for finding in findings:
        if finding.what != "few-labels":
            kept.append(replace(finding, text=finding.text + where))
        elif is_few_labels(int(has_label[str(finding.task)][split.parts == 0].sum())):
            kept.append(finding)
    return kept
