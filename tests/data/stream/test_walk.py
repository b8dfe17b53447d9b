"""The walk over streamed rows: every row once a pass, in an order that two integers say, and goes on from anywhere."""

import gc
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamed_people import TASKS, make_examples, price_of

from polytask.data import Part, PieceEncoder, StreamedTable, TensorTable, encode_targets, read
from polytask.data.stream.pass_plan import BatchCuts, PassPlan
from polytask.data.stream.pieces import pieces_of
from polytask.errors import SchemaError
from polytask.feature import CATEGORIES, NUMBERS


def one_pass(walk, examples):
    return [price_of(walk.next(), examples) for _ in range(walk.batches_per_pass)]


def take(walk, batches):
    for _ in range(batches):
        walk.next()


def end(*walks):
    """Waits for what they read ahead, so that nothing runs beside the next example."""
    for walk in walks:
        walk._reading.shutdown(cancel_futures=True)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(10, 90),
    group=st.integers(1, 60),
    buffer_rows=st.integers(4, 90),
    batch_size=st.integers(1, 50),
)
def test_every_row_comes_once_a_pass(people, rows, group, buffer_rows, batch_size):
    examples = make_examples(people(rows, group), buffer_rows)
    walk = examples.walk(batch_size, seed=3, name="all")
    expected = examples.split.rows("train")
    batches = [one_pass(walk, examples) for _ in range(2)]
    for found in batches:
        assert np.array_equal(np.sort(np.concatenate(found)), expected)
        sizes = [len(batch) for batch in found]
        assert set(sizes[:-1]) <= {walk.batch_size}
        assert sizes[-1] > 1 or walk.batch_size == 1 or len(expected) == 1
    if len(expected) > 12:
        assert any(not np.array_equal(a, b) for a, b in zip(*batches, strict=True))
    end(walk)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(0, 25), buffer_rows=st.integers(5, 90))
def test_a_restored_walk_goes_on_at_the_exact_place(people, before, buffer_rows):
    path = people(90, 13)
    examples = make_examples(path, buffer_rows)
    walk = examples.walk(7, seed=1, name="t")
    for _ in range(before):
        walk.next()
    state = walk.state()
    expected = [price_of(walk.next(), examples) for _ in range(15)]
    fresh = make_examples(path, buffer_rows).walk(7, seed=1, name="t")
    fresh.restore(state)
    walk.restore(state)
    for other in (fresh, walk):
        for batch in expected:
            assert np.array_equal(price_of(other.next(), examples), batch)
    end(walk, fresh)


def test_a_restored_walk_reads_only_the_buffer_it_stood_in_and_the_next(people, monkeypatch):
    examples = make_examples(people(200, 10), buffer_rows=16)
    walk = examples.walk(5, seed=0)
    walk.restore({"pass": 1, "position": 20})
    read_rows = []
    own = type(examples).read
    monkeypatch.setattr(
        type(examples),
        "read",
        lambda s, r, spans, t: read_rows.append(sum(x.rows for x in spans)) or own(s, r, spans, t),
    )
    walk.next()
    walk._reading.shutdown()
    assert len(read_rows) <= 3
    assert max(read_rows) <= 16


@pytest.mark.parametrize("batch_size", [1, 4, 7, 64])
@pytest.mark.parametrize("size", [2, 3])
def test_processes_cover_all_rows_in_as_many_batches(people, batch_size, size):
    path = people(101, 9)
    examples = [make_examples(path, 20) for _ in range(size)]
    walks = [one.walk(batch_size, seed=5, name="all") for one in examples]
    for rank, walk in enumerate(walks):
        walk.part = Part(rank, size)
    found = []
    for _ in range(walks[0].batches_per_pass):
        parts = [walk.next() for walk in walks]
        rows = [price_of(part, one) for part, one in zip(parts, examples, strict=True)]
        assert {part.num_global_rows for part in parts} == {sum(map(len, rows))}
        assert sum(map(len, rows)) > 0
        assert all(len(part) != 1 for part in rows) or batch_size == 1
        found += rows
        assert len({tuple(walk.state().items()) for walk in walks}) == 1
    assert np.array_equal(np.sort(np.concatenate(found)), examples[0].split.rows("train"))


@given(rows=st.integers(1, 500), batch_size=st.integers(1, 80), size=st.integers(1, 6))
def test_cuts_deal_out_all_rows_and_leave_no_batch_empty(rows, batch_size, size):
    cuts = BatchCuts(rows, min(batch_size, rows))
    taken = 0
    for rank in range(size):
        first, last = cuts.rows(Part(rank, size))
        mine = [cuts.cut(batch, Part(rank, size)) for batch in range(cuts.num_batches)]
        assert [start for start, _ in mine[1:]] == [stop for _, stop in mine[:-1]]
        assert (mine[0][0], mine[-1][1]) == (0, last - first)
        taken += last - first
    assert taken == rows
    sizes = [cuts.size(batch, size) for batch in range(cuts.num_batches)]
    assert min(sizes) >= 1
    assert sum(sizes) == rows


