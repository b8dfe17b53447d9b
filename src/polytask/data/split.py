"""Which rows train, which choose, which judge: made once, by one seed, for all tasks at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of, numbers_of, times_of
from polytask.data.parts import DROPPED, PARTS, TEST, TRAIN, VALIDATION, Split
from polytask.data.stratify import assign, fill_empty, labels_of, side_by_side
from polytask.data.table import Table
from polytask.data.targets import target_cells
from polytask.errors import SchemaError, nearest
from polytask.tasks import Task

#: How a split column may name them.
_WRITTEN = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How rows are split.

    Args:
        validation: share of rows for validation, > 0.
        test: share of rows for the test, >= 0; 0: no test part.
        by_group: a column whose groups of rows stay on one side.
        by_time: a column of dates or numbers: the earliest rows train, the next validate, the last test; rows
            of one time stay together.
        column: a column that says it: train, valid (validation, val, dev), test, in any case. Where it has no
            validation rows, `validation` of its training rows are drawn at random.
        stratify: whether every part gets its share of every class, label and range of values of every task.
        seed: of what is drawn. It is not the run's: runs of several seeds share one split.

    Raises:
        ValueError: a share out of range, or choices that exclude each other.
    """

    validation: float = 0.15
    test: float = 0.15
    by_group: str | None = None
    by_time: str | None = None
    column: str | None = None
    stratify: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise ValueError(
                f"split: validation={self.validation} is out of range; a share in (0, 1) is wanted, as 0.15"
            )
        if not 0 <= self.test < 1:
            raise ValueError(f"split: test={self.test} is out of range; a share in [0, 1) is wanted, as 0.15")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"split: validation={self.validation} and test={self.test} leave no rows to train on; "
                "their sum has to be below 1"
            )
        if self.by_time and (self.by_group or self.column):
            other = "by_group" if self.by_group else "column"
            raise ValueError(f"split: by_time and {other} exclude each other; choose one")


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


def make_splits(tables: Mapping[str, tuple[Table, Sequence[Task]]], settings: SplitSettings) -> dict[str, Split]:
    """Splits several tables, each for tasks of its own, as `make_split` splits one.

    Under `by_group` the groups are dealt out once, over all tables: none is in training in one table and in
    the test in another. Otherwise each table is split as it would be alone.

    Raises:
        SchemaError: see `make_split`.
    """
    shares = {TRAIN: 1 - settings.validation, VALIDATION: settings.validation}
    if not settings.column:
        shares = {TRAIN: shares[TRAIN] - settings.test, VALIDATION: settings.validation, TEST: settings.test}
    shares = {part: share for part, share in shares.items() if share > 0}
    parts, drawn = {}, {}
    for name, (table, tasks) in tables.items():
        parts[name], drawn[name] = _settled(table, tasks, settings)
    drawn = {name: rows for name, rows in drawn.items() if len(rows)}
    for names in [list(drawn)] if settings.by_group and drawn else [[name] for name in drawn]:
        generator = np.random.default_rng(settings.seed)
        found = draw_parts([(*tables[name], drawn[name]) for name in names], settings, shares, generator)
        for name, of_table in zip(names, found, strict=True):
            parts[name][drawn[name]] = of_table
    wanted = [TRAIN, VALIDATION] + [TEST] * (settings.test > 0 and not settings.column)
    for name, (table, _) in tables.items():
        _check_parts(parts[name], wanted, table, settings, f"split of table {name!r}" if len(tables) > 1 else "split")
    return {name: Split(found) for name, found in parts.items()}


def labelled_rows(table: Table, tasks: Sequence[Task], settings: SplitSettings) -> np.ndarray:
    """The rows that are split: those in which some task has a target.

    Raises:
        SchemaError: an unknown column in the settings, or no target at all.
    """
    for column in (settings.by_group, settings.by_time, settings.column):
        if column is not None and column not in table.columns:
            raise SchemaError(f"split: there is no column {column!r}; {nearest(column, table.columns)}")
    kept = np.zeros(table.num_rows, dtype=bool)
    for task in tasks:
        kept |= target_cells(table, task)[1].reshape(table.num_rows, -1).any(axis=1)
    rows = np.flatnonzero(kept)
    if not len(rows):
        names = ", ".join(column for task in tasks for column in task.columns)
        raise SchemaError(f"split: in none of the {table.num_rows} rows is a target present ({names})")
    return rows


