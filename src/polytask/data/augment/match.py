"""A small table's training rows, made as many as a large one's."""

import math
from collections.abc import Sequence

import numpy as np

from polytask.data.augment.rows import NOTHING_ALONG, Along, RowAugmentation, changed_rows, with_rows
from polytask.data.table import Table


def matching(sizes: dict[str, int], ratio: float) -> dict[str, int]:
    """How many rows each table lacks.

    Args:
        sizes: training rows of each table.
        ratio: of the largest table's rows that each is to have, in (0, 1].

    Example:
        >>> matching({"a": 1000, "b": 30, "c": 700}, 0.5)
        {'a': 0, 'b': 470, 'c': 0}
    """
    wanted = math.ceil(ratio * max(sizes.values()) - 1e-9)
    return {name: max(0, wanted - size) for name, size in sizes.items()}


def with_more_rows(
    table: Table,
    num_rows: int,
    augmentations: Sequence[RowAugmentation],
    generator: np.random.Generator,
    *,
    inputs: Sequence[str],
    along: Along = NOTHING_ALONG,
) -> Table:
    """A table of training rows with more of them below: changed copies where something makes them, else the same rows.

    Every row is copied as often as any other, or once more; the augmentations take turns, one for each round.

    Args:
        table: of training rows only.
        num_rows: how many more.
        augmentations: that make the copies; none: rows are repeated.
        generator: to draw from.
        inputs: the columns that may change.
        along: see `Along`.
    """
    parts, rounds = [table.frame], 0
    while num_rows > 0:
        rows = generator.permutation(table.num_rows)[:num_rows]
        if augmentations:
            augmentation = augmentations[rounds % len(augmentations)]
            columns = augmentation.columns_of(table, inputs)
            augmentation.prepare(table, np.arange(table.num_rows), columns)
            parts.append(changed_rows(table, rows, augmentation, columns, generator, along))
        else:
            parts.append(table.frame.iloc[rows])
        num_rows, rounds = num_rows - len(rows), rounds + 1
    return with_rows(table, parts)
