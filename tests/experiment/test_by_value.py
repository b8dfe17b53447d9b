"""One task a value of a column: trained, asked, judged, opened again, studied."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import ConfigError, RunError, SchemaError

SMALL = {"epochs": 3, "batch_size": 32, "quiet": True}


@pytest.fixture
def schools():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"school": generator.choice(["a", "b", "c d"], 240), "x": generator.normal(size=240)})
    frame["age"] = generator.integers(10, 14, 240).astype(float)
    steepness = frame["school"].map({"a": 1.0, "b": -1.0, "c d": 3.0})
    frame["score"] = frame["x"] * steepness + 0.1 * frame["age"]
    frame["passed"] = np.where(frame["score"] > frame["score"].median(), "yes", "no")
    return frame


@pytest.fixture
def tasks():
    return [pt.Regression("score"), pt.Classification("passed")]


@pytest.fixture
def run(schools, tasks, tmp_path):
    return pt.fit(schools, tasks, by="school", folder=tmp_path / "run", **SMALL)


def test_each_value_has_its_rows_and_every_task(run, schools):
    assert [task.name for task in run.tasks] == [f"{t}-{v}" for v in _values(schools) for t in ("score", "passed")]
    for value in _values(schools):
        rows = (schools["school"] == value.replace("_", " ")).sum()
        assert sum(run.split(f"school-{value}").counts().values()) == rows
        assert [c.name for c in run.schema[f"school-{value}"].columns] == ["x", "age", "score", "passed"]
    assert set(run.evaluate()) == {task.name for task in run.tasks}


def _values(schools):
    return [value.replace(" ", "_") for value in schools["school"].unique()]


def test_the_experiment_stays_as_it_was_written(run, schools, tasks, tmp_path):
    text = (run.path / "config.yaml").read_text()
    assert "by: school" in text
    assert "score-" not in text
    again = pt.fit(schools, tasks, by="school", folder=tmp_path / "run", **SMALL)
    assert again.metrics == run.metrics
    with pytest.raises(RunError, match=r"data\.by is 'school' there"):
        pt.fit(schools, tasks, folder=tmp_path / "run", **SMALL)


def test_a_row_is_answered_by_its_own_values_task(run, schools):
    rows = schools.sample(50, random_state=1)
    found = run.predict(rows, probabilities=True)
    assert list(found.columns) == ["score", "passed", "passed[no]", "passed[yes]"]
    assert found.index.equals(rows.index)
    everything = run.predict(rows.drop(columns="school"))
    for row, value in rows["school"].items():
        assert found.loc[row, "score"] == pytest.approx(
            everything.loc[row, f"score-{value.replace(' ', '_')}"], rel=1e-5
        )
    assert list(run.predict(rows, tasks=["score-a"]).columns) == ["score-a"]
    assert list(run.predict(rows, tasks=["passed"]).columns) == ["passed"]


def test_rows_judge_their_own_values_tasks(run, schools):
    rows = schools[schools["school"] != "b"]
    scores = run.evaluate(rows)
    assert set(scores) == {"score-a", "passed-a", "score-c_d", "passed-c_d"}
    alone = run.evaluate({"score-a": schools[schools["school"] == "a"]})
    assert scores["score-a"]["r2"] == pytest.approx(alone["score-a"]["r2"], rel=1e-5)
    assert set(run.evaluate(rows, tasks=["score"])) == {"score-a", "score-c_d"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"school": "e"}, "row 0: the value is 'e', which training did not have"),
        ({"school": None}, "row 0: the value is missing"),
    ],
)
def test_rows_of_nobody_are_refused(run, schools, change, sentence):
    with pytest.raises(SchemaError, match=sentence):
        run.predict(schools.head(3).assign(**change))


def test_rows_of_other_values_have_missing_predictions(run, schools):
    rows = schools.head(6).copy()
    expected = run.predict(rows)
    rows.loc[[1, 4], "school"] = "e"
    rows.loc[2, "school"] = None
    with pytest.warns(UserWarning, match=r"3 of 6 rows .*: e: 2, missing: 1\).*predictions are missing") as said:
        found = run.predict(rows)
    assert len(said) == 1
    assert found.isna().all(axis=1).tolist() == [False, True, True, False, True, False]
    pd.testing.assert_frame_equal(found.dropna(), expected.loc[[0, 3, 5]], rtol=1e-5)
    with pytest.raises(SchemaError, match="3 of 6 rows"):
        run.evaluate(rows)


def test_classes_that_are_whole_numbers_stay_so_beside_missing_ones(schools, tmp_path):
    rows = schools.assign(passed=(schools["passed"] == "yes").astype(int))
    run = pt.fit(rows, [pt.Classification("passed")], by="school", folder=tmp_path / "whole", **SMALL)
    expected = run.predict(rows.head(4))
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        found = run.predict(rows.head(4).assign(school=[*rows["school"].head(3), "e"]))
    assert [str(cell) for cell in found["passed"]] == [*map(str, expected["passed"].head(3)), "<NA>"]


def test_a_written_task_wants_the_column(run, schools):
    with pytest.raises(SchemaError, match="no column 'school', which says whose 'score' is wanted"):
        run.predict(schools.drop(columns="school"), tasks=["score"])


def test_a_file_is_found_again(schools, tasks, tmp_path):
    schools.to_parquet(tmp_path / "schools.parquet")
    run = pt.fit(tmp_path / "schools.parquet", tasks, by="school", folder=tmp_path / "run", **SMALL)
    scores = pt.load(run.path).evaluate()
    assert scores["score-a"]["r2"] == run.evaluate()["score-a"]["r2"]
    schools.assign(x=0.0).to_parquet(tmp_path / "schools.parquet")
    with pytest.raises(RunError, match="not those this Run was trained on"):
        pt.load(run.path).evaluate()
    schools[schools["school"] != "a"].to_parquet(tmp_path / "schools.parquet")
    with pytest.raises(RunError, match="the data of table 'school-a' are no longer there"):
        pt.load(run.path).evaluate()


def test_a_table_in_memory_is_given_again_whole(run, schools):
    assert set(pt.load(run.path, data=schools).evaluate()) == {task.name for task in run.tasks}
    with pytest.raises(RunError, match="in memory"):
        pt.load(run.path).evaluate()


def test_values_with_few_labels(schools, tasks, tmp_path, capsys):
    few = pd.concat([schools, schools.head(2).assign(school="tiny")], ignore_index=True)
    with pytest.raises(SchemaError, match=r"1 of 4 values of 'school' have fewer than 3 rows .*\(tiny: 2\)"):
        pt.fit(few, tasks, by="school", folder=tmp_path / "few", **SMALL)
    settings = {**SMALL, "quiet": False, "epochs": 1}
    run = pt.fit(few, tasks, by="school", fewest_rows=3, folder=tmp_path / "few", **settings)
    said = "1 of 4 values of 'school' with fewer than 3 labelled rows are left out, 2 rows in all (tiny: 2)"
    assert said in capsys.readouterr().err
    assert run.folder.read_json("run.json")["notes"] == [said]
    assert "score-tiny" not in [task.name for task in run.tasks]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ignore": ["school"]}, "ignore names 'school', the column of by"),
        ({"split": {"by_group": "school"}}, r"split\.by_group names 'school'"),
        ({"key": "school"}, "key names 'school', the column of by"),
        ({"inputs": ["x", "school"]}, "inputs names 'school'"),
        ({"fewest_rows": 0}, "a number of rows from 1"),
        ({"by": None, "fewest_rows": 3}, "no effect without by"),
        ({"by": "schol"}, "did you mean 'school'"),
    ],
)
def test_settings_that_cannot_be(schools, tasks, tmp_path, settings, sentence):
    with pytest.raises((ConfigError, SchemaError), match=sentence):
        pt.fit(schools, tasks, **{"by": "school", "folder": tmp_path / "run", **SMALL, **settings})


def test_a_name_too_long(schools, tmp_path):
    with pytest.raises(ConfigError, match="at most 64"):
        pt.fit(schools, [pt.Regression("s" * 63, column="score")], by="school", folder=tmp_path / "run", **SMALL)


def test_a_study_of_values(schools, tmp_path):
    study = pt.study(
        schools,
        [pt.Regression("score")],
        by="school",
        seeds=1,
        baselines=["linear"],
        folder=tmp_path / "study",
        jobs=0,
        epochs=2,
        batch_size=32,
        quiet=True,
    )
    assert {task["name"] for task in study.results["tasks"]} == {"score-a", "score-b", "score-c_d"}
    (candidate, *_) = study.runs(study.results["arms"][0]["name"])
    assert len(candidate.tasks) == 3


def test_a_study_of_several_tasks_a_value(schools, tasks, tmp_path):
    settings = {"seeds": 1, "jobs": 0, "epochs": 2, "batch_size": 32, "quiet": True, "baselines": []}
    study = pt.study(schools, tasks, by="school", folder=tmp_path / "study", **settings)
    assert len(study.results["tasks"]) == 6


def test_a_pooled_companion_of_values(schools, tmp_path):
    study = pt.study(
        schools,
        [pt.Regression("score")],
        by="school",
        seeds=1,
        companions=["pooled"],
        baselines=[],
        folder=tmp_path / "study",
        jobs=0,
        epochs=2,
        batch_size=32,
        quiet=True,
    )
    assert "pooled" in {arm["name"] for arm in study.results["arms"]}
