"""Entities over several tables: one side each, what columns say first, shares kept, contradictions named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import SplitSettings, Table, make_folds, make_splits
from polytask.errors import SchemaError
from polytask.tasks import Classification, Regression

SIDES = {0: "train", 1: "validation", 2: "test"}


def table_of(name, keys, seed=0, **columns):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(0, 2, len(keys)), "who": keys, **columns})
    return Table(frame), [Classification(name)]


def random_tables(sizes, num_keys, seed=0):
    rng = np.random.default_rng(seed)
    return {f"y{k}": table_of(f"y{k}", rng.integers(0, num_keys, size), k) for k, size in enumerate(sizes)}


def sides_by_key(tables, splits, column="who"):
    frames = [pd.DataFrame({"key": t.frame[column], "part": splits[n].parts}) for n, (t, _) in tables.items()]
    frame = pd.concat(frames)
    return frame[frame["part"] >= 0].groupby("key")["part"]


@given(st.integers(20, 60), st.lists(st.integers(60, 200), min_size=1, max_size=4), st.booleans(), st.integers(0, 9))
def test_a_key_is_on_one_side_everywhere(num_keys, sizes, stratify, seed):
    tables = random_tables(sizes, num_keys, seed)
    settings = SplitSettings(seed=seed, stratify=stratify)
    splits = make_splits(tables, settings, key="who")
    assert sides_by_key(tables, splits).nunique().max() == 1
    again = make_splits(tables, settings, key="who")
    assert all((splits[name].parts == again[name].parts).all() for name in tables)
    for fold in make_folds(tables, settings, 3, key="who"):
        assert sides_by_key(tables, fold).nunique().max() == 1


def test_every_row_is_tested_once_by_folds_of_entities():
    tables = random_tables([150, 90], 30)
    folds = make_folds(tables, SplitSettings(validation=0.2), 4, key="who")
    for name in tables:
        assert (np.stack([fold[name].parts for fold in folds]) == 2).sum(axis=0).tolist() == [1] * len(
            folds[0][name].parts
        )


def test_the_shares_hold_in_every_table():
    tables = random_tables([3000, 1000], 400)
    splits = make_splits(tables, SplitSettings(validation=0.2, test=0.2), key="who")
    for name, (table, _) in tables.items():
        for part, share in ((0, 0.6), (1, 0.2), (2, 0.2)):
            assert (splits[name].parts == part).mean() == pytest.approx(share, abs=0.02)
            ones = table.frame[name][splits[name].parts == part].mean()
            assert ones == pytest.approx(table.frame[name].mean(), abs=0.03)


def test_what_a_column_says_comes_first_and_counts_against_the_shares():
    said = np.array(["train"] * 40 + ["valid"] * 10 + ["test"] * 10)
    first = table_of("a", np.arange(60), said=said)
    second = table_of("b", np.arange(100), 1)
    tables = {"b": second, "a": first}
    splits = make_splits(
        tables, SplitSettings(validation=0.2, test=0.2), key="who", own={"a": SplitSettings(column="said")}
    )
    assert (splits["b"].parts[:60] == splits["a"].parts).all()
    # 40, 10, 10 are there already; 20, 10, 10 of the other 40 make it 60, 20, 20.
    assert list(splits["b"].counts().values()) == pytest.approx([60, 20, 20, 0], abs=2)


def test_validation_rows_drawn_from_a_column_follow_the_other_tables():
    said = np.where(np.arange(60) < 50, "train", "test")
    other = np.where(np.arange(30) < 20, "valid", "train")
    tables = {"a": table_of("a", np.arange(60), said=said), "b": table_of("b", np.arange(30), 1, other=other)}
    own = {"a": SplitSettings(column="said", validation=0.5), "b": SplitSettings(column="other")}
    splits = make_splits(tables, SplitSettings(), key="who", own=own)
    assert (splits["a"].parts[:20] == 1).all()
    assert (splits["a"].parts[20:30] == 0).all()
    assert (splits["a"].parts[50:] == 2).all()
    assert splits["a"].counts()["validation"] == pytest.approx(25, abs=2)  # half of the 50, 20 of which are settled


def test_a_side_without_a_share_is_taken():
    said = ["train", "valid", "test"] * 10
    tables = {"a": table_of("a", np.arange(30), said=said), "b": table_of("b", np.arange(200), 1)}
    splits = make_splits(tables, SplitSettings(test=0), key="who", own={"a": SplitSettings(column="said")})
    assert (splits["b"].parts[:30] == splits["a"].parts).all()
    assert set(splits["b"].parts[30:]) == {0, 1}


def test_tables_of_other_settings_follow_those_before_them():
    tables = {"a": table_of("a", np.arange(100)), "b": table_of("b", np.arange(50, 250), 1)}
    own = {"b": SplitSettings(validation=0.3, test=0.3)}
    splits = make_splits(tables, SplitSettings(validation=0.1, test=0.1), key="who", own=own)
    assert (splits["b"].parts[:50] == splits["a"].parts[50:]).all()
    assert splits["a"].counts() == {"train": 80, "validation": 10, "test": 10, "dropped": 0}
    assert list(splits["b"].counts().values()) == pytest.approx([80, 60, 60, 0], abs=2)


def test_a_table_without_the_key_is_split_as_alone():
    tables = {"a": table_of("a", np.arange(50)), "b": (Table(pd.DataFrame({"b": np.arange(40.0)})), [Regression("b")])}
    splits = make_splits(tables, SplitSettings(), key="who")
    alone = make_splits({"b": tables["b"]}, SplitSettings())
    assert (splits["b"].parts == alone["b"].parts).all()


def test_keys_and_groups_hold_rows_together_at_once():
    rng = np.random.default_rng(0)
    keys, group = rng.integers(0, 600, 200), np.repeat(np.arange(50), 4)
    tables = {"a": table_of("a", keys, group=group), "b": table_of("b", np.arange(600), 1)}
    own = {"a": SplitSettings(by_group="group", validation=0.2)}
    splits = make_splits(tables, SplitSettings(), key="who", own=own)
    assert sides_by_key(tables, splits).nunique().max() == 1
    assert pd.Series(splits["a"].parts).groupby(group).nunique().max() == 1


def said_tables(second):
    first = table_of("a", np.arange(30), said=["train", "valid", "test"] * 10)
    return {"a": first, "b": table_of("b", np.arange(30), 1, said=second)}


@pytest.mark.parametrize(
    ("tables", "settings", "message"),
    [
        (
            said_tables(["train", "train", "valid"] * 10),
            SplitSettings(column="said"),
            r"20 values of the key 'who' are on two sides: '1' is in the train part of table 'b' \(row 1\) and '1' is in "
            r"the validation part of table 'a' \(row 1\)",
        ),
        (
            # No validation rows in 'b': those of 'a' are fine for its training rows, but test rows are not.
            said_tables(["train", "train", "train"] * 10),
            SplitSettings(column="said"),
            r"10 values of the key 'who' are on two sides: '2' is in the train part of table 'b'",
        ),
        (
            {"a": table_of("a", np.arange(40) % 4, when=np.arange(40))},
            SplitSettings(by_time="when"),
            r"4 values of the key 'who' are on two sides: .* of table 'a' \(row 0\)",
        ),
        (said_tables(["train"] * 30), SplitSettings(by_group="wo"), "there is no column 'wo'"),
        (
            {"a": table_of("a", [None, *range(20)])},
            SplitSettings(),
            "'who' is missing in 1 of 21 rows, the first in row 0",
        ),
        (
            {"a": table_of("a", np.arange(60)), "b": table_of("b", np.repeat([0, 1], 50), 1)},
            SplitSettings(),
            r"split of table 'b': the \w+ part would have 0 of 100 rows of 2 values of the key 'who'",
        ),
    ],
)
def test_what_cannot_be_is_named(tables, settings, message):
    with pytest.raises(SchemaError, match=message):
        make_splits(tables, settings, key="who")


def test_unknown_names():
    tables = {"a": table_of("a", np.arange(30))}
    with pytest.raises(SchemaError, match="key: no table has a column 'woh'; did you mean 'who'"):
        make_splits(tables, SplitSettings(), key="woh")
    with pytest.raises(SchemaError, match="splits: there is no table 'b'"):
        make_splits(tables, SplitSettings(), own={"b": SplitSettings()})
    with pytest.raises(SchemaError, match="folds=5: there are 3 groups of 'who'"):
        make_folds({"a": table_of("a", np.arange(30) % 3)}, SplitSettings(), 5, key="who")
