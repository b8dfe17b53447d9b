"""Iterative stratification: parts have their share of every label, and of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import Table
from polytask.data.stratify import assign, labels_of
from polytask.tasks import Classification, Multilabel, Regression, Similarity

SHARES = [0.7, 0.15, 0.15]


def counted_through(columns):
    starts = np.cumsum([0, *[int(column.max()) + 1 for column in columns[:-1]]])
    return np.stack([column + start for column, start in zip(columns, starts, strict=True)], axis=1)


def shares_of(labels, parts):
    """Share of each part of every label, `[labels, parts]`, and rows with the label."""
    codes = np.unique(labels[labels >= 0])
    has = np.stack([(labels == code).any(axis=1) for code in codes])
    counts = np.stack([[(has_code & (parts == part)).sum() for part in range(3)] for has_code in has])
    return counts, has.sum(axis=1)


@given(st.integers(1, 6), st.integers(200, 600), st.integers(0, 1000))
def test_every_label_keeps_its_share(num_tasks, num_rows, seed):
    generator = np.random.default_rng(seed)
    columns = [generator.choice(4, num_rows, p=[0.6, 0.3, 0.08, 0.02]) for _ in range(num_tasks)]
    labels = counted_through(columns)
    parts = assign(labels, None, SHARES, np.random.default_rng(seed))
    counts, rows = shares_of(labels, parts)
    # A random split would be off by 2 sqrt(0.7 · 0.3 · rows): 10 rows and more for the frequent labels.
    assert np.abs(counts - np.outer(rows, SHARES)).max() <= 4
    assert np.abs(np.bincount(parts, minlength=3) - num_rows * np.array(SHARES)).max() <= 2


def test_it_is_far_closer_than_chance_on_many_tasks():
    generator = np.random.default_rng(0)
    labels = counted_through([generator.integers(0, 10, 3000) for _ in range(8)])
    parts = assign(labels, None, SHARES, generator)
    counts, rows = shares_of(labels, parts)
    by_chance, _ = shares_of(labels, np.random.default_rng(1).choice(3, 3000, p=SHARES))
    error, chance = (np.abs(found - np.outer(rows, SHARES)).mean() for found in (counts, by_chance))
    assert error < chance / 5


@given(st.integers(3, 12), st.integers(0, 100))
def test_no_part_is_empty_where_there_are_enough_rows(num_rows, seed):
    generator = np.random.default_rng(seed)
    labels = counted_through([generator.integers(0, 3, num_rows) for _ in range(3)])
    assert set(assign(labels, None, SHARES, generator)) == {0, 1, 2}


@given(st.integers(3, 40), st.integers(0, 100))
def test_groups_stay_together_and_fill_every_part(num_groups, seed):
    generator = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(num_groups), generator.integers(0, num_groups, 5 * num_groups)])
    labels = counted_through([generator.integers(0, 3, len(groups)) for _ in range(2)])
    parts = assign(labels, groups, SHARES, generator)
    assert all(len(set(parts[groups == group])) == 1 for group in range(num_groups))
    assert set(parts) == {0, 1, 2}


def test_groups_of_like_size_keep_the_shares():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    labels = counted_through([np.repeat(generator.integers(0, 4, 200), 5), generator.integers(0, 2, 1000)])
    counts, rows = shares_of(labels, assign(labels, groups, SHARES, generator))
    assert np.abs(counts / rows[:, None] - SHARES).max() < 0.04


def test_like_rows_are_dealt_to_exact_sizes_at_random_places():
    labels = np.zeros((1000, 1), dtype=np.int64)
    parts = assign(labels, None, SHARES, np.random.default_rng(0))
    assert np.bincount(parts).tolist() == [700, 150, 150]
    # Not the tail of a sorted file: test rows stand in each tenth.
    assert all((parts[k : k + 100] == 2).any() for k in range(0, 1000, 100))
    assert (assign(labels, None, SHARES, np.random.default_rng(1)) != parts).any()


def test_missing_cells_are_a_label_of_their_own():
    frame = pd.DataFrame(
        {
            "c": ["a", None, "b", "a"],
            "r": [1.0, None, 3.0, 4.0],
            "m": pd.Series([["x", "y"], None, [], ["x"]], dtype=object),
            "p": [1, 0, None, 1],
            "q": [None, 0, 0, 1],
            "who": ["p", "q", "r", "s"],
        }
    )
    tasks = [
        Classification("c"),
        Regression("r"),
        Multilabel("m"),
        Multilabel("pq", columns=["p", "q"]),
        Similarity("who"),
    ]
    labels = labels_of(Table(frame), tasks, np.arange(4))
    by_task = [column.tolist() for column in labels.T]
    assert by_task[0] == [1, 0, 2, 1]  # c: missing is 0
    assert by_task[1] == [4, 3, 4, 4]  # r: too few for ranges
    assert by_task[2] == [6, 5, 6, 6]  # m: whether there is a list
    assert by_task[3] == [7, -1, -1, 7]  # x is listed
    assert by_task[4] == [8, -1, -1, -1]  # y is listed
    assert by_task[5:] == [[10, 11, 9, 10], [12, 13, 13, 14]]
    assert labels.shape[1] == 7  # identities are not stratified


def test_numbers_are_cut_into_ranges_of_like_size():
    labels = labels_of(Table(pd.DataFrame({"r": np.arange(1000.0) ** 3})), [Regression("r")], np.arange(1000))
    assert np.bincount(labels[:, 0])[1:].tolist() == [100] * 10


@pytest.mark.parametrize("num_rows", [1, 2])
def test_fewer_rows_than_parts_leave_parts_empty(num_rows):
    parts = assign(np.zeros((num_rows, 1), dtype=np.int64), None, SHARES, np.random.default_rng(0))
    assert len(parts) == num_rows
