"""k folds: every labelled row is a test row once."""

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.data.parts import DROPPED, TEST, TRAIN, VALIDATION, Split
from polytask.data.split import SplitSettings, draw_parts, group_keys, labelled_rows
from polytask.data.table import Table
from polytask.errors import SchemaError
from polytask.tasks import Task

#: Tables with their tasks, and the rows of each that are drawn.
_Drawn = Mapping[str, tuple[Table, Sequence[Task], np.ndarray]]


def make_folds(
    tables: Mapping[str, tuple[Table, Sequence[Task]]], settings: SplitSettings, num_folds: int
) -> list[dict[str, Split]]:
    """Splits of every table, one a fold: in fold j the j-th of `num_folds` like parts is the test.

    Each row with a target is in the test of exactly one fold; the validation rows of a fold, `settings.validation` of
    all, are drawn from the rest. Parts are stratified over all tasks of a table at once (see `make_split`); rows
    without a target are dropped. Under `by_group` whole groups are dealt out, over all tables at once.

    Args:
        tables: name -> table and its tasks.
        settings: validation share, groups, stratification, seed; its share of test rows is not looked at.
        num_folds: two or more.

    Raises:
        SchemaError: too few or too many folds, a split by time or by a column, a validation share that leaves nothing
            to train on, an unknown column, or a part without rows.

    Example:
        >>> import pandas as pd
        >>> from polytask.tasks import Regression
        >>> table = Table(pd.DataFrame({"price": range(10)}))
        >>> folds = make_folds({"": (table, [Regression("price")])}, SplitSettings(validation=0.2), 5)
        >>> [fold[""].counts()["test"] for fold in folds], folds[0][""].counts()["validation"]
        ([2, 2, 2, 2, 2], 2)
    """
    _check(settings, num_folds)
    drawn = {name: (table, tasks, labelled_rows(table, tasks, settings)) for name, (table, tasks) in tables.items()}
    _check_enough(drawn, settings, num_folds)
    fold_of = _draw(drawn, settings, dict.fromkeys(range(num_folds), 1 / num_folds), 0)
    return [_fold(drawn, fold_of, settings, number, num_folds) for number in range(num_folds)]


def _fold(
    drawn: _Drawn, fold_of: Mapping[str, np.ndarray], settings: SplitSettings, number: int, num_folds: int
) -> dict[str, Split]:
    """The split of one fold."""
    share = settings.validation / (1 - 1 / num_folds)
    rest = {name: (table, tasks, rows[fold_of[name] != number]) for name, (table, tasks, rows) in drawn.items()}
    # A draw of its own for each fold, so that not the same rows are validation rows again and again.
    parts = _draw(rest, settings, {TRAIN: 1 - share, VALIDATION: share}, number + 1)
    splits = {}
    for name, (table, _, rows) in drawn.items():
        found = np.full(table.num_rows, DROPPED, dtype=np.int8)
        found[rows] = TEST
        found[rest[name][2]] = parts[name]
        splits[name] = Split(found)
        _check_parts(splits[name], f" of table {name!r}" if len(drawn) > 1 else "", number, settings)
    return splits


def _draw(drawn: _Drawn, settings: SplitSettings, shares: Mapping[int, float], turn: int) -> dict[str, np.ndarray]:
    """The part of every drawn row, by table: together where groups may reach over tables."""
    found: dict[str, np.ndarray] = {}
    for names in [list(drawn)] if settings.by_group else [[name] for name in drawn]:
        generator = np.random.default_rng([settings.seed, turn])
        parts = draw_parts([drawn[name] for name in names], settings, shares, generator)
        found |= dict(zip(names, parts, strict=True))
    return found


def _check(settings: SplitSettings, num_folds: int) -> None:
    if settings.by_time:
        raise SchemaError(
            f"folds: rows split by time ({settings.by_time!r}) would be trained on what comes later; "
            "take one split by time, or no by_time"
        )
    if settings.column:
        raise SchemaError(
            f"folds: the column {settings.column!r} already says which rows are for the test; "
            "take its split, or no column"
        )
    if num_folds < 2:
        raise SchemaError(f"folds={num_folds}: at least 2 folds are wanted, as 5")
    if settings.validation >= 1 - 1 / num_folds:
        raise SchemaError(
            f"folds={num_folds}: validation={settings.validation} leaves no rows to train on beside a test of "
            f"1/{num_folds} of all; take a smaller share or more folds"
        )


def _check_enough(drawn: _Drawn, settings: SplitSettings, num_folds: int) -> None:
    """Raises SchemaError for more folds than rows, or groups, of a table."""
    for name, (table, _, rows) in drawn.items():
        place = f" of table {name!r}" if len(drawn) > 1 else ""
        number, what = len(rows), "rows with a target"
        if settings.by_group:
            number, what = len(set(group_keys(table, settings.by_group, rows))), f"groups of {settings.by_group!r}"
        if number < num_folds:
            raise SchemaError(
                f"folds={num_folds}: there are {number} {what}{place}, so at most {number} folds are possible"
            )


def _check_parts(split: Split, place: str, number: int, settings: SplitSettings) -> None:
    counts = split.counts()
    empty = [part for part in ("train", "validation", "test") if not counts[part]]
    if empty:
        what = f"groups of {settings.by_group!r}" if settings.by_group else "rows"
        raise SchemaError(f"folds: in fold {number} the {empty[0]} part{place} would have no row; give it more {what}")
