"""Iterative stratification: parts of a table that each have their share of every label of every task.

A row carries one label of each task: its class, the range its number falls into, or "missing", which is a
label like the others. The rarest label is dealt out first, each row to the part that lacks most of it. Rows
with the same labels are dealt in one go, so that time follows the number of different rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from polytask.data.cells import key_of
from polytask.data.table import Table
from polytask.data.target_cells import target_cells
from polytask.tasks import Task

#: A regression's values are cut into at most this many ranges of equal size, of at least `ROWS_PER_RANGE`
#: rows.
RANGES, ROWS_PER_RANGE = 10, 20
#: Of a task of several numbers, this many are looked at.
MOST_NUMBERS = 10
#: Of a column of lists, this many most frequent labels are looked at.
LIST_LABELS = 200
#: More classes than this are identities rather than classes: nothing to stratify.
MOST_LABELS = 10_000


def labels_of(table: Table, tasks: Sequence[Task], rows: np.ndarray) -> np.ndarray:
    """Codes `[rows, columns]`, counted through over all columns; -1: no label there."""
    columns: list[np.ndarray] = []
    for task in tasks:
        if task.kind == "similarity":
            continue
        values, present = (cells[rows] for cells in target_cells(table, task))
        try:
            columns += _columns_of(task, values, present)
        except TypeError:  # lists where none should be, or none where they should: the task will say so
            columns.append(present.reshape(len(rows), -1).any(axis=1).astype(np.int64))
    start, shifted = 0, []
    for codes in columns:
        shifted.append(np.where(codes < 0, -1, codes + start))
        start += int(codes.max(initial=-1)) + 1
    return np.stack(shifted, axis=1) if shifted else np.zeros((len(rows), 1), dtype=np.int64)


def _columns_of(task: Task, values: np.ndarray, present: np.ndarray) -> list[np.ndarray]:
    if task.kind == "vector_regression" and values.ndim == 2:
        return [_ranges(values[:, k], present[:, k]) for k in range(min(values.shape[1], MOST_NUMBERS))]
    if values.ndim == 2:
        return [_classes(values[:, k], present[:, k]) for k in range(values.shape[1])]
    if task.kind in ("multilabel", "tagging"):
        return _lists(values, present)
    return [_ranges(values, present) if task.kind == "regression" else _classes(values, present)]


def _classes(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Code 0: missing; 1, 2, … the classes."""
    codes = np.zeros(len(values), dtype=np.int64)
    if present.any():
        found, levels = pd.factorize(values[present])
        keys = pd.factorize(np.array([key_of(level) for level in levels], dtype=object))[0]
        codes[present] = 1 + (keys[found] if len(levels) < MOST_LABELS else 0)
    return codes


