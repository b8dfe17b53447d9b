"""k folds: every labelled row is tested once, parts keep their shares, groups stay together."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import SplitSettings, Table, make_folds
from polytask.errors import SchemaError
from polytask.tasks import Classification, Regression

TASKS = [Classification("y"), Regression("r")]


def frame_of(num_rows, seed=0, **columns):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"y": rng.choice([0.0, 1.0, 2.0], num_rows, p=[0.7, 0.2, 0.1]), "r": rng.normal(size=num_rows), **columns}
    )
    return frame.mask(rng.random(frame.shape) < np.where(np.isin(frame.columns, ["y", "r"]), 0.3, 0))


def folds_of(frame, num_folds, **settings):
    folds = make_folds({"": (Table(frame), TASKS)}, SplitSettings(**settings), num_folds)
    assert [set(fold) for fold in folds] == [{""}] * num_folds
    return np.stack([fold[""].parts for fold in folds])


@given(st.integers(40, 200), st.integers(2, 8), st.floats(0.05, 0.4), st.booleans(), st.integers(0, 50))
def test_every_labelled_row_is_tested_once(num_rows, num_folds, validation, stratify, seed):
    frame = frame_of(num_rows, seed)
    parts = folds_of(frame, num_folds, validation=validation, stratify=stratify, seed=seed)
    is_labelled = frame[["y", "r"]].notna().any(axis=1).to_numpy()
    assert parts.dtype == np.int8
    assert ((parts == -1) == ~is_labelled).all()
    assert ((parts == 2).sum(axis=0) == is_labelled).all()
    number = is_labelled.sum()
    assert (parts == 2).sum(axis=1) == pytest.approx(np.full(num_folds, number / num_folds), abs=3)
    assert (parts == 1).sum(axis=1) == pytest.approx(np.full(num_folds, validation * number), abs=3)


def test_classes_and_ranges_keep_their_shares_in_every_part():
    frame = frame_of(3000)
    parts = folds_of(frame, 5, validation=0.2)
    for of_fold in parts:
        for part, share in ((0, 0.6), (1, 0.2), (2, 0.2)):
            rows = frame[of_fold == part]
            for value in (0, 1, 2):
                assert (rows["y"] == value).sum() == pytest.approx(share * (frame["y"] == value).sum(), abs=3)
            assert rows["r"].notna().sum() == pytest.approx(share * frame["r"].notna().sum(), abs=4)
            assert rows["r"].mean() == pytest.approx(frame["r"].mean(), abs=0.06)


def test_validation_rows_differ_from_fold_to_fold():
    times = (folds_of(frame_of(500), 5, validation=0.2) == 1).sum(axis=0)
    assert set(times) >= {0, 1, 2}
    assert times.max() < 5


def test_the_seed_settles_the_folds():
    frame = frame_of(100)
    first, again, other = (folds_of(frame, 4, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@given(st.integers(6, 12), st.integers(2, 6), st.integers(0, 20))
def test_groups_stay_together(num_groups, num_folds, seed):
    group = np.random.default_rng(seed).permutation(np.arange(10 * num_groups) % num_groups).astype(str)
    parts = folds_of(frame_of(len(group), seed, group=group), num_folds, by_group="group", seed=seed)
    for of_fold in parts:
        kept = of_fold >= 0
        assert pd.Series(of_fold[kept]).groupby(group[kept]).nunique().max() == 1
        assert set(of_fold[kept]) == {0, 1, 2}
    assert ((parts == 2).sum(axis=0) == (parts[0] >= 0)).all()


def two_tables(num_groups=12):
    frames = [frame_of(8 * num_groups, k, group=np.repeat(np.arange(num_groups), 8)) for k in range(2)]
    return {
        "one": (Table(frames[0].drop(columns="r")), TASKS[:1]),
        "other": (Table(frames[1].drop(columns="y")), TASKS[1:]),
    }


def test_groups_of_several_tables_are_on_one_side_in_every_fold():
    tables = two_tables()
    for fold in make_folds(tables, SplitSettings(by_group="group"), 4):
        joint = pd.concat(
            pd.DataFrame({"group": table.frame["group"], "part": fold[name].parts})
            for name, (table, _) in tables.items()
        )
        assert joint[joint["part"] >= 0].groupby("group")["part"].nunique().max() == 1
        assert all(set(split.parts) >= {0, 1, 2} for split in fold.values())


def test_one_of_several_tables_is_folded_as_it_would_be_alone():
    tables = two_tables()
    together = make_folds(tables, SplitSettings(), 3)
    for name, table in tables.items():
        alone = make_folds({"": table}, SplitSettings(), 3)
        assert all((a[""].parts == b[name].parts).all() for a, b in zip(alone, together, strict=True))


REFUSED = [
    ({"by_time": "r"}, 5, r"rows split by time \('r'\) would be trained on what comes later; take one split by time"),
    ({"column": "y"}, 5, r"the column 'y' already says which rows are for the test; take its split, or no column"),
    ({}, 1, "folds=1: at least 2 folds are wanted"),
    ({}, 21, "folds=21: there are 20 rows with a target, so at most 20 folds are possible"),
    ({"by_group": "group"}, 5, "folds=5: there are 4 groups of 'group', so at most 4 folds are possible"),
    ({"validation": 0.5, "test": 0.1}, 2, "folds=2: validation=0.5 leaves no rows to train on beside a test of 1/2"),
    ({"by_group": "grp"}, 2, "there is no column 'grp'; did you mean 'group'"),
]


@pytest.mark.parametrize(("settings", "num_folds", "said"), REFUSED)
def test_refused(settings, num_folds, said):
    frame = pd.DataFrame({"y": np.arange(20) % 2, "r": np.arange(20.0), "group": np.arange(20) % 4})
    with pytest.raises(SchemaError, match=said):
        folds_of(frame, num_folds, **settings)


def test_a_fold_with_nothing_to_train_on_is_refused():
    frame = pd.DataFrame({"y": [0, 1] * 5, "r": np.arange(10.0), "group": [0, 1] * 5})
    with pytest.raises(SchemaError, match=r"in fold 0 the \w+ part would have no row; give it more groups of 'group'"):
        folds_of(frame, 2, by_group="group")
