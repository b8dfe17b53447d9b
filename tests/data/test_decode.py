"""Rows that are decoded when a batch wants them: the same batches as in memory, whoever decodes."""

import gc
import io
import multiprocessing
import os
import signal
from itertools import takewhile

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.data import Part, Preprocessor, PreprocessSettings, Table, Targets, Workers, decode, encode_rows
from polytask.errors import ProcessError, SchemaError

ROWS = 37
DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (ROWS, 14, 13, 3)).astype(np.uint8)
WAVES = [DRAW.normal(size=int(n)).astype(np.float32) for n in DRAW.integers(300, 900, ROWS)]
SETTINGS = PreprocessSettings(features={"sound": {"mfcc": {"rate": 8000, "coefficients": 4}}})


def picture(pixels, kind="JPEG"):
    file = io.BytesIO()
    pytest.importorskip("PIL.Image").fromarray(pixels).save(file, kind)
    return file.getvalue()


def frame():
    cells = [None if k in (4, 9) else picture(pixels) for k, pixels in enumerate(PIXELS)]
    return pd.DataFrame(
        {
            "photo": pd.Series(cells, dtype=object),
            "sound": pd.Series(WAVES, dtype=object),
            "n": DRAW.normal(size=ROWS),
            "y": PIXELS.mean(axis=(1, 2, 3)),
        }
    )


@pytest.fixture(scope="module")
def workers():
    with Workers(2) as found:
        yield found


@pytest.fixture(scope="module")
def made():
    table = Table(frame(), kinds={"sound": "audio"})
    rows = np.array([3, 1, *range(4, ROWS)])
    preprocessor = Preprocessor.fit(table, ["photo", "sound", "n"], rows, SETTINGS)
    values = torch.arange(float(len(rows)))
    present = {"y": values > 5}
    return preprocessor, table, rows, Targets({"y": values}, present, {"y": present["y"].float()})


def same(one, other):
    assert set(one.inputs) == set(other.inputs)
    for name, block in one.inputs.items():
        assert block.dtype == other.inputs[name].dtype
        assert not len(block) or block.stride() == other.inputs[name].stride()
        assert torch.equal(block, other.inputs[name]), name
    assert torch.equal(one.targets["y"], other.targets["y"])
    assert (one.labelled, one.num_global_rows) == (other.labelled, other.num_global_rows)


def test_fitting_in_workers_is_the_same(made, workers):
    preprocessor, table, rows, _ = made
    again = Preprocessor.fit(table, ["photo", "sound", "n"], rows, SETTINGS, workers)
    for one, other in zip(preprocessor.prepared, again.prepared, strict=True):
        assert str(one) == str(other)
    assert [column.name for column in preprocessor.decoded] == ["photo", "sound"]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("task", [None, "y"])
def test_batches_are_those_in_memory(made, workers, num_workers, task):
    whole, later = encode_rows(*made), encode_rows(*made, workers=workers if num_workers else Workers())
    one, other = whole.walk(8, 5, "all", task=task), later.walk(8, 5, "all", task=task)
    assert one.batches_per_pass == other.batches_per_pass
    for _ in range(12):
        same(one.next(), other.next())
        assert one.state() == other.state()
    for one, other in zip(whole.in_order(10), later.in_order(10), strict=True):
        same(one, other)


def test_it_goes_on_where_it_was(made, workers):
    later = encode_rows(*made, workers=workers)
    walk = later.walk(8, 5)
    for _ in range(6):
        walk.next()
    state, following = walk.state(), [walk.next() for _ in range(3)]
    again = later.walk(8, 5)
    again.next()
    again.restore(state)
    for batch in following:
        same(batch, again.next())
    with pytest.raises(ValueError, match="is no state of a walk"):
        again.restore({"pass": 0, "position": 99})


def test_each_process_decodes_its_part(made, workers):
    whole, later = encode_rows(*made).walk(8, 5), encode_rows(*made, workers=workers).walk(8, 5)
    later.next()
    whole.next()
    whole.part = later.part = Part(1, 2)
    for _ in range(6):
        same(whole.next(), later.next())


def test_large_rows_are_taken_in_smaller_batches(made, monkeypatch):
    monkeypatch.setattr(decode, "NUMBERS", 7 * (3 * 14 * 13 + 32))
    batches = list(encode_rows(*made, workers=Workers()).in_order(30))
    assert {batch.num_rows for batch in batches[:-1]} == {7}
    assert sum(batch.num_rows for batch in batches) == made[1].num_rows - 2


def test_a_broken_cell_is_one_sentence(made, workers):
    preprocessor, _, rows, targets = made
    broken = frame()
    broken.at[20, "photo"] = broken.at[20, "photo"][:100]
    later = encode_rows(preprocessor, Table(broken, kinds={"sound": "audio"}), rows, targets, workers=workers)
    walk = later.walk(8, 5)
    with pytest.raises(SchemaError, match=r"^column 'photo', row 20: cannot be decoded as a picture: [^\n]*$"):
        list(takewhile(bool, (walk.next() for _ in range(5))))
    same(encode_rows(*made).walk(8, 1).next(), encode_rows(*made, workers=workers).walk(8, 1).next())


def test_a_worker_that_is_killed_is_said_and_none_is_left():
    before = set(multiprocessing.active_children())
    with Workers(1) as workers:
        (pid,) = workers.map(_own_pid, [0])
        with pytest.raises(ProcessError, match="a worker that decodes has ended"):
            list(workers.map(_kill, [pid, pid, pid]))
    gc.collect()
    assert set(multiprocessing.active_children()) <= before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _own_pid(_):
    return os.getpid()


def _kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_a_run_with_workers_has_the_same_weights(tmp_path, monkeypatch):
    settings = {
        "kinds": {"sound": "audio"},
        "preprocess": {"features": {"sound": {"mfcc": {"rate": 8000}}}},
        "epochs": 2,
        "batch_size": 8,
        "quiet": True,
    }
    table = frame()
    runs = [
        pt.fit(table, [pt.Regression("y")], workers=workers, folder=tmp_path / str(workers), **settings)
        for workers in (0, 2)
    ]
    one, other = (run.model().state_dict() for run in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert runs[0].metrics == runs[1].metrics
    assert runs[0].evaluate() == runs[1].evaluate()
    columns = ["photo", "sound", "n"]
    expected = runs[0].predict(table[columns])
    monkeypatch.setattr(decode, "MOST", 10)
    assert runs[0].predict(table[columns]).equals(expected)
    assert runs[0].evaluate() == runs[1].evaluate()


def test_rows_of_pictures_alone_are_predicted_in_pieces(made, monkeypatch):
    preprocessor = Preprocessor.fit(made[1], ["photo"], np.array([0, 1, 2, 3]))
    monkeypatch.setattr(decode, "MOST", 10)
    later = decode.encode_new_rows(preprocessor, made[1], np.array([5, 6, 7]), Targets({}, {}, {}))
    (batch,) = later.in_order(8)
    assert torch.equal(batch.inputs["photo"], preprocessor.transform(made[1], np.array([5, 6, 7]))["photo"])


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="workers=-1"):
        pt.fit(frame(), [pt.Regression("y")], workers=-1)
    with pytest.raises(ValueError, match="workers=-1"):
        Workers(-1)
