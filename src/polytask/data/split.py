"""Which rows train, which choose, which judge: made once, by one seed, for all tasks at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of, numbers_of, times_of
from polytask.data.draw import Draw, draw_all
from polytask.data.entities import Entities, check_key, group_keys, settle
from polytask.data.parts import DROPPED, PARTS, TEST, TRAIN, VALIDATION, Split, part_of_word
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table
from polytask.data.target_cells import row_has_label
from polytask.errors import SchemaError, nearest
from polytask.tasks import Task

#: Tables by name, each with the tasks whose targets it holds.
Tables = Mapping[str, tuple[Table, Sequence[Task]]]
_SAME: Mapping[str, SplitSettings] = {}


def make_split(table: Table, tasks: Sequence[Task], settings: SplitSettings) -> Split:
    """Splits the rows of a table for all tasks at once.

    Rows in which every target is missing are dropped. Random parts are stratified over all tasks together
    (iterative stratification, missing labels included), unless `settings.stratify` is off; Similarity tasks,
    whose classes are identities, are not stratified.

    Raises:
        SchemaError: an unknown column, cells that cannot split, or a part without rows; says what would work.

    Paper: Sechidis, Tsoumakas, Vlahavas: On the stratification of multi-label data, ECML PKDD 2011.
    """
    return make_splits({"": (table, tasks)}, settings)[""]


def make_splits(
    tables: Tables,
    settings: SplitSettings,
    *,
    key: str | None = None,
    own: Mapping[str, SplitSettings] = _SAME,
) -> dict[str, Split]:
    """Splits several tables, each for tasks of its own, as `make_split` splits one.

    Under `by_group` the groups are dealt out once, over all tables: none is in training in one table and in
    the test in another. Otherwise each table is split as it would be alone.

    Under `key` all rows of an entity are on one side, over all tables that have the column. What columns and times
    say comes first; a row that is drawn takes the side that its entity has by then, and counts against the shares.

    Args:
        tables: to split.
        settings: of all tables but those in `own`.
        key: the column that identifies an entity in every table that has it.
        own: table -> its own settings.

    Raises:
        SchemaError: see `make_split`; a key in no table, missing in a row, or on two sides by what columns and times
            say.

    Example:
        >>> import pandas as pd
        >>> from polytask.tasks import Regression
        >>> ids = [f"p{k}" for k in range(20)]
        >>> one = Table(pd.DataFrame({"who": ids, "score": range(20)}))
        >>> two = Table(pd.DataFrame({"who": ids[::-1], "age": range(20)}))
        >>> tables = {"one": (one, [Regression("score")]), "two": (two, [Regression("age")])}
        >>> splits = make_splits(tables, SplitSettings(), key="who")
        >>> (splits["one"].parts == splits["two"].parts[::-1]).all()
        np.True_
    """
    of = settings_by_table({name: table for name, (table, _) in tables.items()}, settings, own)
    places = {name: f"split of table {name!r}" if len(tables) > 1 else "split" for name in tables}
    parts, drawn = {}, {}
    for name, (table, tasks) in tables.items():
        parts[name], drawn[name] = _settled(table, tasks, of[name], places[name])
    rows = {name: np.union1d(np.flatnonzero(found != DROPPED), drawn[name]) for name, found in parts.items()}
    entities = entities_of(tables, rows, of, key)
    if key is not None:
        settle(entities, key, parts, drawn)
    draws = {name: Draw(*tables[name], drawn[name], of[name], _shares(of[name])) for name in tables}
    for name, found in draw_all(draws, entities).items():
        parts[name][drawn[name]] = found
    for name, (table, _) in tables.items():
        together = key if name in entities.units and key in table.columns else None
        _check_parts(parts[name], table, of[name], places[name], together)
    return {name: Split(found) for name, found in parts.items()}


def settings_by_table(
    tables: Mapping[str, Any], settings: SplitSettings, own: Mapping[str, SplitSettings]
) -> dict[str, SplitSettings]:
    """The settings of each table: where nothing is said, by the column that its reader made of the parts.

    Args:
        tables: name -> table, in memory or streamed.
        settings: of all tables but those in `own`.
        own: table -> its own settings.

    Raises:
        SchemaError: settings for a table that is not there.
    """
    for name in own:
        if name not in tables:
            raise SchemaError(f"splits: there is no table {name!r}; {nearest(name, tables)}")
    of = {name: own.get(name, settings) for name in tables}
    made = {name: getattr(table, "split_column", None) for name, table in tables.items()}  # no streamed one has it
    return {name: replace(one, column=made[name]) if one == SplitSettings() else one for name, one in of.items()}


def entities_of(
    tables: Tables, rows: Mapping[str, np.ndarray], settings: Mapping[str, SplitSettings], key: str | None
) -> Entities:
    """Which of these rows stay together: by the key, and by the groups of those that are not split by time.

    Raises:
        SchemaError: a key that no table has, or a row without a key or group.
    """
    found = {name: table for name, (table, _) in tables.items()}
    if key is not None:
        check_key(key, found)
    columns = {}
    for name, table in found.items():
        here = [key if key in table.columns else None, settings[name].by_group]
        columns[name] = list(dict.fromkeys(column for column in here if column is not None))
    return Entities(rows, found, columns)


def _shares(settings: SplitSettings) -> dict[int, float]:
    """Part -> its share of the rows that are drawn."""
    shares = {TRAIN: 1 - settings.validation, VALIDATION: settings.validation}
    if not settings.column:
        shares = {TRAIN: shares[TRAIN] - settings.test, VALIDATION: settings.validation, TEST: settings.test}
    return {part: share for part, share in shares.items() if share > 0}


def labelled_rows(table: Table, tasks: Sequence[Task], settings: SplitSettings, place: str = "split") -> np.ndarray:
    """The rows that are split: those in which some task has a target.

    Args:
        table: of the rows.
        tasks: whose targets it has.
        settings: how they are split.
        place: what an error begins with.

    Raises:
        SchemaError: an unknown column in the settings, or no target at all.
    """
    for column in (settings.by_group, settings.by_time, settings.column):
        if column is not None and column not in table.columns:
            raise SchemaError(f"{place}: there is no column {column!r}; {nearest(column, table.columns)}")
    kept = np.zeros(table.num_rows, dtype=bool)
    for task in tasks:
        kept |= row_has_label(table, task)
    rows = np.flatnonzero(kept)
    if not len(rows):
        names = ", ".join(column for task in tasks for column in task.columns)
        raise SchemaError(f"{place}: in none of the {table.num_rows} rows is a target present ({names})")
    return rows


def _settled(table: Table, tasks: Sequence[Task], settings: SplitSettings, place: str) -> tuple[np.ndarray, np.ndarray]:
    """The parts as far as time or a column says them, and the rows that are to be drawn at random."""
    rows = labelled_rows(table, tasks, settings, place)
    parts = np.full(table.num_rows, DROPPED, dtype=np.int8)
    if settings.by_time:
        parts[rows] = parts_by_time(table, settings.by_time, rows, settings)
        return parts, rows[:0]
    if settings.column:
        parts[rows] = parts_by_column(table, settings.column, rows)
        return parts, rows[:0] if VALIDATION in parts else np.flatnonzero(parts == TRAIN)
    return parts, rows


def draw_groups(table: Table, settings: SplitSettings) -> np.ndarray:
    """The parts of all rows, drawn at random by whole groups, whatever the tasks."""
    shares = {TRAIN: 1 - settings.validation - settings.test, VALIDATION: settings.validation, TEST: settings.test}
    shares = {part: share for part, share in shares.items() if share > 0}
    rows = np.arange(table.num_rows)
    draw = Draw(table, (), rows, replace(settings, stratify=False), shares)
    together = [settings.by_group] if settings.by_group else []
    return draw_all({"": draw}, Entities({"": rows}, {"": table}, {"": together}))[""]


def parts_by_time(table: Table, column: str, rows: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """The parts of these rows: the earliest train, the next validate, the last test.

    Raises:
        SchemaError: a row without a time, or a column without an order.
    """
    present = table.mask(column)[rows]
    if not present.all():
        raise SchemaError(
            f"split: the time column {column!r} is missing in {int((~present).sum())} of {len(rows)} rows, "
            f"the first in row {rows[np.argmax(~present)]}; fill it in or leave these rows out"
        )
    kind = table.kind(column)
    if kind not in ("date", "number"):
        raise SchemaError(
            f"split: the column {column!r} is of kind {kind}, which has no order in time; a date or number has"
        )
    times = (times_of if kind == "date" else numbers_of)(table, column)[rows]
    order = np.sort(times)
    # A border stands before the first row of its time, so that rows of one time are never on two sides.
    shares = (1 - settings.validation - settings.test, 1 - settings.test)
    borders = [int(np.searchsorted(order, order[min(round(s * len(order)), len(order) - 1)])) for s in shares]
    ranks = np.searchsorted(order, times)
    last = len(order) if settings.test == 0 else borders[1]
    return np.where(ranks < borders[0], TRAIN, np.where(ranks < last, VALIDATION, TEST))


def parts_by_column(table: Table, column: str, rows: np.ndarray) -> np.ndarray:
    """The parts of these rows, as a column says them.

    Raises:
        SchemaError: a row for which it says none, or another word.
    """
    keys, present = keys_of(table, column)
    if not present[rows].all():
        missing = rows[~present[rows]]
        raise SchemaError(
            f"split: the column {column!r} is missing in {len(missing)} of {len(rows)} rows, "
            f"the first in row {missing[0]}; write train, valid or test there"
        )
    parts = np.array([part_of_word(str(key)) for key in keys[rows]])
    if (parts == DROPPED).any():
        row = rows[np.argmax(parts == DROPPED)]
        raise SchemaError(
            f"split: the column {column!r} says {keys[row]!r} in row {row}; "
            "train, valid (validation, val, dev) or test is wanted"
        )
    return parts


def _check_parts(parts: np.ndarray, table: Table, settings: SplitSettings, place: str, key: str | None) -> None:
    wanted = [TRAIN, VALIDATION] + [TEST] * (settings.test > 0 and not settings.column)
    counts = Split(parts).counts()
    for name in (name for name, part in PARTS.items() if part in wanted and not counts[name]):
        kept = len(parts) - counts["dropped"]
        what, remedy = f"{kept} rows", "give at least one row for each part"
        if settings.column:
            remedy = f"let the column {settings.column!r} say {name!r} in some of its rows"
        elif settings.by_group:
            present = np.flatnonzero(parts != DROPPED)
            num_groups = len(pd.unique(group_keys(table, settings.by_group, present)))
            what += f" in {num_groups} groups of {settings.by_group!r}"
            remedy = "give at least one group for each part, a larger share, or split without by_group"
        elif settings.by_time:
            remedy = f"give more rows with different times in {settings.by_time!r} or a larger share"
        if key is not None:
            present = np.flatnonzero(parts != DROPPED)
            what += f" of {len(pd.unique(group_keys(table, key, present)))} values of the key {key!r}"
            remedy += "; all rows of a key are on one side, over all tables"
        raise SchemaError(
            f"{place}: the {name} part would have 0 of {what} "
            f"(validation={settings.validation}, test={settings.test}); {remedy}"
        )
