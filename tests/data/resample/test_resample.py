"""Resampling: counts as wanted, the measured imbalance falls, no row is lost, and what cannot be is named."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import (
    RESAMPLERS,
    Preprocessor,
    Table,
    encode_targets,
    fit_task,
    make_resampler,
    resample,
    restricted,
)
from polytask.data.resample import MLROS, SMOTE, Oversample, Undersample, imbalance_ratios, mean_imbalance_ratio
from polytask.errors import ConfigError
from polytask.feature import CATEGORIES, NUMBERS
from polytask.tasks import Classification, Multilabel, Regression

LABELS = ["a", "b", "c", "d"]


def drawn(settings, frame, tasks, seed=0):
    return resample(Table(frame), tasks, np.arange(len(frame)), settings, np.random.default_rng(seed))


def classes_of(num_rows=200, seed=0, missing=0.2):
    rng = np.random.default_rng(seed)
    y = rng.choice(["x", "y", "z"], num_rows, p=[0.75, 0.2, 0.05]).astype(object)
    y[rng.random(num_rows) < missing] = None
    y[:3] = ["x", "y", "z"]
    return pd.DataFrame({"y": y, "r": rng.normal(size=num_rows)})


def labels_of(num_rows=600, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.random((num_rows, 4)) < [0.5, 0.4, 0.05, 0.02], columns=LABELS).astype(int)


def test_ratios_of_the_paper_s_formulas():
    assert imbalance_ratios(np.array([10, 5, 0])).tolist() == [1, 2, np.inf]
    assert mean_imbalance_ratio(np.array([10, 5, 0])) == 1.5
    assert mean_imbalance_ratio(np.zeros(3)) == 1


@given(st.integers(20, 200), st.floats(0.1, 1), st.integers(0, 20))
def test_oversampling_reaches_the_ratio_and_loses_nothing(num_rows, ratio, seed):
    frame = classes_of(num_rows, seed)
    rows = drawn(Oversample(ratio=ratio), frame, [Classification("y")], seed)
    assert rows.dtype == np.int64
    assert (rows[:num_rows] == np.arange(num_rows)).all()
    before, after = frame["y"].value_counts(), frame["y"].iloc[rows].value_counts()
    for name in before.index:
        assert after[name] == max(before[name], round(ratio * before.max()))
    assert frame["y"].iloc[rows].isna().sum() == frame["y"].isna().sum()
    of_rarest = np.bincount(rows, minlength=num_rows)[(frame["y"] == before.index[-1]).to_numpy()]
    assert of_rarest.max() - of_rarest.min() <= 1


@given(st.integers(20, 200), st.floats(0.1, 1), st.integers(0, 20))
def test_undersampling_repeats_nothing(num_rows, ratio, seed):
    frame = classes_of(num_rows, seed)
    rows = drawn(Undersample(task="y", ratio=ratio), frame, [Classification("y"), Regression("r")], seed)
    assert (np.diff(rows) > 0).all()
    before, after = frame["y"].value_counts(), frame["y"].iloc[rows].value_counts()
    for name in before.index:
        assert after[name] == min(before[name], int(before.min() / ratio))
    assert frame["y"].iloc[rows].isna().sum() == frame["y"].isna().sum()


def slow_ml_ros(labels, percent, generator):
    """The paper's algorithm, counted anew at every step."""
    ratios = lambda rows: imbalance_ratios(rows.sum(axis=0))  # noqa: E731
    mean = mean_imbalance_ratio(labels.sum(axis=0))
    bags = {k: np.flatnonzero(labels[:, k]) for k in range(labels.shape[1]) if ratios(labels)[k] > mean}
    rows = list(range(len(labels)))
    left = int(len(labels) * percent / 100)
    while left > 0 and bags:
        for k in list(bags):
            if left > 0:
                rows.append(int(generator.choice(bags[k])))
                left -= 1
                if ratios(labels[rows])[k] <= mean:
                    del bags[k]
    return rows


@pytest.mark.parametrize("percent", [5, 25, 400])
def test_ml_ros_is_the_paper_s(percent):
    frame = labels_of()
    rows = drawn(MLROS(percent=percent), frame, [Multilabel("m", columns=LABELS)], seed=3)
    assert rows.tolist() == slow_ml_ros(frame.to_numpy(), percent, np.random.default_rng(3))
    before, after = (mean_imbalance_ratio(f.sum().to_numpy()) for f in (frame, frame.iloc[rows]))
    assert after < before
    assert len(rows) <= 600 * (1 + percent / 100)
    assert percent > 5 or len(rows) == 630


def test_ml_ros_takes_binary_tasks_as_labels():
    frame = labels_of()
    one = drawn(MLROS(), frame, [Multilabel("m", columns=LABELS)])
    apart = drawn(MLROS(), frame, [Classification(name) for name in LABELS])
    assert (one == apart).all()
    some = drawn(MLROS(tasks=("a", "d")), frame, [Classification(name) for name in LABELS])
    assert (frame["d"].iloc[some[600:]] == 1).all()


def test_missing_labels_are_none():
    frame = labels_of().astype(float).mask(np.random.default_rng(1).random((600, 4)) < 0.3)
    rows = drawn(MLROS(), frame, [Multilabel("m", columns=LABELS)])
    assert mean_imbalance_ratio(frame.iloc[rows].sum().to_numpy()) < mean_imbalance_ratio(frame.sum().to_numpy())


def test_draws_are_the_generator_s():
    for settings, frame, tasks in (
        (Oversample(ratio=0.7), classes_of(), [Classification("y")]),
        (Undersample(ratio=0.7), classes_of(), [Classification("y")]),
        (MLROS(), labels_of(), [Multilabel("m", columns=LABELS)]),
    ):
        first, again, other = (drawn(settings, frame, tasks, seed) for seed in (0, 0, 1))
        assert first.tolist() == again.tolist()
        assert first.tolist() != other.tolist()


