"""Splits in files: written and read back, also those of older Runs."""

import io

import numpy as np
import pandas as pd
import pytest

from polytask.data import Split, read_splits, split_bytes
from polytask.errors import SchemaError


def splits():
    generator = np.random.default_rng(0)
    return {name: Split(generator.integers(-1, 3, 300).astype(np.int8)) for name in ("b", "a")}


def test_splits_come_back_in_their_order():
    back = read_splits(split_bytes(splits()))
    assert list(back) == ["b", "a"]
    for name, split in splits().items():
        assert np.array_equal(back[name].parts, split.parts)


def test_a_file_is_what_pandas_wrote():
    frame = pd.read_parquet(io.BytesIO(split_bytes(splits())))
    before = pd.concat([split.to_frame().assign(table=name) for name, split in splits().items()], ignore_index=True)
    assert frame.astype(object).equals(before.astype(object))


def test_the_file_of_an_older_run_is_read():
    frame = pd.concat([split.to_frame().assign(table=name) for name, split in splits().items()])
    buffer = io.BytesIO()
    frame.sample(frac=1, random_state=0).to_parquet(buffer, index=False)
    back = read_splits(buffer.getvalue())
    assert all(np.array_equal(back[name].parts, split.parts) for name, split in splits().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(part="tset"), "names the part 'tset'"),
        (lambda f: f.assign(row=0), "names every row once, from 0 to 299"),
        (lambda f: f.assign(row=f["row"] + 500), "names every row once"),
        (lambda f: f.drop(columns="part"), "has the columns 'row', 'part' and 'table'"),
    ],
)
def test_what_is_no_split_is_refused(change, words):
    buffer = io.BytesIO()
    change(splits()["a"].to_frame().assign(table="a")).to_parquet(buffer)
    with pytest.raises(SchemaError, match=words):
        read_splits(buffer.getvalue())
