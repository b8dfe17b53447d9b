"""Every way to split holds with several tables: shares of classes, groups, time, folds, each by table."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import SplitSettings, Table, make_folds, make_splits
from polytask.errors import SchemaError
from polytask.tasks import Classification, Multilabel, Regression


@pytest.fixture
def tables():
    """Two tables of own sizes, groups in common; the second has several labels and gaps."""
    rng = np.random.default_rng(0)
    first = pd.DataFrame({"y": rng.choice([0, 1], 900, p=[0.9, 0.1]), "r": rng.normal(size=900)})
    labels = (rng.random((500, 3)) < [0.5, 0.2, 0.06]).astype(float)
    second = pd.DataFrame(labels, columns=list("abc")).mask(rng.random((500, 3)) < 0.2)
    for frame in (first, second):
        frame["group"] = rng.integers(0, 80, len(frame))
        frame["when"] = rng.integers(0, 300, len(frame))
    return {
        "one": (Table(first), [Classification("y"), Regression("r")]),
        "two": (Table(second), [Multilabel("m", columns=["a", "b", "c"])]),
    }


def shares_hold(tables, splits, tolerance):
    for name, (table, tasks) in tables.items():
        for column in (column for task in tasks for column in task.columns if column != "r"):
            values = table.frame[column]
            for part in ("train", "validation", "test"):
                rows = splits[name].rows(part)
                of_rest = values.sum() * len(rows) / (splits[name].parts >= 0).sum()
                assert values.iloc[rows].sum() == pytest.approx(of_rest, abs=tolerance), (name, column, part)


def test_stratified_in_every_table(tables):
    shares_hold(tables, make_splits(tables, SplitSettings(validation=0.2, test=0.2)), 2)


def test_stratified_by_groups(tables):
    splits = make_splits(tables, SplitSettings(validation=0.2, test=0.2, by_group="group"))
    shares_hold(tables, splits, 8)
    both = pd.concat(pd.DataFrame({"g": t.frame["group"], "p": splits[n].parts}) for n, (t, _) in tables.items())
    assert both[both["p"] >= 0].groupby("g")["p"].nunique().max() == 1


def test_time_in_one_table_and_chance_in_the_other(tables):
    splits = make_splits(tables, SplitSettings(validation=0.2, test=0.2), own={"one": SplitSettings(by_time="when")})
    when = tables["one"][0].frame["when"].to_numpy()
    assert when[splits["one"].rows("train")].max() < when[splits["one"].rows("validation")].min()
    assert when[splits["one"].rows("validation")].max() < when[splits["one"].rows("test")].min()
    shares_hold({"two": tables["two"]}, splits, 2)


@pytest.mark.parametrize("key", [None, "group"])
def test_folds_of_every_table(tables, key):
    folds = make_folds(tables, SplitSettings(validation=0.2), 4, key=key)
    for name in tables:
        parts = np.stack([fold[name].parts for fold in folds])
        assert set((parts == 2).sum(axis=0)[parts[0] >= 0]) == {1}
    for fold in folds:
        shares_hold(tables, fold, 10 if key else 3)


def test_a_table_with_an_empty_part_is_named(tables):
    few = Table(tables["two"][0].frame.head(2).assign(a=[1.0, 0.0]))
    with pytest.raises(SchemaError, match=r"split of table 'two': the \w+ part would have 0 of 2 rows"):
        make_splits({**tables, "two": (few, tables["two"][1])}, SplitSettings())