def _ranges(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Code 0: missing; 1, 2, … ranges between quantiles. What is no number is left to the task to refuse."""
    numbers = pd.to_numeric(pd.Series(values[present], dtype=values.dtype), errors="coerce").to_numpy(dtype=np.float64)
    codes = np.zeros(len(values), dtype=np.int64)
    finite = numbers[np.isfinite(numbers)]
    if len(finite):
        num_ranges = int(np.clip(len(finite) // ROWS_PER_RANGE, 1, RANGES))
        borders = np.unique(np.quantile(finite, np.arange(1, num_ranges) / num_ranges))
        codes[present] = 1 + np.searchsorted(borders, numbers, side="right")
    return codes


def _lists(values: np.ndarray, present: np.ndarray) -> list[np.ndarray]:
    """A column that says whether there is a list, and one for each frequent label: 0 where it is listed."""
    where = np.flatnonzero(present)
    owner = np.repeat(where, [len(values[row]) for row in where])
    flat = np.array([key_of(label) for row in where for label in values[row]], dtype=object)
    columns = [present.astype(np.int64)]
    codes, _ = pd.factorize(flat)
    for label in np.argsort(-np.bincount(codes), kind="stable")[:LIST_LABELS] if len(flat) else []:
        column = np.full(len(values), -1, dtype=np.int64)
        column[owner[codes == label]] = 0
        columns.append(column)
    return columns


def assign(
    labels: np.ndarray,
    groups: np.ndarray | None,
    shares: Sequence[float],
    generator: np.random.Generator,
    taken: np.ndarray | None = None,
) -> np.ndarray:
    """The part of every row, 0 … len(shares) − 1.

    Args:
        labels: codes `[rows, columns]`, each code in one column only; -1: no label.
        groups: codes `[rows]` of groups that stay together; None: every row on its own.
        shares: of the parts, with sum 1.
        generator: draws which of equal rows go where, and breaks ties.
        taken: of rows with groups, the part that a row's group is in already, and −1; it counts against the shares.

    Paper: Sechidis, Tsoumakas, Vlahavas: On the stratification of multi-label data, ECML PKDD 2011.

    Deviates: a row goes to the part that lacks most of *all* its labels, each relative to how many there are,
        not of its rarest label alone; where every row has a label of each of many tasks, that left the
        frequent ones to chance.
    """
    # The row itself is a label too, so that the parts get their sizes.
    labels = np.column_stack([labels, np.full(len(labels), labels.max() + 1)])
    unit = _same(labels) if groups is None else groups
    # Rows of one unit stand together, in random order within it.
    order = generator.permutation(len(labels))
    order = order[np.argsort(unit[order], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(unit[order])) + 1)
    is_full = bool((labels >= 0).all())
    dealer = _Dealer(np.bincount(labels[labels >= 0]), np.asarray(shares), generator)
    parts = np.full(len(labels), -1) if taken is None else taken.copy()
    if taken is not None:
        dealer.take(labels, parts)
    for k in _rarest_first(labels, order, members, generator):
        rows = members[k]
        if parts[rows[0]] >= 0:
            continue
        if groups is None:
            codes = labels[rows[0]]
            codes = codes if is_full else codes[codes >= 0]
            if len(rows) == 1:
                parts[rows[0]] = dealer.deal_one(codes)
            else:
                parts[rows] = np.repeat(np.arange(len(shares)), dealer.deal(codes, len(rows)))
        else:
            codes, counts = np.unique(labels[rows], return_counts=True)
            parts[rows] = dealer.deal_one(codes[codes >= 0], counts[codes >= 0])
    if len(np.unique(parts)) < len(shares):
        units = members if groups is not None else np.split(order, len(order))
        can_move = [taken is None or bool(taken[rows[0]] < 0) for rows in units]
        fill_empty(parts, units, len(shares), can_move)
    return parts


def side_by_side(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """The labels of several tables as those of one: rows below each other, each table's codes in its own columns."""
    joined = np.full((sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks)), -1)
    row = column = code = 0
    for block in blocks:
        rows, columns = slice(row, row + len(block)), slice(column, column + block.shape[1])
        joined[rows, columns] = np.where(block < 0, -1, block + code)
        row, column, code = rows.stop, columns.stop, code + int(block.max(initial=-1)) + 1
    return joined


def fill_empty(parts: np.ndarray, units: Sequence[np.ndarray], num_parts: int, can_move: Sequence[bool]) -> None:
    """Gives a part without units the smallest unit of the part with most of them: few rows need it."""
    free = np.asarray(can_move, dtype=bool)
    for part in range(num_parts if len(units) >= num_parts else 0):
        home = np.array([parts[rows[0]] for rows in units])
        counts = np.bincount(home, minlength=num_parts)
        sources = [int(k) for k in np.unique(home[free]) if counts[k] > 1]
        if part not in home and sources:
            largest = max(sources, key=lambda k: counts[k])
            smallest = min(np.flatnonzero((home == largest) & free).tolist(), key=lambda k: len(units[k]))
            parts[units[smallest]] = part


