"""Pseudo-labels: what a Run is sure of fills in for missing labels, and never where its split judges."""

import sys

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.data import Table
from polytask.errors import ConfigError, RunError, SchemaError
from polytask.experiment.sure_labels import sure_labels

TAGS = ["red", "old"]


@pytest.fixture
def few(houses):
    """Houses most of which nobody has labelled; whole numbers, so that no two are alike."""
    frame = houses.assign(number=np.arange(len(houses)) * 1.0, red=houses["rooms"].gt(0) * 1.0, old=1.0)
    frame["old"] = np.where(frame["age"] > 0, 1.0, 0.0)
    frame.loc[60:, ["price", "sold", *TAGS]] = None
    frame.loc[:5, "sold"] = None
    frame.loc[6:12, "red"] = None
    return frame


@pytest.fixture
def tasks():
    return [pt.Regression("price"), pt.Classification("sold"), pt.Multilabel("tags", columns=TAGS)]


@pytest.fixture
def run(fit, few):
    return fit(few, epochs=4, learning_rate=0.03)


def test_classes_are_sure_where_the_largest_probability_is():
    task = pt.Classification("size")
    fitted = {"classes": ["l", "m", "s"], "counts": [1, 1, 1]}
    frame = pd.DataFrame({"size[l]": [0.2, 0.0, 0.1], "size[m]": [0.7, 0.1, 0.1], "size[s]": [0.1, 0.9, 0.8]})
    found = sure_labels(task, fitted, frame, 0.8)
    assert found.values.tolist() == ["m", "s", "s"]
    assert found.is_sure.tolist() == [False, True, True]


def test_labels_are_sure_one_by_one_or_as_a_list():
    frame = pd.DataFrame({"tags[red]": [0.95, 0.5, 0.02], "tags[old]": [0.04, 0.99, 0.6]})
    fitted = {"labels": TAGS, "positives": [1, 1], "present": [2, 2]}
    found = sure_labels(pt.Multilabel("tags", columns=TAGS), fitted, frame, 0.9)
    assert found.values[found.is_sure].tolist() == [1, 0, 1, 0]
    assert found.is_sure.tolist() == [[True, True], [False, True], [True, False]]
    found = sure_labels(pt.Multilabel("tags"), fitted, frame, 0.9)
    assert found.is_sure.tolist() == [True, False, False]
    assert found.values[0] == ["red"]


def test_missing_labels_are_those_of_the_run_and_given_ones_stay(run, few):
    says = run.predict(few, probabilities=True)
    largest = says[["sold[no]", "sold[yes]"]].max(axis=1)
    level = float(largest[few["sold"].isna()].median())
    more = pt.pseudo_label(run, few, confidence=level, weight=0.5, quiet=True)
    frame, parts = more.frame, run.split().parts
    assert "price weight" not in frame
    pd.testing.assert_frame_equal(frame[few.columns.drop(["sold", *TAGS])], few[few.columns.drop(["sold", *TAGS])])
    given = few["sold"].notna()
    assert (frame["sold"][given] == few["sold"][given]).all()
    assert (frame["sold weight"][given] == 1).all()
    borrowed = frame["sold"].notna() & ~given
    sure = largest.astype(float) >= level
    assert borrowed.tolist() == (sure & ~given & (parts <= 0)).tolist()
    assert 10 < borrowed.sum() < (~given).sum()
    assert (frame["sold"][borrowed] == says["sold"][borrowed]).all()
    assert (frame["sold weight"][borrowed] == 0.5).all()
    # One weight a row: half given, it borrows no others; without a weight of their own it does.
    assert frame.loc[6:12, "red"].isna().all()
    whole = pt.pseudo_label(run, few, confidence=0.5, quiet=True).frame
    assert whole.loc[6:12, "red"].notna().any()


@pytest.mark.parametrize("order", ["same", "turned", "some"])
def test_no_row_that_judges_gets_a_label(run, few, order):
    rows = {"same": few, "turned": few.iloc[::-1], "some": few.iloc[2:50]}[order].reset_index(drop=True)
    more = pt.pseudo_label(run, rows, confidence=0.0, quiet=True)
    held = few.index[run.split().parts > 0]
    is_held = rows["number"].isin(few["number"][held])
    assert is_held.any()
    assert (more.frame["part"].isin(["validation", "test"]) == is_held).all()
    missing = rows["sold"].isna()
    assert (missing & is_held).any()
    assert more.frame["sold"][missing & is_held].isna().all()
    assert more.frame["sold"][~is_held].notna().all()


def test_groups_and_times_that_are_held_out_get_no_label(fit, few):
    few["street"] = np.arange(len(few)) % 12
    few["day"] = np.arange(len(few)) % 60
    by_group = fit(few, folder="group", split={"by_group": "street"})
    parts = by_group.split().parts
    frame = pt.pseudo_label(by_group, few, confidence=0.0, quiet=True).frame
    judges = set(few["street"][parts > 0])
    assert (frame["sold"].isna() & few["sold"].isna()).equals(few["street"].isin(judges) & few["sold"].isna())
    by_time = fit(few, folder="time", split={"by_time": "day"})
    first = few["day"][by_time.split().parts > 0].min()
    frame = pt.pseudo_label(by_time, few, confidence=0.0, quiet=True).frame
    assert (frame["sold"].isna() & few["sold"].isna()).equals((few["day"] >= first) & few["sold"].isna())