def _settled(table: Table, tasks: Sequence[Task], settings: SplitSettings) -> tuple[np.ndarray, np.ndarray]:
    """The parts as far as time or a column says them, and the rows that are to be drawn at random."""
    rows = labelled_rows(table, tasks, settings)
    parts = np.full(table.num_rows, DROPPED, dtype=np.int8)
    if settings.by_time:
        parts[rows] = _by_time(table, settings.by_time, rows, settings)
        return parts, rows[:0]
    if settings.column:
        parts[rows] = _by_column(table, settings.column, rows)
        return parts, rows[:0] if VALIDATION in parts else np.flatnonzero(parts == TRAIN)
    return parts, rows


def draw_parts(
    tables: Sequence[tuple[Table, Sequence[Task], np.ndarray]],
    settings: SplitSettings,
    shares: Mapping[int, float],
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """The parts of these rows of each table, drawn together.

    Args:
        tables: each with its tasks and the rows that are drawn.
        settings: how: by groups, stratified.
        shares: part -> its share of the rows, with sum 1.
        generator: of the draw.
    """
    blocks = [
        labels_of(table, tasks, rows) if settings.stratify else np.zeros((len(rows), 1), dtype=np.int64)
        for table, tasks, rows in tables
    ]
    borders = np.cumsum([len(block) for block in blocks])[:-1]
    groups = None
    if settings.by_group:
        keys = [group_keys(table, settings.by_group, rows) for table, _, rows in tables]
        groups = pd.factorize(np.concatenate(keys))[0]
    drawn = assign(side_by_side(blocks), groups, list(shares.values()), generator)
    if groups is not None and len(blocks) > 1:
        # All tables together have every part; each of them wants it too.
        order = np.argsort(groups, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        for of_table in np.split(groups, borders):
            fill_empty(drawn, [members[group] for group in np.unique(of_table)], len(shares))
    return np.split(np.array(list(shares))[drawn], borders)


def group_keys(table: Table, column: str, rows: np.ndarray) -> np.ndarray:
    """The group of each of these rows, as text.

    Raises:
        SchemaError: a row without one.
    """
    keys, present = keys_of(table, column)
    missing = rows[~present[rows]]
    if len(missing):
        raise SchemaError(
            f"the group column {column!r} is missing in {len(missing)} of {len(rows)} rows, the first in "
            f"row {missing[0]}; fill it in, for instance with a group of its own for each row"
        )
    return keys[rows]


def _by_time(table: Table, column: str, rows: np.ndarray, settings: SplitSettings) -> np.ndarray:
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


def _by_column(table: Table, column: str, rows: np.ndarray) -> np.ndarray:
    keys, present = keys_of(table, column)
    if not present[rows].all():
        missing = rows[~present[rows]]
        raise SchemaError(
            f"split: the column {column!r} is missing in {len(missing)} of {len(rows)} rows, "
            f"the first in row {missing[0]}; write train, valid or test there"
        )
    parts = np.array([_WRITTEN.get(str(key).strip().lower(), DROPPED) for key in keys[rows]])
    if (parts == DROPPED).any():
        row = rows[np.argmax(parts == DROPPED)]
        raise SchemaError(
            f"split: the column {column!r} says {keys[row]!r} in row {row}; "
            "train, valid (validation, val, dev) or test is wanted"
        )
    return parts


def _check_parts(parts: np.ndarray, wanted: Sequence[int], table: Table, settings: SplitSettings, place: str) -> None:
    counts = Split(parts).counts()
    for name in (name for name, part in PARTS.items() if part in wanted and not counts[name]):
        kept = len(parts) - counts["dropped"]
        what, remedy = f"{kept} rows", "give at least one row for each part"
        if settings.column:
            remedy = f"write it into the column {settings.column!r}"
        elif settings.by_group:
            present = np.flatnonzero(parts != DROPPED)
            num_groups = len(pd.unique(group_keys(table, settings.by_group, present)))
            what += f" in {num_groups} groups of {settings.by_group!r}"
            remedy = "give at least one group for each part, a larger share, or split without by_group"
        elif settings.by_time:
            remedy = f"give more rows with different times in {settings.by_time!r} or a larger share"
        raise SchemaError(
            f"{place}: the {name} part would have 0 of {what} "
            f"(validation={settings.validation}, test={settings.test}); {remedy}"
        )
