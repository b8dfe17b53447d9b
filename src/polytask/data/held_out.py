"""Which rows of any table a split holds out: those of validation and test, found again by what they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of, numbers_of, times_of
from polytask.data.parts import DROPPED, TEST, TRAIN, VALIDATION, Split
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table, hash_rows


def held_out_parts(
    table: Table,
    own: Mapping[str, tuple[Table, Split]],
    inputs: Sequence[str],
    settings: Mapping[str, SplitSettings],
    key: str | None = None,
) -> np.ndarray:
    """The part of each row, int8 `[rows]`: training, unless the split of some table holds it out (see `parts_of`).

    Under a key, rows of an entity that any table holds out are held out, and so are those without a key.

    Args:
        table: any rows.
        own: the tables that were split, each with its split.
        inputs: the columns by which a row is known.
        settings: how each of them was split.
        key: the column that identifies an entity in every table that has it.
    """
    parts = np.full(table.num_rows, TRAIN, dtype=np.int8)
    for name, (of_own, split) in own.items():
        parts = np.maximum(parts, parts_of(table, of_own, split, inputs, settings[name]))
        if key is not None and key in table.columns and key in of_own.columns:
            parts = np.maximum(parts, _by_group(table, of_own, split, key))
    if key is not None and key in table.columns:
        parts[(parts == TRAIN) & ~keys_of(table, key)[1]] = VALIDATION
    return parts


def parts_of(table: Table, own: Table, split: Split, inputs: Sequence[str], settings: SplitSettings) -> np.ndarray:
    """The part of each row, int8 `[rows]`: training, unless the split of another table holds it out.

    Held out is a row

    - whose inputs are those of a validation or test row; in the same rows in the same order, the same rows alone,
    - of a group that is in validation or test, where groups were split,
    - that is no earlier than validation begins, or has no time, where time was split.

    Args:
        table: any rows.
        own: the table that was split.
        split: of that.
        inputs: the columns by which a row is known; where the table has not all of them that `own` has, none is.
        settings: how it was split.
    """
    parts = np.full(table.num_rows, TRAIN, dtype=np.int8)
    if settings.by_group and settings.by_group in table.columns:
        parts = np.maximum(parts, _by_group(table, own, split, settings.by_group))
    if settings.by_time and settings.by_time in table.columns:
        parts = np.maximum(parts, _by_time(table, own, split, settings.by_time))
    columns = [column for column in inputs if column in own.columns]
    if not columns or not set(columns) <= set(table.columns):
        return parts
    of_own, found = hash_rows(own, columns), hash_rows(table, columns)
    if np.array_equal(of_own, found):
        return np.where(split.parts == DROPPED, parts, split.parts)
    for part in (VALIDATION, TEST):
        parts[np.isin(found, of_own[split.rows(part)])] = part
    return parts


def _by_group(table: Table, own: Table, split: Split, column: str) -> np.ndarray:
    groups, _ = keys_of(own, column)
    keys, present = keys_of(table, column)
    parts = np.full(table.num_rows, TRAIN, dtype=np.int8)
    for part in (VALIDATION, TEST):
        parts[present & pd.Series(keys).isin(groups[split.rows(part)]).to_numpy()] = part
    return parts


def _by_time(table: Table, own: Table, split: Split, column: str) -> np.ndarray:
    read = times_of if own.kind(column) == "date" else numbers_of
    times, of_own = read(table, column), read(own, column)
    parts = np.full(table.num_rows, TRAIN, dtype=np.int8)
    for part in (VALIDATION, TEST):
        rows = split.rows(part)
        if len(rows):
            parts[(times >= of_own[rows].min()) | ~table.mask(column)] = part
    return parts