def test_a_process_reads_its_own_row_groups_alone(people):
    examples = make_examples(people(400, 10), 1000)
    walk = examples.walk(50, seed=0)
    wanted = walk.wanted
    plans = []
    for rank in range(2):
        generator = torch.Generator().manual_seed(0)
        rows = walk.cuts.rows(Part(rank, 2))
        plans.append(PassPlan.draw(examples.pieces, wanted, generator, 1000, rows))
    groups = [{examples.pieces[span.piece].group for spans in plan.buffers for span in spans} for plan in plans]
    assert len(groups[0] & groups[1]) <= 1
    assert len(groups[0] | groups[1]) == 40


def test_rows_are_encoded_as_in_memory(people):
    path = people(150, 11)
    examples = make_examples(path, 40)
    encoder, rows = examples.encoder, examples.split.rows("train")
    table = read(path)
    whole = TensorTable(encoder.preprocessor.transform(table, rows), encode_targets(table, TASKS, encoder.fitted, rows))
    place = {int(row): k for k, row in enumerate(rows)}
    walk = examples.walk(16, seed=2)
    for _ in range(walk.batches_per_pass):
        batch = walk.next()
        same = whole.batch(torch.tensor([place[int(row)] for row in price_of(batch, examples)]))
        for key in (NUMBERS, CATEGORIES):
            assert torch.equal(batch.inputs[key], same.inputs[key])
        for task in examples.tasks:
            assert torch.equal(batch.present[task], same.present[task])
            assert torch.equal(batch.weight[task], same.weight[task])
            assert torch.equal(batch.targets[task], same.targets[task])
        assert batch.labelled == same.labelled


def test_a_task_walks_its_labelled_rows_alone(people):
    examples = make_examples(people(150, 11), 40)
    walk = examples.walk(16, 0, task="sold")
    labelled = examples.encoder.table.has_labels(TASKS)["sold"] & (examples.split.parts == 0)
    assert np.array_equal(np.sort(np.concatenate(one_pass(walk, examples))), np.flatnonzero(labelled))
    assert examples.walk(16, 0, task="price").num_rows == len(examples.split.rows("train"))


def test_slices_of_a_long_row_group_are_read_one_behind_the_other(people):
    path = people(300, 300)
    examples = make_examples(path, 50)
    assert max(piece.rows for piece in examples.pieces) <= 50
    walk = examples.walk(16, seed=0)
    assert np.array_equal(np.sort(np.concatenate(one_pass(walk, examples))), examples.split.rows("train"))
    reader = examples.encoder.reader()
    whole = pq.read_table(path, columns=["price"])
    for piece in [examples.pieces[k] for k in (3, 0, 1, 5)]:
        assert reader.read(piece)["price"].to_pylist() == whole["price"].to_pylist()[piece.first :][: piece.rows]


def test_pieces_cover_the_rows(people):
    table = make_examples(people(100, 30)).encoder.table
    for most in (7, 30, 1000):
        pieces = pieces_of(table.footers, most)
        assert [p.first for p in pieces] == np.cumsum([0, *(p.rows for p in pieces)])[:-1].tolist()
        assert sum(p.rows for p in pieces) == 100
        assert max(p.rows for p in pieces) <= most


def test_the_thread_ends_with_the_walk(people):
    def threads():
        return [t for t in threading.enumerate() if t.name.startswith("polytask-stream")]

    before = len(threads())
    walk = make_examples(people(200, 10), 16).walk(5, 0)
    walk.next()
    assert len(threads()) == before + 1
    del walk
    gc.collect()
    until = time.monotonic() + 5
    while len(threads()) > before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(threads()) <= before


def test_a_changed_file_is_named(people):
    path = people(100, 10)
    walk = make_examples(path, 10).walk(5, 0)
    walk.next()
    people(120, 10)
    with pytest.raises(SchemaError, match=r"people.parquet: the file changed while it was read: it had .* bytes"):
        take(walk, 30)


def test_a_file_written_again_with_the_same_size_is_named(people):
    path = people(100, 10)
    walk = make_examples(path, 10).walk(5, 0)
    path.write_bytes(path.read_bytes())
    with pytest.raises(SchemaError, match="it was written again, with the same size"):
        walk.next()


def test_a_broken_row_group_is_named(people):
    path = people(100, 50)
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset or (
        pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    )
    data = bytearray(path.read_bytes())
    data[start : start + 12] = b"\xff" * 12
    examples = make_examples(path, 100)
    path.write_bytes(bytes(data))
    other = StreamedTable(path)
    with pytest.raises(SchemaError, match=r"people.parquet: row group 1 is broken"):
        other.take(examples.encoder.table.columns, np.arange(100))


def test_a_cell_that_cannot_be_read_is_placed(people):
    examples = make_examples(people(60, 20), 60)
    people(60, 20, number=[0.0] * 45 + [float("inf")] + [0.0] * 14)
    table = StreamedTable(examples.encoder.table.source)
    examples.encoder = PieceEncoder(table, examples.encoder.preprocessor, TASKS, examples.encoder.fitted)
    with pytest.raises(SchemaError, match=r"row group 2 \(rows are counted in it\): column 'number', row 5: inf"):
        examples.walk(8, 0).next()


def test_bad_settings_are_refused(people):
    examples = make_examples(people())
    with pytest.raises(ValueError, match="batch_size=0"):
        examples.walk(0, 0)
    with pytest.raises(ValueError, match="is no state of a walk"):
        examples.walk(5, 0).restore({"pass": 0, "position": 1000})
