"""One table a value of a column."""

import pandas as pd
import pytest

from polytask.data import Table, tables_by_value
from polytask.errors import SchemaError


def table(**columns):
    return Table(pd.DataFrame(columns))


def test_rows_of_each_value_in_their_order_without_the_column():
    found = tables_by_value(table(shop=[2, 1, 2, 1], x=[10.0, 20.0, 30.0, 40.0]), "shop")
    assert list(found) == ["shop-2", "shop-1"]
    assert found["shop-2"].columns == ("x",)
    assert found["shop-2"].values("x").tolist() == [10.0, 30.0]
    assert (found["shop-1"].value, found["shop-1"].values("x").tolist()) == ("1", [20.0, 40.0])


def test_kinds_are_those_of_the_whole_table():
    # Alone, the strings of "b" are dates.
    found = tables_by_value(table(shop=["a", "b"], x=["cheap", "2024-05-31"]), "shop")
    assert {part.kind("x") for part in found.values()} == {"category"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["a", None, "b"], "missing in 1 of 3 rows, the first in row 1"),
        (["a b", "a_b", "c"], "'a b' and 'a_b' of column 'shop' would have one name, 'a_b'"),
        (["A", "a", "c"], "differ in capitals only"),
        (["a", "a", "a"], "one value only"),
        (["?", "a", "b"], "'\\?' cannot be the end of a task's name"),
    ],
)
def test_values_that_cannot_name_a_task(values, sentence):
    with pytest.raises(SchemaError, match=sentence):
        tables_by_value(table(shop=values, x=[1.0, 2.0, 3.0]), "shop")


def test_an_unknown_column():
    with pytest.raises(SchemaError, match="did you mean 'shop'"):
        tables_by_value(table(shop=["a", "b"], x=[1.0, 2.0]), "shops")