def _same(labels: np.ndarray) -> np.ndarray:
    """A number for each row, the same for rows with the same labels."""
    unit = np.zeros(len(labels), dtype=np.int64)
    for codes in labels.T:
        unit = pd.factorize(unit * (int(codes.max()) + 2) + codes + 1)[0]
    return unit


def _rarest_first(
    labels: np.ndarray, order: np.ndarray, members: list[np.ndarray], generator: np.random.Generator
) -> Iterator[int]:
    """Every unit once: those with the rarest label of the rows left, large ones first, else at random."""
    sizes = np.array([len(rows) for rows in members])
    owner = np.empty(len(labels), dtype=np.int64)
    owner[order] = np.repeat(np.arange(len(members)), sizes)
    rows, columns = np.nonzero(labels >= 0)
    codes = labels[rows, columns]
    by_code = np.argsort(codes, kind="stable")
    holders = np.split(rows[by_code], np.cumsum(np.bincount(codes))[:-1])
    left = np.bincount(codes).astype(np.float64)
    is_dealt = np.zeros(len(members), dtype=bool)
    while not is_dealt.all():
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        units = np.unique(owner[holders[label]])
        units = generator.permutation(units[~is_dealt[units]])
        is_dealt[units] = True
        dealt = labels[np.concatenate([members[k] for k in units])]
        left -= np.bincount(dealt[dealt >= 0], minlength=len(left))
        yield from units[np.argsort(-sizes[units], kind="stable")].tolist()


class _Dealer:
    """What each part still lacks of each label.

    It keeps Φ = Σ lack² / (share of the part · rows with the label) small, the sum over parts and labels.
    """

    def __init__(self, label_counts: np.ndarray, shares: np.ndarray, generator: np.random.Generator) -> None:
        self.lacks = np.outer(label_counts, shares)
        self.weights = 1.0 / np.maximum(label_counts, 1)
        self.shares = shares
        self.per_share = 1 / shares
        # Breaks ties at random; drawn beforehand, as a draw for each row would take most of the time.
        self.noise = 1e-9 * generator.random((1024, len(shares)))
        self.turn = 0

    def take(self, labels: np.ndarray, parts: np.ndarray) -> None:
        """The labels of rows that have a part already, before any is dealt; the others' part is −1."""
        rows, columns = np.nonzero((labels >= 0) & (parts >= 0)[:, None])
        np.subtract.at(self.lacks, (labels[rows, columns], parts[rows]), 1)

    def deal_one(self, codes: np.ndarray, counts: np.ndarray | None = None) -> int:
        """The part where Φ falls most; one unit (a row, or `counts` rows with each label) goes there."""
        self.turn = (self.turn + 1) % len(self.noise)
        if counts is None:
            gains = self.weights[codes] @ (self.lacks[codes] - 0.5)
        else:
            gains = (self.weights[codes] * counts) @ (self.lacks[codes] - counts[:, None] / 2)
        best = (gains * self.per_share + self.noise[self.turn]).argmax()
        self.lacks[codes, best] -= 1 if counts is None else counts
        return best

    def deal(self, codes: np.ndarray, copies: int) -> np.ndarray:
        """How many of `copies` like rows each part gets."""
        given = self._level(codes, copies)
        self.lacks[codes] -= given
        for _ in range(copies - int(given.sum())):
            given[self.deal_one(codes)] += 1
        return given

    def _level(self, codes: np.ndarray, copies: int) -> np.ndarray:
        """The least Φ, rounded down to whole rows; at most one for each part is left over."""
        weights = self.weights[codes] / self.weights[codes].sum()
        lack = weights @ self.lacks[codes]
        open_parts = np.ones(len(lack), dtype=bool)
        while True:
            level = (lack[open_parts].sum() - copies) / self.shares[open_parts].sum()
            given = np.where(open_parts, lack - level * self.shares, 0.0)
            if (given >= 0).all():
                return np.floor(given).astype(np.int64)
            open_parts &= given >= 0
