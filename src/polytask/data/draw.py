"""Rows dealt out: at random and stratified, or the largest groups first; whole groups and entities at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from polytask.data.entities import NONE, Entities
from polytask.data.split_settings import SplitSettings
from polytask.data.stratify import assign, fill_empty, labels_of, side_by_side
from polytask.data.table import Table
from polytask.tasks import Task


@dataclass(frozen=True)
class Draw:
    """The rows of one table that are to be dealt out.

    Attributes:
        table: of the rows.
        tasks: whose targets are stratified.
        rows: positions in the table.
        settings: how: by groups, stratified, by which seed.
        shares: part -> its share of the rows, with sum 1.
    """

    table: Table
    tasks: Sequence[Task]
    rows: np.ndarray
    settings: SplitSettings
    shares: Mapping[int, float]


def draw_all(draws: Mapping[str, Draw], entities: Entities, turn: Sequence[int] = ()) -> dict[str, np.ndarray]:
    """The part of every row that is drawn, by table.

    Tables whose rows belong together are drawn in one go where their settings are the same, else one after the other:
    a unit that has a side takes it along.

    Args:
        draws: table -> its rows.
        entities: which rows stay together, and the sides they have; it takes down those that are drawn.
        turn: numbers of the draw, beside the seed.
    """
    found: dict[str, np.ndarray] = {}
    for names in _batches(draws, entities):
        seed = [draws[names[0]].settings.seed, *turn]
        generator = np.random.default_rng(seed if turn else seed[0])
        parts = _draw([draws[name] for name in names], names, entities, generator)
        found |= dict(zip(names, parts, strict=True))
        for name in names:
            if name in entities.units:
                entities.put(name, draws[name].rows, found[name])
    return found


def _batches(draws: Mapping[str, Draw], entities: Entities) -> Iterator[list[str]]:
    """Tables that are drawn in one go; first those that can only have some of the parts."""
    left = [name for name in sorted(draws, key=lambda name: len(draws[name].shares)) if len(draws[name].rows)]
    while left:
        first = left[0]
        batch = [first]
        if first in entities.units:
            same = (draws[first].settings, draws[first].shares)
            alike = (name for name in left[1:] if (draws[name].settings, draws[name].shares) == same)
            batch += [name for name in alike if name in entities.units]
        left = [name for name in left if name not in batch]
        yield batch


def _draw(
    draws: Sequence[Draw], names: Sequence[str], entities: Entities, generator: np.random.Generator
) -> list[np.ndarray]:
    shares, settings = draws[0].shares, draws[0].settings
    blocks = [
        labels_of(draw.table, draw.tasks, draw.rows)
        if settings.stratify
        else np.zeros((len(draw.rows), 1), dtype=np.int64)
        for draw in draws
    ]
    borders = np.cumsum([len(block) for block in blocks])[:-1]
    part_of = np.array(list(shares))
    if names[0] not in entities.units:
        return [part_of[assign(blocks[0], None, list(shares.values()), generator)]]
    rows = list(zip(names, draws, strict=True))
    groups = pd.factorize(np.concatenate([entities.units[name][draw.rows] for name, draw in rows]))[0]
    sides = np.concatenate([entities.sides_of(name, draw.rows) for name, draw in rows])
    # A side that these tables have no share of is taken all the same, and is nobody's to fill.
    is_drawn = np.isin(sides, [NONE, *part_of])
    taken = np.full(len(sides), NONE)
    for code, part in enumerate(part_of):
        taken[sides == part] = code
    labels = side_by_side(blocks)
    parts = sides.copy()
    if settings.largest_first:
        # Rows whose unit has a side already are set aside.
        free = sides == NONE
        parts[free] = part_of[largest_first(groups[free], list(shares.values()))]
        return np.split(parts, borders)
    drawn = assign(labels[is_drawn], groups[is_drawn], list(shares.values()), generator, taken[is_drawn])
    if len(blocks) > 1:
        # All tables together have every part; each of them wants it too.
        owner = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])[is_drawn]
        _fill_each(drawn, groups[is_drawn], owner, taken[is_drawn], len(shares))
    parts[is_drawn] = part_of[drawn]
    return np.split(parts, borders)


def largest_first(groups: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The part of every row where groups go by size: the largest into the first part until its share is reached.

    Args:
        groups: of the rows, in any numbers; of one size, the group whose row comes first goes first.
        shares: of the parts, with sum 1.

    Example:
        >>> largest_first(np.array([7, 7, 7, 5, 5, 9]), [0.5, 0.34, 0.16]).tolist()
        [0, 0, 0, 1, 1, 2]
    """
    codes, levels = pd.factorize(groups)
    sizes = np.bincount(codes, minlength=len(levels))
    order = np.argsort(-sizes, kind="stable")
    # A whole number of rows is compared, so that a share that is just reached is not lost to rounding.
    borders = np.floor(np.cumsum(shares)[:-1] * len(codes) + 1e-6)
    part = np.empty(len(levels), dtype=np.int64)
    part[order] = np.searchsorted(borders, np.cumsum(sizes[order]), side="left")
    return part[codes]


def _fill_each(drawn: np.ndarray, groups: np.ndarray, owner: np.ndarray, taken: np.ndarray, num_parts: int) -> None:
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    number = {int(groups[rows[0]]): k for k, rows in enumerate(members)}
    for table in np.unique(owner):
        units = [members[number[int(group)]] for group in np.unique(groups[owner == table])]
        fill_empty(drawn, units, num_parts, [bool(taken[rows[0]] == NONE) for rows in units])