def test_it_trains_on_both_and_holds_out_the_same(run, few, fit):
    more = pt.pseudo_label(run, few, tasks=["sold"], confidence=0.5, weight=0.25, quiet=True)
    again = fit(more, [pt.Classification("sold", weight="sold weight")], folder="again", split={"column": "part"})
    parts = run.split().parts
    assert (again.split().rows("test") == np.flatnonzero((parts == 2) & few["sold"].notna())).all()
    assert (again.split().rows("validation") == np.flatnonzero((parts == 1) & few["sold"].notna())).all()
    assert len(again.split().rows("train")) > len(run.split().rows("train"))


def test_rows_of_another_table_and_row_weights_of_its_own(fit, few, tasks):
    task = pt.Classification("sold", weight="trust")
    run = fit(few.assign(trust=2.0), [task], epochs=4, ignore=["price", *TAGS], learning_rate=0.03)
    other = few[["rooms", "age", "distance", "area", "number"]].assign(number=lambda f: f["number"] + 1000)
    more = pt.pseudo_label(run, other, confidence=0.0, weight=0.5, quiet=True).frame
    assert set(more["sold"]) <= {"yes", "no"}
    assert set(more["part"]) == {"train"}
    assert set(more["sold weight"]) == {0.5}
    own = pt.pseudo_label(run, few.assign(trust=2.0), confidence=0.0, weight=0.5, quiet=True).frame
    assert set(own["sold weight"]) == {2.0, 1.0}


def test_what_cannot_be_is_a_sentence(run, few):
    with pytest.raises(ConfigError, match=r"'price' \(regression\) does not say how sure it is"):
        pt.pseudo_label(run, few, tasks=["price"])
    with pytest.raises(ConfigError, match="'prise' is no task of this Run"):
        pt.pseudo_label(run, few, tasks=["prise"])
    with pytest.raises(ValueError, match=r"confidence=1.5: a probability from 0 to 1"):
        pt.pseudo_label(run, few, confidence=1.5)
    with pytest.raises(ValueError, match=r"weight=0: a number above 0"):
        pt.pseudo_label(run, few, weight=0)
    with pytest.raises(SchemaError, match="a column 'part' already"):
        pt.pseudo_label(run, few.assign(part="x"))
    with pytest.raises(RunError, match=r"pt.load\(.*data=table\)"):
        pt.pseudo_label(pt.load(run.path), few)
    assert pt.pseudo_label(pt.load(run.path, data=few), Table.of(few), quiet=True).num_rows == len(few)


def test_it_says_how_many(run, few, capsys):
    pt.pseudo_label(run, few, tasks=["sold"], confidence=0.0)
    assert "sold: 40 of 40 labels that are missing in rows to learn from are borrowed" in capsys.readouterr().err


def test_labels_of_separate_clusters_help(fit):
    gains = []
    for seed in range(3):
        generator = np.random.default_rng(seed)
        side = generator.integers(0, 2, 1000)
        x = generator.normal(size=(1000, 20)) + (2 * side - 1)[:, None] * 2 / np.sqrt(20)
        frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(20)]).assign(side=np.where(side > 0, "right", "left"))
        train, judged = frame.iloc[:540].assign(cut="train"), frame.iloc[540:]
        train.loc[500:, "cut"] = "validation"
        train.loc[10:499, "side"] = None
        settings = {"encoder": {"mlp": {"widths": [16]}}, "learning_rate": 0.01, "seed": seed, "batch_size": None}
        task = pt.Classification("side", primary="log_loss")
        first = fit(train, [task], f"first{seed}", epochs=40, split={"column": "cut"}, **settings)
        more = pt.pseudo_label(first, train, confidence=0.8, quiet=True).frame.drop(columns="cut")
        again = pt.Classification("side", primary="log_loss", weight="side weight")
        second = fit(more, [again], f"second{seed}", epochs=10, split={"column": "part"}, **settings)
        right = [run.predict(judged)["side"].eq(judged["side"]).mean() for run in (first, second)]
        gains.append(right[1] - right[0])
    assert min(gains) > -0.005
    assert np.mean(gains) > 0.02


