"""Rows of different lengths: what is padded, chosen and joined is what was put in."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from polytask.ragged import Ragged, join_padded, select_rows
from polytask.sparse_rows import SparseRows

ROWS = st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=12)


def ragged(rows):
    return Ragged.of([np.array(row, dtype=np.int64) for row in rows], np.zeros(0, dtype=np.int64))


def unpadded(values, mask):
    return [row[there].tolist() for row, there in zip(values, mask, strict=True)]


@given(ROWS, st.data())
def test_rows_come_back_as_they_were_put_in(rows, data):
    index = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))
    held, asked = ragged(rows), torch.tensor(index, dtype=torch.int64)
    values, mask = held.take(asked)
    assert unpadded(values, mask) == [rows[k] for k in index]
    assert (values[~mask] == 0).all()
    assert values.shape[1] == max([1, *(len(rows[k]) for k in index)])
    assert unpadded(*select_rows(held, asked).padded()) == [rows[k] for k in index]


def test_inner_axes_stay():
    held = Ragged.of([np.ones((2, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.float32)])
    assert held.padded()[0].shape == (2, 2, 3)
    assert held.map(lambda values: 2 * values).padded()[0].sum() == 12


def test_lengths_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="rows of 3 items in all are wanted, got 2"):
        Ragged(torch.zeros(2), torch.tensor([1, 2]))


def test_batches_of_different_widths_are_joined():
    joined = join_padded([torch.ones(1, 2, 3), torch.ones(2, 4, 3)])
    assert joined.shape == (3, 4, 3)
    assert joined[0, 2:].abs().sum() == 0
    assert join_padded([torch.ones(2), torch.zeros(1)]).tolist() == [1, 1, 0]


def test_sparse_rows_are_the_matrix():
    matrix = sparse.random(20, 7, density=0.2, random_state=0)
    rows = SparseRows(matrix)
    index = torch.tensor([3, 0, 3])
    expected = matrix.toarray()[[3, 0, 3]].astype(np.float32)
    assert (rows.take(index).numpy() == expected).all()
    assert (select_rows(rows, index).matrix.toarray() == expected).all()
