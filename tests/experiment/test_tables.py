"""Where the data come from: a path, a table in memory, a table for each task."""

import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import Experiment, run
from polytask.yaml_file import read_yaml


def weights_of(trained):
    return trained.model().state_dict()


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True))


def test_config_yaml_repeats_its_run_from_anywhere(houses, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    houses.to_csv("d.csv", index=False)
    values = {"data": {"path": "d.csv"}, "tasks": {"price": {"kind": "regression"}}, "train": {"epochs": 1}}
    first = run(Experiment.read(values), folder="run", quiet=True)
    folder = first.path.resolve()
    monkeypatch.chdir(tmp_path)
    again = run(Experiment.read(*read_yaml(folder / "config.yaml")), folder="again", quiet=True)
    assert same_weights(pt.load(folder), again)
    assert pt.load(folder).evaluate()["price"]["rows"] > 0


def test_no_data():
    with pytest.raises(ConfigError, match=r"there are no data: give a table, or data\.path"):
        run(Experiment(tasks=(pt.Regression("price"),)))


def test_a_table_for_each_task(fit, houses, tasks):
    small = houses.sample(40, random_state=0).drop(columns="price")
    trained = fit({"price": houses.drop(columns="sold"), "sold": small})
    assert set(trained.schema) == {"price", "sold"}
    assert len(trained.split("price").parts) == 96
    assert len(trained.split("sold").parts) == 40
    scores = trained.evaluate()
    assert set(scores) == {"price", "sold"}
    predicted = pd.read_parquet(trained.path / "predictions/test.parquet")
    assert predicted.groupby("table").size().to_dict() == {
        name: len(trained.split(name).rows("test")) for name in ("price", "sold")
    }
    assert trained.predict(small).columns.tolist() == ["price", "sold"]


@pytest.mark.parametrize("agenda", ["joint", "alternating", {"alternating": {"order": "uniform", "steps": 9}}], ids=str)
def test_tables_of_their_own_under_every_agenda(fit, houses, agenda):
    trained = fit({"price": houses.drop(columns="sold"), "sold": houses.drop(columns="price").head(50)}, agenda=agenda)
    assert trained.history[["training_loss.price", "training_loss.sold"]].notna().all(axis=None)


def test_a_target_of_one_table_is_no_input_of_another(fit, houses):
    trained = fit({"price": houses, "sold": houses.sample(50, random_state=1)})
    assert set(trained._preprocessor().columns) == {"rooms", "age", "distance", "area"}
    with pytest.raises(ConfigError, match="'sold' is the target of task 'sold'"):
        fit({"price": houses, "sold": houses}, inputs=["age", "sold"], folder="other")


def test_tables_that_do_not_fit_each_other(fit, houses):
    with pytest.raises(ConfigError, match=r"there is a table for 'pirce', which is no task; did you mean 'price'"):
        fit({"pirce": houses, "sold": houses})
    with pytest.raises(ConfigError, match="task 'sold' has no table"):
        fit({"price": houses})
    with pytest.raises(SchemaError, match=r"different input columns: 'age' is not in all of them \(table 'sold'\)"):
        fit({"price": houses, "sold": houses.drop(columns="age")})


def test_a_path_for_each_task_in_yaml(houses, tmp_path):
    houses.drop(columns="sold").to_csv(tmp_path / "p.csv", index=False)
    houses.drop(columns="price").to_parquet(tmp_path / "s.parquet")
    values = {
        "data": {"path": {"price": str(tmp_path / "p.csv"), "sold": str(tmp_path / "s.parquet")}},
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 1},
    }
    run(Experiment.read(values), folder=tmp_path / "run", quiet=True)
    assert set(pt.load(tmp_path / "run").evaluate()) == {"price", "sold"}
