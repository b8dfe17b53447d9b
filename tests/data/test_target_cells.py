"""What is a label, by every convention; and that loss, split, lint and metrics see the same."""

import json

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.config import build, plain
from polytask.data import Table, encode_targets, fit_task, row_has_label, target_cells
from polytask.errors import ConfigError, SchemaError


def lists(*cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


FRAME = pd.DataFrame(
    {
        "y": [0, 1, -1, 1, 0, 2],
        "text": ["a", "b", "?", "a", None, "-1"],
        "a": [0.0, 1, -1, 1, np.nan, 0],
        "b": [1.0, 0, 0, -1, 1, 1],
        "known": [True, True, True, False, True, None],
        "known_b": [1, 0, 1, 1, 1, 1],
        "click": [1, 1, 0, 1, None, 1],
        "country": ["DE", "FR", "DE", "AT", "DE", "FR"],
        "w": [1.0, 2, np.nan, 4, 5, 6],
        "w_b": [10.0, np.nan, 30, 40, 50, 60],
        "tags": lists(["x", "?"], ["?"], ["y"], None, ["x", "y"], ["x"]),
        "numbers": lists([1.5, -1.0], [2.0, 3.0], [-1.0, -1.0], [1.0, 1.0], [0.5, 1.0], [1.0, 1.0]),
    }
)
TABLE = Table.of(FRAME)


def labelled(task):
    return target_cells(TABLE, task)[1].astype(int).tolist()


@pytest.mark.parametrize("missing", [-1, [-1], "-1", -1.0, [5, -1]])
def test_a_value_that_means_missing(missing):
    assert labelled(pt.Classification("y", missing=missing)) == [1, 1, 0, 1, 1, 1]


def test_texts_that_mean_missing():
    assert labelled(pt.Classification("text", missing=["?", -1])) == [1, 1, 0, 1, 0, 0]


def test_of_several_columns():
    task = pt.Multilabel("m", columns=["a", "b"], missing=-1)
    assert labelled(task) == [[1, 1], [1, 1], [0, 1], [1, 0], [0, 1], [1, 1]]
    masked = pt.Multilabel("m", columns=["a", "b"], missing=-1, mask=["known", "known_b"])
    assert labelled(masked) == [[1, 1], [1, 0], [0, 1], [0, 0], [0, 1], [0, 1]]
    one = pt.Multilabel("m", columns=["a", "b"], missing=-1, mask="known")
    assert labelled(one) == [[1, 1], [1, 1], [0, 1], [0, 0], [0, 1], [0, 0]]


def test_places_of_lists_that_mean_missing():
    task = pt.Tagging("tags", missing="?")
    fitted = fit_task(TABLE, task, np.arange(6))
    assert fitted["counts"] == [3, 2]
    found = encode_targets(TABLE, [task], {"tags": fitted}, np.arange(6))
    assert found.present["tags"].padded()[0].int().sum(dim=1).tolist() == [1, 0, 1, 0, 2, 1]
    vector = pt.VectorRegression("numbers", missing=-1)
    target = encode_targets(TABLE, [vector], {"numbers": fit_task(TABLE, vector, np.arange(6))}, np.arange(6))
    assert target.present["numbers"].int().tolist() == [[1, 0], [1, 1], [0, 0], [1, 1], [1, 1], [1, 1]]


def test_a_mask_and_where_labels_count():
    assert labelled(pt.Classification("y", mask="known", missing=-1)) == [1, 1, 0, 0, 1, 0]
    assert labelled(pt.Classification("y", where={"click": 1})) == [1, 1, 0, 1, 0, 1]
    assert labelled(pt.Classification("y", where={"click": True})) == [1, 1, 0, 1, 0, 1]
    assert labelled(pt.Classification("y", where={"country": ["DE", "AT"], "click": 1})) == [1, 0, 0, 1, 0, 0]
    assert (
        row_has_label(TABLE, pt.Classification("y", where={"known": False})).tolist()
        == [False] * 3 + [True] + [False] * 2
    )


def test_where_nothing_holds():
    with pytest.raises(
        SchemaError, match=r"column 'y' has no value that is a label by where=\{'country': \('US',\)\} in any"
    ):
        fit_task(TABLE, pt.Classification("y", where={"country": "US"}), np.arange(6))
    with pytest.raises(SchemaError, match="no column 'countri' in the table; did you mean 'country'"):
        fit_task(TABLE, pt.Classification("y", where={"countri": "US"}), np.arange(6))


def test_a_weight_a_cell():
    task = pt.Multilabel("m", columns=["a", "b"], missing=-1, mask=["known", "known_b"], weight=["w", "w_b"])
    fitted = {"m": fit_task(TABLE, task, np.arange(6))}
    weight = encode_targets(TABLE, [task], fitted, np.array([0, 1, 2, 4])).weight["m"]
    assert weight.tolist() == [[1, 10], [2, 0], [0, 30], [0, 50]]
    free = pt.Multilabel("m", columns=["a", "b"], missing=-1, weight=["w", "w_b"])
    with pytest.raises(SchemaError, match=r"task 'm': the weight in column 'w_b', row 1, is missing; a number >= 0"):
        encode_targets(TABLE, [free], {"m": fit_task(TABLE, free, np.arange(6))}, np.arange(6))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight": ["w", "w_b"]}, "weight names one column, or one for each of the task's 1; got 2"),
        ({"mask": ["a", "b", "c"]}, "mask names one column, or one for each of the task's 1; got 3"),
        ({"where": {"click": []}}, r"where wants a value or a list of values of 'click', got \[\]"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(ValueError, match=said):
        pt.Classification("y", **settings)


def test_settings_of_yaml():
    given = {"name": "y", "where": {"click": 1}, "missing": [-1, "?"], "mask": "known", "weight": ["w"]}
    task = build(pt.Classification, given)
    assert build(pt.Classification, json.loads(json.dumps(plain(task)))) == task
    with pytest.raises(ConfigError, match="where"):
        build(pt.Classification, {"name": "y", "where": "click"})


@pytest.fixture(scope="module")
def clicks():
    g = np.random.default_rng(0)
    x = g.normal(size=500)
    click = (x + g.normal(size=500) > 0).astype(int)
    buy = np.where(click == 1, (x + g.normal(size=500) > 0.5).astype(int), 0)
    return pd.DataFrame({"x": x, "click": click, "buy": buy, "seen": (g.random(500) < 0.9), "w": g.random(500)})


def test_from_the_users_door(clicks, tmp_path):
    tasks = [pt.Classification("click"), pt.Classification("buy", where={"click": 1}, mask="seen", weight="w")]
    run = pt.fit(clicks, tasks, epochs=2, folder=tmp_path / "run", quiet=True, seed=0)
    assert pt.load(tmp_path / "run").tasks == run.tasks
    rows = run.split().rows("test")
    counted = clicks.iloc[rows].query("click == 1 and seen")
    assert run.evaluate()["buy"]["rows"] == len(counted)
    assert run.blueprint.spec.numbers == ("x",)
    assert len(run.predict(clicks[["x"]])) == 500
    with pytest.raises(ConfigError, match=r"data\.inputs: 'seen' is the mask of task 'buy'; take it out"):
        pt.fit(clicks, tasks, inputs=["x", "seen"], folder=tmp_path / "other", quiet=True)
    with pytest.raises(ConfigError, match=r"data\.inputs: 'w' is the weight of task 'buy'; take it out"):
        pt.fit(clicks, tasks, inputs=["x", "w"], folder=tmp_path / "other", quiet=True)
