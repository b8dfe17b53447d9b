"""The parts of streamed rows: only the columns that decide them are read, and a byte a row is kept."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of, numbers_of, times_of
from polytask.data.entities import group_keys
from polytask.data.parts import DROPPED, PARTS, TEST, TRAIN, VALIDATION, Split, part_of_word
from polytask.data.split_settings import SplitSettings
from polytask.data.stream.streamed_table import StreamedTable
from polytask.errors import SchemaError, nearest
from polytask.tasks import Task


def split_stream(
    table: StreamedTable, tasks: Sequence[Task], settings: SplitSettings, *, key: str | None = None
) -> Split:
    """Splits streamed rows by the same settings as rows in memory, with two differences.

    Random parts are not stratified: with so many rows every part has its share of what is not rare. Under
    `by_group` a group's part is drawn from (seed, group) alone, so that the shares are met on average over groups,
    and a group has one part in every table. A key holds rows together as `by_group` does. Rows in which every target is
    missing are dropped.

    Args:
        table: to split.
        tasks: whose targets it holds.
        settings: of the split.
        key: the column that identifies an entity, where the table has it.

    Raises:
        SchemaError: settings that want all rows at once, an unknown column, cells that cannot split, or a part
            without rows; says what would work.
    """
    for column in (settings.by_group, settings.by_time, settings.column):
        if column is not None and column not in table.columns:
            raise SchemaError(f"split: there is no column {column!r}; {nearest(column, table.columns)}")
    together = together_by(table, settings, key)
    kept = np.zeros(table.num_rows, dtype=bool)
    for present in table.has_labels(tasks).values():
        kept |= present
    if not kept.any():
        names = ", ".join(column for task in tasks for column in task.columns)
        raise SchemaError(f"split: in none of the {table.num_rows} rows is a target present ({names})")
    parts = np.full(table.num_rows, DROPPED, dtype=np.int8)
    shares = {VALIDATION: settings.validation} | ({} if settings.column else {TEST: settings.test})
    if settings.by_time:
        _by_time(table, settings, kept, parts)
    elif settings.column:
        _by_column(table, settings.column, kept, parts)
        if not (parts == VALIDATION).any():
            _draw(table, settings, together, parts == TRAIN, parts, shares)
    else:
        _draw(table, settings, together, kept, parts, shares)
    _check(parts, settings, together)
    return Split(parts)


def together_by(table: StreamedTable, settings: SplitSettings, key: str | None = None) -> str | None:
    """The column whose groups of rows stay on one side; None: rows are drawn one by one, or time or a column says it.

    Raises:
        SchemaError: settings that want all rows at once.
    """
    if settings.largest_first:
        raise SchemaError(
            "split.largest_first: groups are ordered by their size, and streamed rows are not counted by group; "
            "leave it out (groups are then dealt out by chance), or train without stream"
        )
    if key is None or key not in table.columns or key == settings.by_group:
        return settings.by_group
    for name, column in (("by_group", settings.by_group), ("by_time", settings.by_time), ("column", settings.column)):
        if column is not None:
            raise SchemaError(
                f"key={key!r} and split.{name}={column!r}: each says which rows belong on one side, and of streamed "
                "rows only one can; leave one of them out, or train without stream"
            )
    return key


def _draw(
    table: StreamedTable,
    settings: SplitSettings,
    together: str | None,
    rows: np.ndarray,
    parts: np.ndarray,
    shares: Mapping[int, float],
) -> None:
    """Draws the parts of these rows (true for each), by groups where they are wanted."""
    if together:
        _by_group(table, settings.seed, together, rows, parts, shares)
        return
    count = int(rows.sum())
    drawn = np.full(count, TRAIN, dtype=np.int8)
    start = 0
    for part, share in shares.items():
        stop = start + (max(1, round(share * count)) if share else 0)
        drawn[start:stop] = part
        start = stop
    np.random.default_rng(settings.seed).shuffle(drawn)
    parts[rows] = drawn


def _by_group(
    table: StreamedTable, seed: int, column: str, rows: np.ndarray, parts: np.ndarray, shares: Mapping[int, float]
) -> None:
    # Equal text, equal hash, in every table and on every machine; the seed is the hash's key.
    key = f"{seed:016d}"[-16:]
    borders = np.cumsum(list(shares.values()))
    order = [*shares, TRAIN]
    reader = table.reader([column])
    for piece in table.pieces():
        chosen = np.flatnonzero(rows[piece.first : piece.first + piece.rows])
        if not len(chosen):
            continue
        read = table.table_of(reader.read(piece))
        try:
            groups = group_keys(read, column, chosen)
        except SchemaError as error:
            raise table.placed(piece, error) from None
        codes, levels = pd.factorize(groups)
        hashes = pd.util.hash_array(np.asarray(levels, dtype=object), hash_key=key, categorize=False)
        place = np.searchsorted(borders, hashes / 2.0**64, side="right")
        parts[piece.first + chosen] = np.array(order, dtype=np.int8)[place][codes]
    reader.close()


def _by_time(table: StreamedTable, settings: SplitSettings, kept: np.ndarray, parts: np.ndarray) -> None:
    column = settings.by_time
    assert column is not None
    kind = table.kinds[column]
    if kind not in ("date", "number"):
        raise SchemaError(
            f"split: the column {column!r} is of kind {kind}, which has no order in time; a date or number has"
        )
    times = np.empty(table.num_rows, dtype=np.float64 if kind == "number" else "datetime64[us]")
    reader = table.reader([column])
    for piece in table.pieces():
        read = table.table_of(reader.read(piece))
        here = slice(piece.first, piece.first + piece.rows)
        missing = kept[here] & ~read.mask(column)
        if missing.any():
            raise SchemaError(
                f"split: the time column {column!r} is missing, first in row {piece.first + int(missing.argmax())}; "
                "fill it in or leave these rows out"
            )
        times[here] = (numbers_of if kind == "number" else times_of)(read, column)
    reader.close()
    order = times[kept]
    # A border stands before the first row of its time, so that rows of one time are never on two sides.
    shares = (1 - settings.validation - settings.test, 1 - settings.test)
    places = [min(round(share * len(order)), len(order) - 1) for share in shares]
    order.partition(sorted(set(places)))
    first, last = order[places[0]], order[places[1]]
    is_test = (times >= last) if settings.test else np.zeros(len(times), dtype=bool)
    parts[kept] = np.where(times < first, TRAIN, np.where(is_test, TEST, VALIDATION))[kept]


def _by_column(table: StreamedTable, column: str, kept: np.ndarray, parts: np.ndarray) -> None:
    reader = table.reader([column])
    for piece in table.pieces():
        chosen = np.flatnonzero(kept[piece.first : piece.first + piece.rows])
        keys, present = keys_of(table.table_of(reader.read(piece)), column)
        if not present[chosen].all():
            row = piece.first + int(chosen[np.argmax(~present[chosen])])
            raise SchemaError(
                f"split: the column {column!r} is missing, first in row {row}; write train, valid or test there"
            )
        codes, levels = pd.factorize(keys[chosen])
        found = np.array([part_of_word(str(level)) for level in levels], dtype=np.int8)[codes]
        if (found == DROPPED).any():
            k = int(np.argmax(found == DROPPED))
            raise SchemaError(
                f"split: the column {column!r} says {levels[codes[k]]!r} in row {piece.first + int(chosen[k])}; "
                "train, valid (validation, val, dev) or test is wanted"
            )
        parts[piece.first + chosen] = found
    reader.close()


def _check(parts: np.ndarray, settings: SplitSettings, together: str | None) -> None:
    counts = Split(parts).counts()
    wanted = [TRAIN, VALIDATION] + [TEST] * (settings.test > 0 and not settings.column)
    for name in (name for name, part in PARTS.items() if part in wanted and not counts[name]):
        remedy = "give more rows, or a larger share"
        if settings.column:
            remedy = f"write it into the column {settings.column!r}"
        elif together:
            remedy = f"give more groups in {together!r}, a larger share, another seed, or split without it"
        elif settings.by_time:
            remedy = f"give more rows with different times in {settings.by_time!r} or a larger share"
        raise SchemaError(
            f"split: the {name} part would have 0 of {len(parts) - counts['dropped']} rows "
            f"(validation={settings.validation}, test={settings.test}); {remedy}"
        )
