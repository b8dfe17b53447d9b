"""Batches: the rows asked for, endless passes, two integers of state."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import Stream, Targets, TensorTable
from polytask.feature import NUMBERS


def make_table(num_rows, present=None):
    rows = torch.arange(num_rows, dtype=torch.float32)
    present = torch.ones(num_rows, dtype=torch.bool) if present is None else present
    every = torch.ones(num_rows, dtype=torch.bool)
    targets = Targets(
        values={"a": rows * 2, "b": rows.unsqueeze(1).repeat(1, 2)},
        present={"a": present, "b": every.unsqueeze(1).repeat(1, 2)},
        weight={"a": present.float(), "b": torch.ones(num_rows, 2)},
    )
    return TensorTable({NUMBERS: rows.unsqueeze(1)}, targets)


def rows_of(batch):
    return batch.inputs[NUMBERS][:, 0].long().tolist()


def test_a_batch_holds_the_rows_asked_for():
    batch = make_table(10).batch(torch.tensor([7, 2]))
    assert rows_of(batch) == [7, 2]
    assert batch.targets["a"].tolist() == [14, 4]
    assert batch.targets["b"].tolist() == [[7, 7], [2, 2]]
    assert batch.labelled == ("a", "b")
    assert batch.num_rows == 2


def test_a_task_without_a_label_in_the_batch_is_not_labelled():
    table = make_table(4, present=torch.tensor([True, False, False, True]))
    assert table.batch(torch.tensor([1, 2])).labelled == ("b",)
    assert table.batch(torch.tensor([1, 3])).labelled == ("a", "b")


def test_a_label_that_weighs_nothing_does_not_count():
    table = make_table(3)
    weightless = Targets(table.targets, table.present, {**table.weight, "a": torch.tensor([0.0, 0.0, 1.0])})
    table = TensorTable(table.inputs, weightless)
    assert table.batch(torch.tensor([0, 1])).labelled == ("b",)


@given(st.integers(1, 60), st.integers(1, 70))
def test_every_row_comes_once_a_pass(num_rows, batch_size):
    stream = Stream(make_table(num_rows), batch_size, seed=0, name="t")
    for _ in range(2):
        sizes, seen = [], []
        for _ in range(stream.batches_per_pass):
            rows = rows_of(stream.next())
            sizes.append(len(rows))
            seen += rows
        assert sorted(seen) == list(range(num_rows))
        assert max(sizes) <= batch_size + (batch_size > 1)
        # Batch norm needs two rows.
        assert min(sizes) > 1 or batch_size == 1 or num_rows == 1


def test_passes_tables_and_seeds_differ_in_order():
    table = make_table(50)
    first = Stream(table, 50, seed=0, name="a")
    orders = [rows_of(first.next()), rows_of(first.next())]
    orders += [rows_of(Stream(table, 50, seed=0, name="b").next()), rows_of(Stream(table, 50, seed=1, name="a").next())]
    assert len({tuple(order) for order in orders}) == 4
    assert rows_of(Stream(table, 50, seed=0, name="a").next()) == orders[0]


def test_the_order_of_a_pass_follows_from_seed_name_and_number_alone():
    stream = Stream(make_table(8), 8, seed=3, name="t")
    stream.next()
    digest = hashlib.sha256(b"3\0t\x001").digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    assert rows_of(stream.next()) == torch.randperm(8, generator=generator).tolist()


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 20))
def test_it_goes_on_where_its_state_was_taken(num_rows, batch_size, steps):
    table = make_table(num_rows)
    stream = Stream(table, batch_size, seed=0, name="t")
    for _ in range(steps):
        stream.next()
    other = Stream(table, batch_size, seed=0, name="t")
    other.restore(stream.state())
    assert all(type(value) is int for value in stream.state().values())
    for _ in range(7):
        assert rows_of(other.next()) == rows_of(stream.next())


@pytest.mark.parametrize("state", [{}, {"pass": 0, "position": 9}, {"pass": -1, "position": 0}])
def test_a_state_of_another_walk_is_refused(state):
    with pytest.raises(ValueError, match="no state of a walk"):
        Stream(make_table(10), 4, seed=0, name="t").restore(state)


def test_wrong_sizes_are_refused():
    table = make_table(3)
    with pytest.raises(ValueError, match="one number of rows"):
        TensorTable({NUMBERS: torch.zeros(2, 1)}, Targets(table.targets, table.present, table.weight))
    with pytest.raises(ValueError, match="batch_size=0"):
        Stream(table, 0, seed=0, name="t")


def test_batches_in_order_cover_all_rows():
    table = make_table(10)
    assert [batch.num_rows for batch in table.in_order(4)] == [4, 4, 2]
    assert [row for batch in table.in_order(4) for row in rows_of(batch)] == list(range(10))