def encoded(frame, tasks):
    table, rows = Table(frame), np.arange(len(frame))
    targets = [column for task in tasks for column in task.columns]
    fitted = {task.name: fit_task(table, task, rows) for task in tasks}
    inputs = Preprocessor.fit(table, [c for c in frame.columns if c not in targets], rows).transform(table)
    return inputs, encode_targets(table, tasks, fitted, rows), fitted


@pytest.mark.parametrize("kinds", ["numbers", "categories", "both"])
def test_smote_stays_between_rows_of_the_class(kinds):
    pytest.importorskip("imblearn")
    rng = np.random.default_rng(0)
    frame = classes_of(150, missing=0.1)
    if kinds != "categories":
        frame["u"], frame["v"] = rng.normal(size=150), rng.normal(size=150) + (frame["y"] == "z") * 9
    if kinds != "numbers":
        frame["k"], frame["b"] = rng.choice(["p", "q", "s"], 150), rng.random(150) < 0.5
    tasks = [Classification("y"), Regression("r")]
    inputs, targets, fitted = encoded(frame, tasks)
    smote = SMOTE(neighbors=2, task="y")
    assert smote.positions(targets, tasks, fitted, rng).tolist() == list(range(150))
    more, wider = smote.extended(inputs, targets, tasks, fitted, np.random.default_rng(5))
    again, _ = smote.extended(inputs, targets, tasks, fitted, np.random.default_rng(5))
    codes, counts = torch.unique(wider.values["y"][wider.present["y"]], return_counts=True)
    assert counts.tolist() == [counts[0].item()] * 3
    for name, block in more.items():
        assert block.dtype == inputs[name].dtype
        torch.testing.assert_close(block, again[name], rtol=0, atol=0)
        torch.testing.assert_close(block[:150], inputs[name], rtol=0, atol=0)
        for code in codes:
            old = inputs[name][(targets.values["y"] == code) & targets.present["y"]]
            new = block[150:][wider.values["y"][150:] == code]
            assert (new <= old.amax(dim=0) + 1e-6).all()
            assert (new >= old.amin(dim=0) - 1e-6).all()
            if name == CATEGORIES:
                assert all(set(new[:, k].tolist()) <= set(old[:, k].tolist()) for k in range(old.shape[1]))
    if kinds == "both":
        truth = more[NUMBERS][:, -1]
        assert set(truth.tolist()) == {0, 1}
    assert not wider.present["r"][150:].any()
    assert (wider.weight["r"][150:] == 0).all()
    assert (wider.weight["y"][150:] == 1).all()
    assert "x" not in smote.said(targets, wider, tasks, fitted)


def test_what_smote_cannot_make_is_said():
    pytest.importorskip("imblearn")
    frame = classes_of(40, missing=0)
    frame["u"] = np.arange(40.0)
    inputs, targets, fitted = encoded(frame, [Classification("y"), Regression("r")])
    rng = np.random.default_rng(0)
    number = (frame["y"] == "z").sum()
    with pytest.raises(ConfigError, match=f"class 'z' of task 'y' has {number}; neighbors: {number - 1} would do"):
        SMOTE(task="y", neighbors=9).extended(inputs, targets, [Classification("y")], fitted, rng)
    pictures = {**inputs, "photo": torch.zeros(40, 1, 2, 2)}
    with pytest.raises(ConfigError, match="input 'photo' is neither number nor category; oversample"):
        SMOTE(task="y").extended(pictures, targets, [Classification("y")], fitted, rng)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("oversampel", "data.resample.oversampel: unknown resample 'oversampel'; did you mean 'oversample'"),
        ({"oversample": {"ratoi": 1}}, "unknown setting 'ratoi'"),
        ({"oversample": {"ratio": 0}}, "ratio=0.0 is out of range"),
        ({"ml_ros": {"percent": 0}}, "percent=0.0 is out of range"),
        ({"smote": {"neighbors": 0}}, "neighbors=0 is out of range"),
        (
            "oversample",
            r"wants one task of classes, and there are 2 \('y', 'm'\): name it, as \{oversample: \{task: y\}\}",
        ),
        ({"undersample": {"task": "yy"}}, "undersample names 'yy', which is no task"),
        ({"smote": {"task": "r"}}, "task 'r' is of kind regression; a classification or ordinal task is wanted"),
        ({"oversample": {"task": "l"}}, "ml_ros evens out the labels of a multilabel task"),
        ({"ml_ros": {"tasks": ["r"]}}, "task 'r' is of kind regression; multilabel tasks"),
        ({"ml_ros": {"tasks": ["q"]}}, "ml_ros names 'q', which is no task"),
    ],
)
def test_wrong_settings_are_named(written, message):
    tasks = [Classification("y"), Classification("m"), Regression("r"), Multilabel("l", columns=LABELS)]
    with pytest.raises(ConfigError, match=message):
        make_resampler(written, tasks)


def test_what_is_left_for_some_of_the_tasks():
    tasks = [Classification("y"), Regression("r"), Multilabel("l", columns=LABELS)]
    assert restricted(None, tasks, ["y"]) is None
    assert restricted("oversample", tasks, ["y"]) == {"oversample": {"task": "y"}}
    assert restricted({"smote": {"neighbors": 3}}, tasks, ["y"]) == {"smote": {"neighbors": 3, "task": "y"}}
    assert restricted("oversample", tasks, ["r"]) is None
    assert restricted("ml_ros", tasks, ["l", "r"]) == {"ml_ros": {"tasks": ["l"]}}
    for name in RESAMPLERS:
        assert RESAMPLERS[name].name == name
