"""Settings of a study, names of its folders, and what its data have to have."""

import numpy as np
import pytest

import polytask as pt
from polytask.config import build
from polytask.errors import ConfigError, SchemaError
from polytask.studies import StudySettings
from polytask.studies.names import MOST, slug


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"seeds": 0}, r"seeds=0: at least 1, and at least 3 for a verdict"),
        ({"level": 0}, r"level=0(\.0)?: a chance between 0 and 1"),
        ({"level": 1.0}, r"level=1.0"),
        ({"region": -0.1}, r"region=-0.1: a difference in skill, at least 0"),
        ({"region": {"a": float("nan")}}, r"region.a: got nan"),
        ({"resplits": 1}, r"resplits=1: a number of random splits \(10\) or of folds \('5-fold'\), from 2"),
        ({"resplits": "1-fold"}, r"resplits='1-fold'"),
        ({"resplits": "five"}, r"resplits='five'"),
        ({"companions": ["pool"]}, r"companions.*'pool'"),
        ({"seed": 3}, r"unknown key 'seed'; did you mean 'seeds'"),
        ({"seeds": "many"}, r"seeds.*'many'"),
    ],
)
def test_refused(values, says):
    with pytest.raises(ConfigError, match=says):
        build(StudySettings, values)


def test_divisions_of_the_rows():
    assert (StudySettings().num_splits, StudySettings().num_folds) == (1, None)
    assert (StudySettings(resplits=10).num_splits, StudySettings(resplits=10).num_folds) == (10, None)
    assert (StudySettings(resplits="5-fold").num_splits, StudySettings(resplits="5-fold").num_folds) == (5, 5)


def test_long_names_are_cut_and_told_apart():
    one, other = slug("x" * 100 + "1"), slug("x" * 100 + "2")
    assert one != other
    assert len(one) == MOST + 9
    assert slug("../..") == "candidate"
    assert slug("größe/neu") == "gr-e-neu"


@pytest.mark.parametrize(
    ("settings", "experiment", "says"),
    [
        ({"baselines": ("tree",)}, {}, r"study.baselines: unknown name 'tree'; did you mean 'trees'"),
        ({"baselines": ("trees", "trees")}, {}, r"study.baselines: 'trees' stands twice"),
        ({"grid": {"epoch": (1, 2)}}, {}, r"study.grid: 'epoch' is no setting of train; did you mean 'epochs'"),
        ({"region": {"pirce": 0.1}}, {}, r"study.region: 'pirce' is no task; did you mean 'price'"),
        ({"region": {"price": 0.1}}, {}, r"study.region: task 'sold' has none; name all tasks"),
        ({"group": "aera"}, {}, r"study.group: table 'all' has no column 'aera'; did you mean 'area'"),
        ({"resplits": 3}, {"split": {"by_time": "age"}}, r"study.resplits: the rows are divided by time \('age'\)"),
        ({"resplits": 3}, {"split": {"column": "part"}}, r"study.resplits: the rows are divided by column 'part'"),
        ({}, {"split": {"test": 0.0}}, r"data.split: table 'all' has no test rows.*test: 0.15"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(setup, houses, settings, experiment, says):
    houses["part"] = (["train"] * 4 + ["valid", "test"]) * 40
    with pytest.raises((ConfigError, SchemaError), match=says):
        setup(houses, settings=settings, **experiment).splits()


def test_all_runs_have_the_studys_divisions(setup):
    single = setup().splits()
    several = setup(settings={"resplits": 3}).splits()
    folds = setup(settings={"resplits": "3-fold"}).splits()
    assert [len(found) for found in (single, several, folds)] == [1, 3, 3]
    assert (single[0]["all"].parts == several[0]["all"].parts).all()
    assert (several[0]["all"].parts != several[1]["all"].parts).any()
    tested = sorted(row for fold in folds for row in fold["all"].rows("test"))
    assert tested == list(range(240))


def test_the_parts_in_which_data_come_divide_the_rows(setup, houses):
    houses["part"] = (["train"] * 4 + ["valid", "test"]) * 40
    table = pt.Table(houses, split_column="part")
    (split,) = setup(table).splits()
    assert (split["all"].rows("train") == np.flatnonzero(houses["part"] == "train")).all()
    for resplits in (2, "3-fold"):
        with pytest.raises((ConfigError, SchemaError), match=r"'part'.*split: \{seed: 1\}"):
            setup(table, settings={"resplits": resplits}).splits()
    several = setup(table, settings={"resplits": 2}, split={"seed": 1}).splits()
    assert len(np.setdiff1d(several[0]["all"].rows("train"), split["all"].rows("train")))


def test_seeds_are_counted_from_the_experiments_own(setup):
    assert setup(seed=7, settings={"seeds": 3}).seeds == [7, 8, 9]


def test_the_group_is_that_of_the_split_where_none_is_given(setup):
    assert setup().group is None
    assert setup(split={"by_group": "area"}).group == "area"
    assert setup(settings={"group": "age"}, split={"by_group": "area"}).group == "age"


def test_a_study_is_its_settings_and_its_data(setup, houses):
    digest = setup(houses).digest
    assert setup(houses.copy()).digest == digest
    assert setup(houses.assign(age=0.5)).digest != digest
    assert setup(houses, settings={"seeds": 4}).digest != digest
    assert (
        setup(houses, settings={"candidates": ["sum"]}).digest == setup(houses, settings={"candidates": "sum"}).digest
    )
    assert setup(houses, [pt.Regression("price"), pt.Regression("age")]).digest != digest