def test_one_command_trains_twice_and_holds_out_the_same(fit, few, tasks):
    settings = {"confidence": 0.0, "weight": 0.5}
    run = fit(few, tasks, pseudo_labels=settings, epochs=3)
    head = run.folder.read_json("run.json")
    missing = few["sold"].isna() & (run.split().parts <= 0)
    assert head["borrowed"] == {"sold": missing.sum(), "tags": 2 * 36}
    first = pt.load(run.path / "first_training", data=few)
    plain = fit(few, tasks, folder="plain", epochs=3)
    assert first.split().parts.tolist() == run.split().parts.tolist() == plain.split().parts.tolist()
    pd.testing.assert_frame_equal(first.predict(few), plain.predict(few))
    assert not run.predict(few)["price"].equals(plain.predict(few)["price"])
    assert run.history["rows"].iloc[0] == plain.history["rows"].iloc[0] + 36
    assert run.evaluate()["sold"]["rows"] == plain.evaluate()["sold"]["rows"]
    assert "lee2013" in run.cite()
    same = fit(few, tasks, pseudo_labels=settings, epochs=3)
    pd.testing.assert_frame_equal(same.predict(few), run.predict(few))
    run.folder.verify()


def test_borrowed_rows_train_as_the_function_says(fit, few):
    """The one command and the two steps by hand see the same rows with the same labels."""
    task = pt.Classification("sold")
    whole = fit(few.drop(columns=["price", *TAGS]), [task], pseudo_labels={"confidence": 0.55, "weight": 0.5})
    lines = pd.read_parquet(whole.path / "borrowed.parquet")
    first = pt.load(whole.path / "first_training", data=few.drop(columns=["price", *TAGS]))
    more = pt.pseudo_label(first, few.drop(columns=["price", *TAGS]), confidence=0.55, weight=0.5, quiet=True).frame
    rows = np.flatnonzero(more["sold"].notna() & few["sold"].isna())
    assert lines["row"].tolist() == rows.tolist()
    assert [f'["{label}"]' for label in more["sold"][rows]] == lines["label"].tolist()


def test_rounds_follow_each_other(fit, few):
    run = fit(few, [pt.Classification("sold")], ignore=["price", *TAGS], pseudo_labels={"rounds": 2, "confidence": 0})
    assert (run.path / "first_training" / "first_training" / "run.json").exists()
    assert not (run.path / "first_training" / "first_training" / "borrowed.parquet").exists()


def test_rows_of_other_tables_lend(fit, few):
    """The task with the larger table has rows for the other; a table without the inputs has none."""
    sold = few.loc[:59, ["rooms", "age", "distance", "number", "sold"]].dropna()
    red = few.loc[:59, ["rooms", "age", "distance", "number", "red", "area"]].assign(number=lambda f: f["number"] + 0.5)
    data = {"sold": sold, "red": red}
    tasks = [pt.Classification("sold"), pt.Classification("red")]
    run = fit(data, tasks, pseudo_labels={"confidence": 0.0}, batch_size=16)
    lines = pd.read_parquet(run.path / "borrowed.parquet")
    assert set(zip(lines["task"], lines["table"], strict=True)) == {("sold", "red"), ("red", "red")}
    lent = lines[lines["task"] == "sold"]
    train = run.split("red").parts <= 0
    assert lent["row"].tolist() == np.flatnonzero(train).tolist()
    assert run.history["rows"].iloc[0] > 0
    assert run.split("sold").parts.shape == (len(sold),)


def test_borrowing_that_cannot_be_is_a_sentence(fit, houses, few):
    with pytest.raises(ConfigError, match="no task can lend a label: 'price' does not say how sure it is"):
        fit(houses, [pt.Regression("price")], pseudo_labels={})
    with pytest.raises(ConfigError, match="rounds=0: at least 1"):
        fit(houses, [pt.Classification("sold")], pseudo_labels={"rounds": 0})
    with pytest.raises(ConfigError, match="confidence=2"):
        fit(houses, [pt.Classification("sold")], pseudo_labels={"confidence": 2})
    with pytest.raises(ConfigError, match="unknown key 'confidense'; did you mean 'confidence'"):
        fit(houses, [pt.Classification("sold")], pseudo_labels={"confidense": 0.5})


def test_a_setting_without_effect_is_said(fit, houses, capsys):
    fit(houses, [pt.Classification("sold")], ignore=["price"], pseudo_labels={}, quiet=False)
    assert "warning: data.pseudo_labels has no effect" in capsys.readouterr().err


def test_killed_between_both_trainings_it_goes_on(fit, few, monkeypatch):
    module = sys.modules["polytask.experiment.run"]  # the package has a function of this name
    settings = {"ignore": ["price", *TAGS], "pseudo_labels": {"confidence": 0.0}}
    whole = fit(few, [pt.Classification("sold")], folder="whole", **settings)
    trains = module._train

    def killed(*arguments):
        if arguments[0].data.pseudo_labels is not None:
            raise KeyboardInterrupt
        trains(*arguments)

    monkeypatch.setattr(module, "_train", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(few, [pt.Classification("sold")], **settings)
    trained = []
    monkeypatch.setattr(module, "_train", lambda *arguments: (trained.append(1), trains(*arguments)))
    again = fit(few, [pt.Classification("sold")], **settings)
    assert trained == [1]
    pd.testing.assert_frame_equal(again.predict(few), whole.predict(few))
