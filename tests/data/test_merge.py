"""Tables merged by a key, held against a plain loop over cells."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import Table, merge
from polytask.errors import SchemaError

CELLS = st.one_of(st.none(), st.integers(0, 2))


@st.composite
def tables(draw):
    made = {}
    for name in ("a", "b", "c")[: draw(st.integers(2, 3))]:
        keys = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True))
        columns = draw(st.lists(st.sampled_from(["x", "y"]), unique=True))
        made[name] = pd.DataFrame({"id": keys} | {c: [draw(CELLS) for _ in keys] for c in columns})
    return made


@given(tables())
def test_merged_cells_are_those_of_a_plain_loop(made):
    order = list(dict.fromkeys(key for frame in made.values() for key in frame["id"]))
    cells, clashes = {}, set()
    for frame in made.values():
        for column in set(frame.columns) - {"id"}:
            for key, cell in zip(frame["id"], frame[column], strict=True):
                if pd.notna(cell):
                    before = cells.setdefault((key, column), cell)
                    clashes |= {(key, column)} if before != cell else set()
    if clashes:
        with pytest.raises(SchemaError, match="contradict each other"):
            merge(made, "id")
    merged = merge(made, "id", on_contradiction="missing")
    assert merged.frame["id"].tolist() == [str(key) for key in order]
    assert set(merged.columns) == {column for frame in made.values() for column in frame}
    for column in set(merged.columns) - {"id"}:
        for key, cell in zip(order, merged.frame[column], strict=True):
            expected = None if (key, column) in clashes else cells.get((key, column))
            assert (expected is None and pd.isna(cell)) or cell == expected
    assert bool(merged.notes) == bool(clashes)
    assert merged.notes == () or merged.notes[0].startswith(f"{len(clashes)} cells contradict")


def frames(**changes):
    left = pd.DataFrame({"id": [1, 2, 3], "price": [10.0, 20.0, 30.0], "area": ["n", "s", None]})
    right = pd.DataFrame({"id": ["3", "2", "9"], "sold": ["yes", "no", "yes"], "area": ["w", "s", "n"]})
    return {"left": left.assign(**changes), "right": right}


def test_union_of_columns_in_the_order_of_appearance():
    merged = merge(frames(), "id")
    assert merged.columns == ("id", "price", "area", "sold")
    assert merged.frame["id"].tolist() == ["1", "2", "3", "9"]
    assert merged.frame["area"].tolist() == ["n", "s", "w", "n"]
    assert merged.mask("sold").tolist() == [False, True, True, True]
    assert merged.frame["price"].dtype == np.float64
    assert (merged.kind("id"), merged.kind("price"), merged.kind("sold")) == ("id", "number", "category")


def test_the_key_may_be_asked_for_as_an_input():
    assert merge(frames(), "id", kinds={"id": "category"}).kind("id") == "category"


def test_a_contradiction_names_key_column_values_and_tables():
    with pytest.raises(SchemaError, match="tables 'left' and 'right' contradict each other: id '2' has 'area' 'q'"):
        merge(frames(area=["n", "q", "r"]), "id")
    with pytest.raises(SchemaError, match="2 cells of this column contradict in all"):
        merge(frames(area=["n", "q", "r"]), "id")
    merged = merge(frames(area=["n", "q", "r"]), "id", on_contradiction="missing")
    assert merged.mask("area").tolist() == [True, False, False, True]
    said = "2 cells contradict each other between tables and are missing: 2 in 'area'"
    assert merged.notes == (said,)


def test_a_third_table_does_not_heal_a_contradiction():
    made = {name: pd.DataFrame({"id": [1], "y": [value]}) for name, value in (("a", 1), ("b", 2), ("c", 2))}
    assert not merge(made, "id", on_contradiction="missing").mask("y").any()


def test_cells_that_say_the_same_are_no_contradiction():
    day = datetime.date(2024, 5, 31)
    left = {"id": [1], "n": [1], "c": [1], "d": [pd.Timestamp(day)], "l": [["a", "b"]], "v": [np.array([1.0, 2.0])]}
    right = {"id": [1.0], "n": [1.0], "c": ["1"], "d": [pd.Timestamp(day)], "l": [("a", "b")], "v": [[1, 2]]}
    kinds = {"c": "category"}
    merged = merge({"a": pd.DataFrame(left), "b": pd.DataFrame(right)}, "id", kinds=kinds)
    assert merged.frame.loc[0, "l"] == ["a", "b"]
    with pytest.raises(SchemaError, match="'v' array"):
        merge({"a": pd.DataFrame(left), "b": pd.DataFrame(right | {"v": [[1, 3]]})}, "id", kinds=kinds)


def test_wide_integers_keep_every_digit():
    made = {"a": pd.DataFrame({"id": [1], "n": [2**60]}), "b": pd.DataFrame({"id": [2], "n": [2**60 + 1]})}
    assert merge(made, "id").frame["n"].tolist() == [2**60, 2**60 + 1]
    with pytest.raises(SchemaError, match="contradict"):
        merge({"a": made["a"], "b": made["b"].assign(id=1)}, "id")


def test_rows_that_repeat_a_key_agree_or_are_refused():
    made = frames()
    repeated = pd.concat([made["left"], made["left"].iloc[:1]], ignore_index=True)
    assert merge(made | {"left": repeated}, "id").num_rows == 4
    repeated.loc[3, "price"] = 11.0
    with pytest.raises(
        SchemaError, match=r"key '1' in row 0 and in row 3, which differ in column 'price' \(10.0 and 11.0"
    ):
        merge(made | {"left": repeated}, "id")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"left": pd.DataFrame({"iid": [1], "x": [1]})}, "table 'left' has no column 'id'; did you mean 'iid'"),
        (
            {"left": pd.DataFrame({"id": [1, None], "x": [1, 2]})},
            "missing in 1 of 2 rows of table 'left', the first in row 1",
        ),
        (
            {"left": pd.DataFrame({"id": [1], "sold": [0.5]})},
            "'sold' is of kind number in table 'left' and of kind category",
        ),
    ],
)
def test_tables_that_cannot_be_merged(change, sentence):
    with pytest.raises(SchemaError, match=sentence):
        merge(frames() | change, "id")


def test_settings_that_cannot_be():
    with pytest.raises(SchemaError, match="two tables or more"):
        merge({"a": frames()["left"]}, "id")
    with pytest.raises(SchemaError, match="'error' or 'missing'"):
        merge(frames(), "id", on_contradiction="first")
    with pytest.raises(SchemaError, match="no column 'prize' in any table; did you mean 'price'"):
        merge(frames(), "id", kinds={"prize": "number"})


def test_paths_of_pictures_still_hold(tmp_path):
    pd.DataFrame({"id": [1, 2], "picture": ["a.png", "b.png"]}).to_csv(tmp_path / "pictures.csv", index=False)
    merged = merge({"p": tmp_path / "pictures.csv", "l": pd.DataFrame({"id": [1], "y": [1.0]})}, "id")
    assert merged.frame["picture"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert isinstance(merged, Table)
