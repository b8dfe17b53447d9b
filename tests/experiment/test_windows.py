"""Windows of a time series as the rows of an experiment."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.data import made_again, make_splits
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import Experiment, as_trained, load_sources

WINDOWS = {"series": ["load", "heat"], "history": 4, "horizon": 2, "time": "day"}


@pytest.fixture
def path(tmp_path):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=60), "load": generator.normal(size=60)})
    frame["heat"] = generator.normal(size=60)
    frame.to_parquet(tmp_path / "series.parquet")
    return tmp_path / "series.parquet"


def experiment(path, *columns, **windows):
    tasks = {name: {"kind": "regression"} for name in columns or ("load", "heat")}
    data = {"path": str(path), "windows": WINDOWS | windows, "split": {"validation": 0.2, "test": 0.2}}
    return Experiment.read({"tasks": tasks, "data": data})


def test_the_splits_are_those_of_the_windows(path):
    written = experiment(path)
    sources = load_sources(written)
    trained = as_trained(written, sources)
    assert (trained.data.windows, trained.data.split.column) == (None, "split")
    assert written.data.windows is not None
    (table,) = (source.table for source in sources.values())
    split = make_splits({"all": (table, trained.tasks)}, trained.data.split)["all"]
    # 36 rows train: targets begin in rows 4 to 34; 12 rows each validate and test: 11 targets.
    assert split.counts() == {"train": 31, "validation": 11, "test": 11, "dropped": 0}


def test_made_columns_are_not_said_to_be_left_out(path, tmp_path, capsys):
    table = pt.windows(pd.read_parquet(path), **WINDOWS)
    run = pt.fit(table, [pt.VectorRegression("load")], epochs=1, folder=tmp_path / "run")
    said = capsys.readouterr().err
    assert "no input" not in said
    assert "rows are split by the column 'split'" in said  # windows overlap: never at random
    counts = table.frame["split"].value_counts()
    assert {part: run.split().counts()[part] for part in counts.index} == counts.to_dict()
    pt.fit(table.with_kinds({"history": "sequence"}), [pt.VectorRegression("heat")], epochs=1, folder=tmp_path / "b")


def test_a_written_experiment_reads_back(path):
    written = experiment(path, flat=True)
    assert Experiment.read(written.written()) == written


def test_each_series_is_a_table(path):
    sources = load_sources(experiment(path, per_series=True))
    assert {name: [t.name for t in source.tasks] for name, source in sources.items()} == {
        "load": ["load"],
        "heat": ["heat"],
    }
    alone = load_sources(experiment(path, "load", per_series=True))
    assert list(alone) == ["load"]
    assert "no task is of heat: left out" in alone["load"].table.notes
    with pytest.raises(SchemaError, match="no such column in any table; did you mean 'load'"):
        load_sources(experiment(path, "loads", per_series=True))


def test_a_table_of_windows_is_made_again(path):
    for name, source in load_sources(experiment(path, per_series=True)).items():
        again = made_again(source.table.origin)[name]
        assert again.fingerprint() == source.table.fingerprint()
    whole = load_sources(experiment(path))["all"].table
    frame = pd.read_parquet(path)
    assert made_again(whole.origin, pt.Table.of(frame))["all"].fingerprint() == whole.fingerprint()


def test_one_table_is_wanted(path):
    tables = {name: pd.read_parquet(path) for name in ("load", "heat")}
    with pytest.raises(SchemaError, match="windows: one table is wanted, and there are several: load, heat"):
        load_sources(experiment(path), tables)


def test_a_network_tells_sensors_by_their_windows(tmp_path):
    generator = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"sensor": name, "day": range(60), "load": level + generator.normal(size=60), "heat": 0.0})
        for name, level in (("n", 0.0), ("s", 4.0))
    ]
    pd.concat(rows).to_parquet(tmp_path / "sensors.parquet")
    settings = {"windows": WINDOWS | {"group": "sensor", "flat": True}, "epochs": 15, "batch_size": 16, "quiet": True}
    tasks = [pt.Classification("sensor")]
    run = pt.fit(tmp_path / "sensors.parquet", tasks, folder=tmp_path / "run", **settings)
    # Its inputs are what was seen, and never what comes; the parts are those of the windows' targets.
    assert list(run._preprocessor().columns) == ["history"]
    frame = pd.read_parquet(tmp_path / "sensors.parquet")
    table = pt.windows(frame, **settings["windows"])
    rows = np.flatnonzero((table.frame["split"] == "test").to_numpy())
    np.testing.assert_array_equal(run.split().rows("test"), rows)
    assert run.folder.read_json("run.json")["notes"] == list(table.notes)
    scores = pt.load(run.path).evaluate()
    assert scores["sensor"]["accuracy"] > 0.9
    assert scores["sensor"]["accuracy"] == run.evaluate(table.take(rows))["sensor"]["accuracy"]


def test_values_to_come_are_no_inputs(path):
    with pytest.raises(ConfigError, match="inputs names 'heat', which holds the values to come"):
        Experiment.read(
            {
                "tasks": {"load": {"kind": "regression"}},
                "data": {"path": str(path), "windows": WINDOWS, "inputs": ["history", "heat"]},
            }
        )


@pytest.mark.parametrize("flat", [False, True])
def test_raw_rows_of_a_series_say_how_a_history_is_made(path, tmp_path, flat):
    rows = pd.read_parquet(path)
    rows["load"] = 100 + 20 * rows["load"]
    windows = pt.WindowSettings(series=("load", "heat"), history=4, horizon=2, time="day", flat=flat)
    tasks = [pt.VectorRegression("load"), pt.VectorRegression("heat")]
    run = pt.fit(
        rows,
        tasks,
        windows=windows,
        split={"validation": 0.2, "test": 0.2},
        folder=tmp_path / "r",
        epochs=1,
        quiet=True,
    )
    with pytest.raises(SchemaError, match="trained on windows of a series") as said:
        run.predict(rows)
    sentence = str(said.value)
    assert "series' own units: series are in standard deviations" in sentence
    training = rows[["load", "heat"]].head(36)
    names = {"run": run, "pd": pd, "rows": rows, "mean": training.mean(), "deviation": training.std(ddof=0)}
    recipe = sentence[sentence.index("run.predict") : sentence.index("; predictions")]
    found = eval(recipe, names)
    # The last window that the Run's own table has ends two rows earlier: made by hand, it is answered alike.
    own = pt.windows(rows, windows, split=pt.data.SplitSettings(by_time="day", validation=0.2, test=0.2))
    by_hand = eval(recipe, names | {"rows": rows.iloc[:-2]})
    expected = run.predict(own).iloc[-1]
    np.testing.assert_allclose(np.stack(by_hand.iloc[0]), np.stack(expected), rtol=1e-4)
    assert len(found) == 1
