"""k folds: every labelled row is a test row once."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from polytask.data.draw import Draw, draw_all
from polytask.data.entities import Entities
from polytask.data.parts import DROPPED, TEST, TRAIN, VALIDATION, Split
from polytask.data.split import Tables, entities_of, labelled_rows, settings_by_table
from polytask.data.split_settings import SplitSettings
from polytask.errors import SchemaError

_SAME: Mapping[str, SplitSettings] = {}


def make_folds(
    tables: Tables,
    settings: SplitSettings,
    num_folds: int,
    *,
    key: str | None = None,
    own: Mapping[str, SplitSettings] = _SAME,
) -> list[dict[str, Split]]:
    """Splits of every table, one a fold: in fold j the j-th of `num_folds` like parts is the test.

    Each row with a target is in the test of exactly one fold; the validation rows of a fold, `settings.validation` of
    all, are drawn from the rest. Parts are stratified over all tasks of a table at once (see `make_split`); rows
    without a target are dropped. Under `by_group` whole groups are dealt out, over all tables at once; under `key`
    whole entities.

    Args:
        tables: name -> table and its tasks.
        settings: validation share, groups, stratification, seed; its share of test rows is not looked at.
        num_folds: two or more.
        key: the column that identifies an entity in every table that has it.
        own: table -> settings of its own.

    Raises:
        SchemaError: too few or too many folds, a split by time or by a column, a validation share that leaves nothing
            to train on, an unknown column, or a part without rows.

    Example:
        >>> import pandas as pd
        >>> from polytask.data import Table
        >>> from polytask.tasks import Regression
        >>> table = Table(pd.DataFrame({"price": range(10)}))
        >>> folds = make_folds({"": (table, [Regression("price")])}, SplitSettings(validation=0.2), 5)
        >>> [fold[""].counts()["test"] for fold in folds], folds[0][""].counts()["validation"]
        ([2, 2, 2, 2, 2], 2)
    """
    of = settings_by_table({name: table for name, (table, _) in tables.items()}, settings, own)
    for one in of.values():
        _check(one, num_folds)
    rows = {name: labelled_rows(*tables[name], of[name]) for name in tables}
    entities = entities_of(tables, rows, of, key)
    equal = dict.fromkeys(range(num_folds), 1 / num_folds)
    drawn = {name: Draw(*tables[name], rows[name], of[name], equal) for name in tables}
    _check_enough(drawn, entities, key, num_folds)
    fold_of = draw_all(drawn, entities, [0])
    return [_fold(drawn, fold_of, entities, key, number, num_folds) for number in range(num_folds)]


def _fold(
    drawn: Mapping[str, Draw],
    fold_of: Mapping[str, np.ndarray],
    entities: Entities,
    key: str | None,
    number: int,
    num_folds: int,
) -> dict[str, Split]:
    """The split of one fold."""
    rest = {}
    for name, draw in drawn.items():
        share = draw.settings.validation / (1 - 1 / num_folds)
        rows = draw.rows[fold_of[name] != number]
        rest[name] = replace(draw, rows=rows, shares={TRAIN: 1 - share, VALIDATION: share})
    # A draw of its own for each fold, so that not the same rows are validation rows again and again.
    entities.forget()
    parts = draw_all(rest, entities, [number + 1])
    splits = {}
    for name, draw in drawn.items():
        found = np.full(draw.table.num_rows, DROPPED, dtype=np.int8)
        found[draw.rows] = TEST
        found[rest[name].rows] = parts.get(name, TRAIN)
        splits[name] = Split(found)
        place = f" of table {name!r}" if len(drawn) > 1 else ""
        _check_parts(splits[name], place, number, _units(name, draw, entities, key))
    return splits


def _check(settings: SplitSettings, num_folds: int) -> None:
    if settings.by_time:
        raise SchemaError(
            f"folds: rows split by time ({settings.by_time!r}) would be trained on what comes later; "
            "take one split by time, or no by_time"
        )
    if settings.column:
        raise SchemaError(
            f"folds: the column {settings.column!r} already says which rows are for the test; "
            "take its split, or no column; split: {seed: 1} draws anew where a reader made it"
        )
    if settings.largest_first:
        raise SchemaError(
            "folds: largest_first divides the groups in one way only; take its split, or no largest_first"
        )
    if num_folds < 2:
        raise SchemaError(f"folds={num_folds}: at least 2 folds are wanted, as 5")
    if settings.validation >= 1 - 1 / num_folds:
        raise SchemaError(
            f"folds={num_folds}: validation={settings.validation} leaves no rows to train on beside a test of "
            f"1/{num_folds} of all; take a smaller share or more folds"
        )


def _check_enough(drawn: Mapping[str, Draw], entities: Entities, key: str | None, num_folds: int) -> None:
    """Raises SchemaError for more folds than rows, groups or entities of a table."""
    for name, draw in drawn.items():
        place = f" of table {name!r}" if len(drawn) > 1 else ""
        number, what = len(draw.rows), "rows with a target"
        if name in entities.units:
            number = len(np.unique(entities.units[name][draw.rows]))
            what = _units(name, draw, entities, key)
        if number < num_folds:
            raise SchemaError(
                f"folds={num_folds}: there are {number} {what}{place}, so at most {number} folds are possible"
            )


def _units(name: str, draw: Draw, entities: Entities, key: str | None) -> str:
    """What a table is dealt out by, in words."""
    return f"groups of {(draw.settings.by_group or key)!r}" if name in entities.units else "rows"


def _check_parts(split: Split, place: str, number: int, what: str) -> None:
    counts = split.counts()
    empty = [part for part in ("train", "validation", "test") if not counts[part]]
    if empty:
        raise SchemaError(f"folds: in fold {number} the {empty[0]} part{place} would have no row; give it more {what}")
