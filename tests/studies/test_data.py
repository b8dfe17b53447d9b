"""What each Run of a study sees of its rows: all, those of one task, permuted partners, all tables as one."""

import pickle

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import ConfigError
from polytask.experiment import Experiment
from polytask.studies.data import POOLED, StudyData, View, pooled_experiment
from polytask.studies.plan import candidate_units


@pytest.fixture
def parts(setup):
    """A study's rows and the experiment of its candidate, by what `setup` takes."""

    def made(*args, **settings) -> tuple[StudyData, Experiment]:
        found = setup(*args, **settings)
        data = found.data(found.splits())
        return data, candidate_units(found.candidates, data)[0].experiment

    return made


def two_tables(rows=120):
    generator = np.random.default_rng(0)
    tables = {}
    for k, name in enumerate(("left", "right")):
        frame = pd.DataFrame(generator.normal(size=(rows + 20 * k, 2)), columns=["a", "b"])
        frame["area"] = generator.choice(["north", "south"], len(frame))
        frame["score"] = frame["a"] * (k + 1) + 10 * k + 0.1 * generator.normal(size=len(frame))
        tables[name] = frame
    return tables, [pt.Regression("left", column="score"), pt.Regression("right", column="score")]


# Placebo -------------------------------------------------------------------------------------------------------------


def placebo(data, experiment, task, split=0):
    sources, given = data.view(View("placebo", task), split, experiment, "")
    tables = {name: source.table for name, source in sources.items()}
    return tables.get("all", tables), given


def test_a_placebo_permutes_the_partners_within_training_and_within_validation(parts, houses):
    data, experiment = parts(houses)
    table, given = placebo(data, experiment, "sold")
    frame, split = table.frame, data.splits[0]["all"]
    others = [column for column in houses if column != "price"]
    pd.testing.assert_frame_equal(frame[others], houses[others])
    for part in ("train", "validation"):
        rows = split.rows(part)
        before, after = houses["price"].to_numpy()[rows], frame["price"].to_numpy()[rows]
        assert not np.array_equal(before, after, equal_nan=True)
        np.testing.assert_array_equal(np.sort(before), np.sort(after))
    rows = split.rows("test")
    np.testing.assert_array_equal(houses["price"].to_numpy()[rows], frame["price"].to_numpy()[rows])
    assert given.splits is data.splits[0]
    assert {c: table.kind(c) for c in houses} == {c: data.tables["all"].kind(c) for c in houses}


def test_labels_of_a_row_stay_together(parts, houses):
    houses["tax"] = houses["price"] * 2
    houses.loc[::3, "tax"] = np.nan
    tasks = [pt.Regression("price"), pt.Regression("tax"), pt.Classification("sold")]
    data, experiment = parts(houses, tasks)
    frame = placebo(data, experiment, "sold")[0].frame
    both = frame["price"].notna() & frame["tax"].notna()
    assert both.sum() == (houses["price"].notna() & houses["tax"].notna()).sum()
    np.testing.assert_allclose(frame["tax"][both], 2 * frame["price"][both])
    assert (frame["price"].isna() & frame["tax"].isna()).sum() == (houses["price"].isna() & houses["tax"].isna()).sum()


def test_a_placebo_is_drawn_by_its_seed(parts):
    from dataclasses import replace

    data, experiment = parts()
    frames = [placebo(data, replace(experiment, seed=seed), "sold")[0].frame["price"] for seed in (0, 0, 1)]
    pd.testing.assert_series_equal(frames[0], frames[1])
    assert not frames[0].equals(frames[2])


def test_a_column_that_is_also_the_own_target_stays(parts, houses):
    houses["grade"] = np.clip(np.round(houses["age"] + 2), 1, 3).astype(int)
    tasks = [pt.Ordinal("rank", column="grade"), pt.Classification("grade"), pt.Classification("sold"),
             pt.Ordinal("again", column="sold", order=(0, 1))]  # fmt: skip
    data, experiment = parts(houses, tasks)
    frame = placebo(data, experiment, "rank")[0].frame
    pd.testing.assert_series_equal(frame["grade"], houses["grade"])
    assert not frame["sold"].equals(houses["sold"])


def test_a_placebo_of_several_tables_permutes_the_other_tables():
    tables, tasks = two_tables()
    from polytask.experiment import experiment_from
    from polytask.studies import StudySettings
    from polytask.studies.setup import set_up

    made = set_up(experiment_from(tasks), StudySettings(), tables)
    data = made.data(made.splits())
    experiment = candidate_units(made.candidates, data)[0].experiment
    found, _ = data.view(View("placebo", "left"), 0, experiment, "")
    pd.testing.assert_frame_equal(found["left"].table.frame, tables["left"])
    assert not found["right"].table.frame["score"].equals(tables["right"]["score"])
    pd.testing.assert_frame_equal(found["right"].table.frame[["a", "b"]], tables["right"][["a", "b"]])


