"""Feature selection: planted columns are found, for all tasks or for each; scores agree with closed forms."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import Select, Table, choose_features, score_features, select_features
from polytask.errors import ConfigError
from polytask.tasks import Classification, Multilabel, Regression, Similarity

N = 800
METHODS = ["mutual_information", "multi_task_lasso"]


def planted(seed=0):
    """`both` says something of two tasks, `one` of the first, `other` of the second; the rest is noise."""
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=N) for name in ("noise", "one", "other", "both", "more")}
    kind = rng.choice(["p", "q", "s"], N)
    frame = pd.DataFrame({**x, "kind": kind, "any": rng.choice(["u", "v"], N), "flat": np.ones(N)})
    frame["r"] = x["both"] + x["one"] + (kind == "p") + 0.3 * rng.normal(size=N)
    frame["y"] = np.where(x["both"] + x["other"] + 0.3 * rng.normal(size=N) > 0, "yes", "no")
    return frame


COLUMNS = ["noise", "one", "other", "both", "more", "kind", "any", "flat"]
TASKS = [Regression("r"), Classification("y")]


@pytest.mark.parametrize("method", METHODS)
def test_planted_columns_are_found(method):
    table, rows = Table(planted()), np.arange(600)
    found = select_features(table, TASKS, rows, COLUMNS, Select(method=method, keep=4))
    assert set(found.kept) == {"one", "other", "both", "kind", "flat"}  # a constant one is the preprocessing's to drop
    assert set(found.dropped) == {"noise", "more", "any"}
    assert max(found.scores, key=found.scores.__getitem__) == "both"
    each = select_features(table, TASKS, rows, COLUMNS, Select(method=method, keep=2, per="task"))
    assert set(each.kept_by_task["r"]) == {"both", "one"}
    assert set(each.kept_by_task["y"]) == {"both", "other"}
    assert set(each.kept) == {"both", "one", "other", "flat"}
    again = select_features(table, TASKS, rows, COLUMNS, Select(method=method, keep=4))
    assert again == found


@pytest.mark.parametrize("method", METHODS)
def test_only_the_rows_given_are_read(method):
    frame = planted()
    rows = np.arange(600)
    spoilt = frame.copy()
    spoilt.loc[600:, ["r", "one"]] = 7.0
    settings = Select(method=method)
    assert score_features(Table(frame), TASKS, rows, COLUMNS, settings) == score_features(
        Table(spoilt), TASKS, rows, COLUMNS, settings
    )


def test_scores_are_shares():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=5000), rng.normal(size=5000)
    y = rng.choice(["a", "b", "c"], 5000)
    frame = pd.DataFrame({"x": x, "copy": y, "r": 0.8 * x + 0.6 * noise, "y": y})
    scores = score_features(
        Table(frame), [Regression("r"), Classification("y")], np.arange(5000), ["x", "copy"], Select()
    )
    assert scores["r"]["x"] == pytest.approx(0.64, abs=0.05)  # r² of a normal pair
    assert scores["y"]["copy"] == pytest.approx(1, abs=1e-6)
    assert scores["y"]["x"] < 0.05


def test_missing_labels_and_several_labels():
    frame = planted()
    frame["l"] = (frame["more"] > 0).astype(float)
    frame["m"] = (frame["one"] > 0).astype(float)
    frame.loc[:300, "r"] = np.nan
    frame.loc[500:, "l"] = np.nan
    tasks = [Regression("r"), Multilabel("lm", columns=["l", "m"])]
    found = select_features(Table(frame), tasks, np.arange(N), COLUMNS, Select(keep=3))
    assert {"one", "more", "both"} <= set(found.kept)
    with pytest.raises(ConfigError, match="every target is present, and there are 9 of 310 training rows"):
        select_features(Table(frame), [*tasks, TASKS[1]], np.arange(310), COLUMNS, Select(method="multi_task_lasso"))


def test_what_cannot_be_judged_stays():
    frame = planted().assign(photo=[np.zeros((2, 2))] * N)
    found = select_features(Table(frame), TASKS, np.arange(N), [*COLUMNS, "photo"], Select(keep=1))
    assert found.kept == ("both", "flat", "photo")
    with pytest.raises(ConfigError, match="there is nothing to select by"):
        select_features(Table(frame), TASKS, np.arange(N), ["photo"], Select())
    with pytest.raises(ConfigError, match="there is nothing to select by"):
        select_features(Table(frame), [Similarity("kind")], np.arange(N), ["one"], Select())


def test_shares_and_ties():
    scores = {"t": {"a": 0.0, "b": 0.0, "c": 1.0}}
    assert choose_features(scores, ["a", "b", "c"], Select(keep=0.5)).kept == ("a", "c")
    assert choose_features(scores, ["a", "b", "c"], Select(keep=9)).dropped == ()


@pytest.mark.parametrize("settings", [{"keep": 0}, {"keep": 1.5}, {"keep": -1}, {"method": "best"}, {"per": "row"}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match="select: "):
        Select(**settings)
