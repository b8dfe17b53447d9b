"""What a finished Run offers: predictions in the user's terms, scores, and the one opening of its test part."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import r2_score, roc_auc_score

import polytask as pt
from polytask.data import Table
from polytask.errors import ConfigError, RunError, SchemaError
from polytask.runs import pick_device, run_model

ROWS = 120


def make_houses():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, 2))
    frame = pd.DataFrame(x, columns=["rooms", "age"])
    frame["floors"] = generator.integers(1, 5, ROWS)
    frame["area"] = generator.choice(["north", "south", "east"], ROWS)
    frame["garden"] = generator.random(ROWS) > 0.5
    frame["price"] = x @ [3.0, -1.0] + frame["floors"]
    frame["sold"] = np.where(x[:, 0] + 0.5 * generator.normal(size=ROWS) > 0, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def houses():
    return make_houses()


@pytest.fixture(scope="module")
def run(houses, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    tasks = [pt.Regression("price"), pt.Classification("sold")]
    return pt.fit(
        houses, tasks, epochs=6, batch_size=16, encoder={"mlp": {"widths": [16]}}, learning_rate=0.01,
        folder=folder, quiet=True,
    )  # fmt: skip


@pytest.fixture
def copied(run, houses, tmp_path):
    """The same Run in a folder of its own, to be opened."""
    shutil.copytree(run.path, tmp_path / "run")
    return pt.load(tmp_path / "run", data=houses)


# Predictions ---------------------------------------------------------------------------------------------------------


def test_rows_keep_their_order_and_their_index(run, houses):
    whole = run.predict(houses)
    assert whole.columns.tolist() == ["price", "sold"]
    pd.testing.assert_index_equal(whole.index, houses.index)
    shuffled = houses.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(run.predict(shuffled), whole.loc[shuffled.index], rtol=1e-5)
    named = houses.set_index(pd.Index([f"h{k}" for k in range(ROWS)], name="house"))
    assert run.predict(named).index.equals(named.index)


def test_batches_do_not_matter(run, houses):
    pd.testing.assert_frame_equal(run.predict(houses, batch_size=7), run.predict(houses), rtol=1e-5)
    with pytest.raises(ValueError, match="batch_size=0: at least 1 row"):
        run.predict(houses, batch_size=0)


def test_tables_in_every_form(run, houses, tmp_path):
    expected = run.predict(houses)
    houses.to_csv(tmp_path / "h.csv", index=False)
    houses.to_parquet(tmp_path / "h.parquet")
    for rows in (Table.of(houses), pa.Table.from_pandas(houses), tmp_path / "h.parquet", str(tmp_path / "h.parquet")):
        pd.testing.assert_frame_equal(run.predict(rows), expected)
    pd.testing.assert_frame_equal(run.predict(tmp_path / "h.csv"), expected, rtol=1e-5)


def test_one_row_at_a_time(run, houses):
    whole = run.predict(houses)
    for row in (0, 17):
        pd.testing.assert_frame_equal(run.predict(houses.iloc[[row]]), whole.iloc[[row]], rtol=1e-5)


def test_other_order_other_types_and_other_columns(run, houses):
    expected = run.predict(houses, probabilities=True)
    changed = (
        houses[houses.columns[::-1]].drop(columns=["price", "sold"]).assign(note="x", when=pd.Timestamp("2024-01-01"))
    )
    changed["rooms"] = changed["rooms"].astype("Float64")
    changed["floors"] = changed["floors"].astype(str)
    changed["age"] = changed["age"].astype(object)
    changed["area"] = changed["area"].astype("category")
    changed["garden"] = changed["garden"].astype("boolean")
    pd.testing.assert_frame_equal(run.predict(changed, probabilities=True), expected)
    pd.testing.assert_frame_equal(
        run.predict(changed.assign(garden=houses["garden"].astype(int)), probabilities=True), expected
    )


def test_categories_never_seen_and_missing_cells(run, houses):
    new = houses.assign(area="moon")
    assert run.predict(new)["price"].notna().all()
    blank = houses.astype(object).assign(area=None, rooms=np.nan)
    assert run.predict(blank)["price"].notna().all()
    assert not run.predict(new)["price"].equals(run.predict(houses)["price"])


def test_what_cannot_be_read_is_named(run, houses):
    with pytest.raises(SchemaError, match=r"the table lacks 'age', which the model was trained on"):
        run.predict(houses.drop(columns="age"))
    with pytest.raises(SchemaError, match=r"'room'.*|lacks 'rooms'.*did you mean 'room'"):
        run.predict(houses.rename(columns={"rooms": "room"}))
    with pytest.raises(SchemaError, match=r"column 'age', row 3: 'old' is no number"):
        run.predict(houses.astype({"age": object}).assign(age=lambda f: [*f["age"][:3], "old", *f["age"][4:]]))
    with pytest.raises(SchemaError, match="0 rows"):
        run.predict(houses.head(0))


def test_probabilities_fit_the_predictions(run, houses):
    found = run.predict(houses, probabilities=True)
    assert found.columns.tolist() == ["price", "sold", "sold[no]", "sold[yes]"]
    chances = found[["sold[no]", "sold[yes]"]]
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert (chances.idxmax(axis=1) == "sold[" + found["sold"] + "]").all()


def test_only_some_tasks(run, houses):
    assert run.predict(houses, tasks=["sold"]).columns.tolist() == ["sold"]
    assert list(run.evaluate(houses, tasks=["price"])) == ["price"]
    with pytest.raises(ConfigError, match=r"'pirce' is no task of this Run; did you mean 'price'"):
        run.predict(houses, tasks=["pirce"])
    for nothing in ([], "price"):
        with pytest.raises(ConfigError, match=r"a list of this Run's tasks is wanted \(price, sold\), got"):
            run.predict(houses, tasks=nothing)


def test_weights_that_were_best_for_one_task(run, houses):
    history = run.history
    for name in ("price", "sold"):
        best = history[f"validation.{name}.skill"].max()
        rows = houses.iloc[run.split().rows("validation")]
        assert run.evaluate(rows, best_for=name)[name]["skill"] == pytest.approx(best, rel=1e-4)
    assert run.evaluate(rows)["price"]["skill"] == pytest.approx(run.metrics["validation"]["price"]["skill"], rel=1e-4)
    with pytest.raises(ConfigError, match=r"best_for='pirce' is no task of this Run"):
        run.predict(houses, best_for="pirce")


def test_the_device_is_a_choice(run, houses, copied):
    expected = run.predict(houses, probabilities=True)
    for name in ("auto", "cpu"):
        pd.testing.assert_frame_equal(run.predict(houses, probabilities=True, device=name), expected, rtol=1e-4)
        assert run.evaluate(houses, device=name)["sold"] == pytest.approx(run.evaluate(houses)["sold"], rel=1e-4)
    assert run.model() is run.model("mean", "cpu") is run.model(device="cpu")
    assert copied.evaluate(device="auto")["price"]["rows"] > 0
    for ask in (run.predict, run.evaluate):
        with pytest.raises(
            ConfigError, match=r"^device: 'gpu7' cannot be used here \(.*\); use auto, cpu, cuda or mps"
        ):
            ask(houses, device="gpu7")


@pytest.mark.parametrize("device", ["cpu", pytest.param("auto", marks=pytest.mark.gpu)])
def test_rows_and_model_are_on_the_device_asked_for(run, houses, monkeypatch, device):
    seen = []

    def watch(model, table, tasks, **settings):
        seen.append((next(model.parameters()).device.type, table.device.type))
        return run_model(model, table, tasks, **settings)

    monkeypatch.setattr("polytask.runs.evaluation.run_model", watch)
    run.predict(houses, device=device)
    run.evaluate(houses, device=device)
    assert seen == [(pick_device(device).type,) * 2] * 2


def test_predictions_of_a_fresh_process_are_the_same_bit_for_bit(run, houses, tmp_path):
    houses.to_parquet(tmp_path / "h.parquet")
    here = run.predict(tmp_path / "h.parquet", probabilities=True)
    code = (
        "import sys, torch; torch.set_num_threads(1); import polytask as pt; "
        "pt.load(sys.argv[1]).predict(sys.argv[2], probabilities=True).to_parquet(sys.argv[3])"
    )
    paths = [str(run.path), str(tmp_path / "h.parquet"), str(tmp_path / "there.parquet")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "there.parquet"), here, check_exact=True)


def test_validation_predictions_are_those_of_the_model(run, houses):
    kept = pd.read_parquet(run.path / "predictions/validation.parquet").set_index("row")
    rows = run.split().rows("validation")
    assert kept.index.tolist() == rows.tolist()
    expected = run.predict(houses.iloc[rows], probabilities=True)
    for name in expected.columns:
        if expected[name].dtype.kind == "f":
            np.testing.assert_allclose(kept[name], expected[name], rtol=1e-5)
        else:
            assert kept[name].tolist() == expected[name].tolist()


# Scores --------------------------------------------------------------------------------------------------------------


def test_scores_agree_with_sklearn(run, houses):
    scores = run.evaluate(houses)
    found = run.predict(houses, probabilities=True)
    assert scores["price"]["r2"] == pytest.approx(r2_score(houses["price"], found["price"]), rel=1e-4)
    assert scores["sold"]["roc_auc"] == pytest.approx(
        roc_auc_score(houses["sold"] == "yes", found["sold[yes]"]), rel=1e-4
    )
    mean = houses["price"].iloc[run.split().rows("train")].mean()
    constant = r2_score(houses["price"], np.full(ROWS, mean))
    assert scores["price"]["skill"] == pytest.approx((scores["price"]["r2"] - constant) / (1 - constant), rel=1e-4)
    assert scores["sold"]["skill"] == pytest.approx(2 * scores["sold"]["roc_auc"] - 1, rel=1e-6)


def test_missing_labels_are_left_out(run, houses):
    part = houses.copy()
    part.loc[:59, "price"] = np.nan
    scores = run.evaluate(part)
    assert (scores["price"]["rows"], scores["sold"]["rows"]) == (60, 120)
    assert scores["price"]["r2"] == pytest.approx(run.evaluate(houses.iloc[60:])["price"]["r2"], rel=1e-4)
    blank = run.evaluate(houses.assign(price=np.nan))["price"]
    assert blank["rows"] == 0
    assert np.isnan(blank["r2"])
    assert np.isnan(blank["skill"])


def test_a_missing_target_column_is_named(run, houses):
    with pytest.raises(SchemaError, match=r"task 'sold': there is no column 'sold'"):
        run.evaluate(houses.drop(columns="sold"))
    assert run.evaluate(houses.drop(columns="sold"), tasks=["price"])["price"]["rows"] == ROWS


# The test part -------------------------------------------------------------------------------------------------------


def test_other_rows_do_not_open_the_test_part(copied, houses):
    copied.evaluate(houses)
    copied.predict(houses)
    assert copied.metrics["test"] is copied.metrics["test_opened"] is None


def test_the_test_part_is_opened_once_and_the_time_stays(copied, houses, monkeypatch):
    scores = copied.evaluate()
    opened = copied.metrics["test_opened"]
    assert opened is not None
    assert copied.metrics["test"] == scores
    assert scores["price"]["rows"] == len(copied.split().rows("test"))
    kept = pd.read_parquet(copied.path / "predictions/test.parquet")
    assert kept["row"].tolist() == copied.split().rows("test").tolist()
    assert {"table", "price", "sold", "sold[yes]"} <= set(kept.columns)
    path = copied.path / "metrics.json"

    class Later(type(pd.Timestamp.now().to_pydatetime())):
        @classmethod
        def now(cls, tz=None):
            return cls(2099, 1, 1, tzinfo=tz)

    monkeypatch.setattr("polytask.runs.opening.datetime", Later)
    assert copied.evaluate() == scores
    assert json.loads(path.read_text())["test_opened"] == opened
    pt.load(copied.path).folder.verify()


def test_opening_a_part_of_it_is_recorded_but_not_kept(copied):
    copied.evaluate(tasks=["price"])
    assert copied.metrics["test_opened"] is not None
    assert copied.metrics["test"] is None
    assert not (copied.path / "predictions/test.parquet").exists()
    copied.evaluate(best_for="price")
    assert copied.metrics["test"] is None


def test_the_table_in_memory_is_wanted_again(copied, houses):
    with pytest.raises(
        RunError, match=r"was trained on a table in memory \(all\); give its rows to evaluate, or pt\.load"
    ):
        pt.load(copied.path).evaluate()
    with pytest.raises(RunError, match="the data of table 'all' are not those this Run was trained on"):
        pt.load(copied.path, data=houses.assign(age=1.0)).evaluate()
    assert pt.load(copied.path, data={"all": houses}).evaluate()["price"]["rows"] > 0


def test_a_file_that_is_gone_is_named(houses, tmp_path):
    houses.to_csv(tmp_path / "h.csv", index=False)
    trained = pt.fit(
        tmp_path / "h.csv", [pt.Regression("price")], epochs=1, encoder={"mlp": {"widths": [4]}},
        folder=tmp_path / "run", quiet=True, split={"test": 0.0},
    )  # fmt: skip
    with pytest.raises(
        RunError, match=r"this Run has no test rows \(all\); give rows to evaluate, or split with a test part"
    ):
        trained.evaluate()
    (tmp_path / "h.csv").unlink()
    with pytest.raises(
        RunError, match=r"the data of table 'all' cannot be read: .*h\.csv: there is no such file; give rows"
    ):
        pt.load(tmp_path / "run").evaluate()


# The rest ------------------------------------------------------------------------------------------------------------


def test_summary_history_schema_and_split(run):
    text = run.summary()
    shared = sum(p.numel() for p in run.model().shared_parameters())
    assert f"{shared:,} shared by at least two tasks" in text
    assert "price                    regression" in text
    assert len(run.history) == 6
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert run.history["cosines.price|sold"].between(-1, 1).all()
    assert [c.name for c in run.schema["all"].columns] == list(make_houses().columns)
    assert sum(run.split().counts().values()) == ROWS
    assert repr(run) == f"Run({str(run.path)!r}, tasks=['price', 'sold'])"
    assert not run.model().training


def test_no_such_run(tmp_path):
    with pytest.raises(RunError, match="there is no such Run folder"):
        pt.load(tmp_path / "none")
    with pytest.raises(RunError, match="is no Run folder"):
        pt.load(tmp_path)
