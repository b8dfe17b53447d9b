"""Tables: presence, raw values, fingerprints, and what is refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import Table
from polytask.data.table import hash_rows
from polytask.errors import SchemaError


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([1.5, None]),
        pd.Series(["a", None]),
        pd.Series(["a", None], dtype="category"),
        pd.array([1, None], dtype="Int8"),
        pd.array([True, None], dtype="boolean"),
        pd.array([1.5, None], dtype="Float32"),
        pd.to_datetime(pd.Series(["2024-01-01", None])),
        pd.to_datetime(pd.Series(["2024-01-01", None])).dt.tz_localize("Europe/Berlin"),
        pd.to_timedelta(pd.Series([1, None]), unit="D"),
        pd.array([1, None], dtype=pd.ArrowDtype(pa.int64())),
        pd.array([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        pd.Series([b"x", None], dtype=object),
        pd.Series(["a", pd.NA], dtype=object),
    ],
)
def test_missing_cells_of_every_type_are_known(cells):
    table = Table(pd.DataFrame({"x": cells}))
    assert table.mask("x").tolist() == [True, False]
    assert table.values("x").shape == (2,)


def test_values_keep_large_integers_and_give_dates_in_utc():
    stamps = pd.to_datetime(pd.Series(["2024-01-01", None])).dt.tz_localize("Europe/Berlin")
    table = Table(pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype="Int64"), "d": stamps}))
    assert table.values("n")[0] == 2**60 + 1
    assert table.values("d")[0] == np.datetime64("2023-12-31T23:00")


def test_an_arrow_table_keeps_every_digit_of_integers_with_gaps():
    table = Table.of(pa.table({"n": pa.array([2**60 + 1, None]), "b": pa.array([True, None])}))
    assert table.values("n")[0] == 2**60 + 1
    assert (table.kind("n"), table.kind("b")) == ("number", "boolean")


def test_nan_inside_nullable_floats_is_missing():
    frame = pd.DataFrame({"x": pd.array([0.0, 1.0], dtype="Float64")})
    frame["x"] = frame["x"] / frame["x"]
    assert Table(frame).mask("x").tolist() == [False, True]


def test_the_frame_is_not_shared_with_the_user():
    frame = pd.DataFrame({"x": [1, 2]}, index=[5, 6])
    table = Table(frame)
    frame.loc[5, "x"] = 9
    assert table.values("x").tolist() == [1, 2]


def test_take_keeps_the_kinds_of_the_whole():
    table = Table(pd.DataFrame({"x": [f"key{k}" for k in range(60)], "n": range(60)}), kinds={"n": "category"})
    part = table.take(np.array([3, 1]))
    assert part.values("n").tolist() == [3, 1]
    assert (part.kind("x"), part.kind("n")) == ("id", "category")


@given(st.permutations(range(6)), st.integers(0, 5))
def test_fingerprints_tell_tables_apart(order, changed):
    frame = pd.DataFrame({"a": range(6), "b": list("uvwxyz"), "c": [np.arange(k) for k in range(6)]})
    print_of = Table(frame).fingerprint()
    assert Table(frame.copy()).fingerprint() == print_of
    shuffled = Table(frame.iloc[list(order)]).fingerprint()
    assert (shuffled == print_of) == (list(order) == sorted(order))
    frame.at[changed, "c"] = np.arange(9)
    assert Table(frame).fingerprint() != print_of
    assert Table(frame.rename(columns={"a": "z"})).fingerprint() != Table(frame).fingerprint()


def test_a_fingerprint_is_the_same_in_another_process():
    code = (
        "import pandas as pd; from polytask.data import Table; "
        "print(Table(pd.DataFrame({'a': ['x', None, 'y'], 'b': [1.5, None, 2], 'c': [[1], [2], None]})).fingerprint())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "1"}
    )
    here = Table(pd.DataFrame({"a": ["x", None, "y"], "b": [1.5, None, 2], "c": [[1], [2], None]}))
    assert run.stdout.strip() == here.fingerprint()


def test_rows_hash_alike_when_their_cells_are_alike():
    table = Table(pd.DataFrame({"a": [1, 2, 1, 2], "b": ["x", "x", "x", None], "c": [[1], [1], [1], [1]]}))
    hashes = hash_rows(table, ["a", "b", "c"])
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3


def test_show_names_columns_and_kinds():
    text = repr(Table(pd.DataFrame({"age": [1, None], "name": ["a", "b"]})))
    assert text.splitlines()[0] == "2 rows × 2 columns"
    assert "age     number    1        1          1.0" in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Table(pd.DataFrame({"a": []})), "0 rows"),
        (lambda: Table(pd.DataFrame(index=range(3))), "no columns"),
        (lambda: Table(pd.DataFrame([[1, 2]], columns=["a", "a"])), "'a' stands 2 times"),
        (lambda: Table(pd.DataFrame([[1, 2]])), "0 is no string"),
        (lambda: Table(pd.DataFrame({"a": [1]}), kinds={"b": "number"}), "no column 'b'"),
        (lambda: Table(pd.DataFrame({"a": [1]}), kinds={"a": "numbr"}), "did you mean 'number'"),
        (lambda: Table(pd.DataFrame({"age": [1]})).values("agee"), "did you mean 'age'"),
        (lambda: Table.of(3), "got int"),
        (lambda: Table.of(pa.table([[1], [2]], names=["a", "a"])), "'a' stands 2 times"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(make, words):
    with pytest.raises(SchemaError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_of_takes_whatever_holds_a_table(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = Table(frame)
    assert Table.of(table) is table
    assert Table.of(table, kinds={"a": "category"}).kind("a") == "category"
    for data in (frame, pa.table({"a": [1, 2]}), tmp_path / "a.csv", str(tmp_path / "a.csv")):
        assert Table.of(data).values("a").tolist() == [1, 2]