def test_a_placebos_tags_are_as_many_as_the_tokens(parts):
    generator = np.random.default_rng(0)
    words = pd.Series([list(generator.choice(list("abcdef"), 1 + k % 5)) for k in range(120)])
    tags = words.map(lambda row: ["B-x" if word in "ab" else "O" for word in row])
    tags[::7] = None
    frame = pd.DataFrame({"words": words, "tags": tags, "sound": words.map(lambda row: "a" in row).astype(int)})
    tasks = [pt.Tagging("tags", tokens="words"), pt.Classification("sound")]
    data, experiment = parts(frame, tasks, inputs=["words"])
    table, _ = placebo(data, experiment, "sound")
    found = table.frame["tags"]
    assert found.isna().equals(tags.isna())
    assert not found.equals(tags)
    for part in ("train", "validation"):
        rows = [row for row in data.splits[0]["all"].rows(part) if tags[row] is not None]
        assert [len(found[row]) for row in rows] == [len(words[row]) for row in rows]
        before, after = (sorted(tag for row in rows for tag in of[row]) for of in (tags, found))
        assert before == after


def test_a_placebos_weights_go_with_the_labels(parts, houses):
    houses["certain"] = houses["price"] / 2  # missing where the label is
    data, experiment = parts(houses, [pt.Regression("price", weight="certain"), pt.Classification("sold")])
    frame = placebo(data, experiment, "sold")[0].frame
    assert not frame["price"].equals(houses["price"])
    pd.testing.assert_series_equal(frame["certain"], frame["price"] / 2, check_names=False)


# Alone ---------------------------------------------------------------------------------------------------------------


def test_alone_drops_the_rows_without_a_label(parts, houses):
    data, experiment = parts(houses)
    sources, given = data.view(View("alone", "price"), 0, experiment, "mark")
    assert sources["all"].table is data.tables["all"]
    for part in ("train", "validation", "test"):
        rows, of_all = given.splits["all"].rows(part), data.splits[0]["all"].rows(part)
        np.testing.assert_array_equal(rows, of_all[houses["price"].notna().to_numpy()[of_all]])
    assert given.mark == "mark"
    assert given.preprocessor is data.view(View("all"), 0, experiment, "")[1].preprocessor


def test_alone_has_one_of_several_tables(setup):
    tables, tasks = two_tables()
    made = setup(tables, tasks)
    data = made.data(made.splits())
    experiment = candidate_units(made.candidates, data)[0].experiment
    found, given = data.view(View("alone", "right"), 0, experiment, "")
    assert list(found) == list(given.splits) == ["right"]


def test_findings_are_those_of_the_runs_tasks(setup, houses):
    houses["leak"] = houses["price"].fillna(0) * 2
    made = setup(houses)
    data = made.data(made.splits())
    experiment = candidate_units(made.candidates, data)[0].experiment
    from dataclasses import replace

    assert {f.task for f in data.findings} & {"price"}
    alone = replace(experiment, tasks=experiment.tasks[1:])
    assert not [f for f in data.view(View("alone", "sold"), 0, alone, "")[1].findings if f.task == "price"]


# Pooled --------------------------------------------------------------------------------------------------------------


def test_pooled_rows_stand_under_one_another_with_the_name_of_their_task(setup):
    tables, tasks = two_tables()
    made = setup(tables, tasks)
    data = made.data(made.splits())
    first = candidate_units(made.candidates, data)[0].experiment
    experiment = pooled_experiment(first, data.tasks, data.tables)
    sources, given = data.view(View("pooled"), 0, experiment, "")
    table = sources["all"].table
    assert [t.name for t in experiment.tasks] == [POOLED]
    assert experiment.data.inputs == ("a", "b", "area", "task")
    assert table.frame["task"].tolist() == ["left"] * 120 + ["right"] * 140
    assert table.kind("task") == "category"
    np.testing.assert_array_equal(
        table.frame["target"], np.concatenate([tables["left"]["score"], tables["right"]["score"]])
    )
    parts = given.splits["all"].parts
    np.testing.assert_array_equal(parts, np.concatenate([data.splits[0][t].parts for t in ("left", "right")]))
    assert "task" in given.preprocessor.columns


def test_names_that_are_taken_are_left_alone(setup):
    tables, tasks = two_tables()
    tables = {name: frame.rename(columns={"a": "task", "b": "target"}) for name, frame in tables.items()}
    made = setup(tables, tasks)
    data = made.data(made.splits())
    first = candidate_units(made.candidates, data)[0].experiment
    experiment = pooled_experiment(first, data.tasks, data.tables)
    assert experiment.data.inputs == ("task", "target", "area", "task_")
    assert experiment.tasks[0].column == "target_"


def test_what_cannot_be_pooled_is_refused(parts, setup):
    data, experiment = parts()
    with pytest.raises(ConfigError, match=r"pooled wants a table for each task; these tasks share their rows"):
        pooled_experiment(experiment, data.tasks, data.tables)
    tables, tasks = two_tables()
    other = [tasks[0], pt.Ordinal("right", column="score")]
    with pytest.raises(ConfigError, match=r"pooled wants tasks of one kind.*'left' and 'right' differ"):
        pooled_experiment(experiment, other, tables)


# For other processes -------------------------------------------------------------------------------------------------


def test_another_process_gets_the_rows_without_what_was_fitted(parts):
    data, experiment = parts()
    given = data.view(View("all"), 0, experiment, "")[1]
    other = pickle.loads(pickle.dumps(data))
    assert data._preprocessors
    assert not other._preprocessors
    again = other.view(View("all"), 0, experiment, "")[1]
    assert again.preprocessor.columns == given.preprocessor.columns
    np.testing.assert_array_equal(again.splits["all"].parts, given.splits["all"].parts)
