"""Cells as numbers, times, truth values and keys, whatever type they come in."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import Table
from polytask.data.cells import booleans_of, key_of, keys_of, numbers_of, times_of
from polytask.errors import SchemaError


def column(*cells):
    return Table(pd.DataFrame({"x": pd.array([*cells], dtype=object)}))


def test_numbers_are_read_from_all_types():
    cells = [1, 2.5, "3", " 4e1 ", decimal.Decimal("0.5"), True, np.int8(7), datetime.timedelta(hours=12), None, pd.NA]
    expected = [1, 2.5, 3, 40, 0.5, 1, 7, 0.5, np.nan, np.nan]
    np.testing.assert_array_equal(numbers_of(column(*cells), "x"), expected)
    typed = Table(pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}))
    np.testing.assert_array_equal(numbers_of(typed, "x"), [1, np.nan])


@given(st.lists(st.one_of(st.none(), st.floats(-1e100, 1e100)), min_size=1))
def test_numbers_written_as_text_are_the_same_numbers(values):
    written = column(*[None if value is None else repr(value) for value in values])
    plain = column(*values)
    np.testing.assert_array_equal(numbers_of(written, "x"), numbers_of(plain, "x"))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1, "two"], "row 1: 'two' is no number"),
        ([None, float("inf")], "row 1: inf"),
        ([-float("inf")], "row 0: -inf"),
        ([1e200], "row 0: 1e\\+200"),
        (["nan"], "row 0: 'nan' is no number"),
        ([1, [2]], "row 1: \\[2\\] is no number"),
        ([datetime.date(2024, 1, 1)], "row 0: 2024-01-01 is no number"),
        ([10**400], "row 0: 1000000"),
    ],
)
def test_what_is_no_number_is_named(cells, words):
    with pytest.raises(SchemaError, match=f"column 'x', {words}"):
        numbers_of(column(*cells), "x")


def test_truth_values_are_read_from_all_types():
    cells = [True, np.False_, 1, 0.0, "yes", "F", "TRUE", None]
    np.testing.assert_array_equal(booleans_of(column(*cells), "x"), [1, 0, 1, 0, 1, 0, 1, np.nan])
    with pytest.raises(SchemaError, match="column 'x', row 1: 2 is neither true nor false"):
        booleans_of(column(True, 2), "x")


def test_times_are_read_from_all_types():
    cells = [
        "2024-01-02",
        datetime.date(2024, 1, 2),
        pd.Timestamp("2024-01-02T01:00+01:00"),
        "2024-01-02T02:00+02:00",
        None,
    ]
    times = times_of(column(*cells), "x")
    assert (times[:4] == np.datetime64("2024-01-02")).all()
    assert np.isnat(times[4])
    for cell in ("02.01.2024", 3, "2024-02-30"):
        with pytest.raises(SchemaError, match=r"column 'x', row 1: .* is no date"):
            times_of(column("2024-01-02", cell), "x")


def test_keys_are_the_same_for_one_category_in_all_types():
    keys, present = keys_of(column(1, "1", 1.0, np.int64(1), decimal.Decimal(1), None), "x")
    assert keys.tolist() == ["1"] * 5 + [None]
    assert present.tolist() == [True] * 5 + [False]
    assert [key_of(cell) for cell in (0.5, "01", False, np.True_)] == ["0.5", "01", "False", "True"]
    with pytest.raises(SchemaError, match=r"column 'x', row 1: \['b'\] cannot be a category"):
        keys_of(column("a", ["b"]), "x")
