"""Where the data come from: a path, a table in memory, a table for each task."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import Experiment, experiment_from, run
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


def test_a_group_is_on_one_side_in_all_tables(fit, houses):
    house = np.arange(len(houses)) // 4
    data = {"price": houses.assign(house=house), "sold": houses.assign(house=house).sample(frac=0.8, random_state=0)}
    trained = fit(data, split={"by_group": "house"})
    sides = pd.concat(
        pd.DataFrame({"house": data[name]["house"].to_numpy(), "part": trained.split(name).parts}) for name in data
    )
    assert sides.groupby("house")["part"].nunique().max() == 1


def test_rows_of_both_tables_are_warned_of(fit, houses):
    trained = fit({"price": houses, "sold": houses.sample(frac=1, random_state=0)})
    findings = json.loads((trained.path / "lint.json").read_text())
    assert [f["what"] for f in findings if "of another table" in f["text"]] == ["duplicates"] * 4


def test_columns_of_one_table_only(fit, houses):
    """`ignore` and `kinds` hold for the tables that have the column."""
    data = {"price": houses.assign(extra=1.5), "sold": houses.assign(other=range(len(houses)))}
    trained = fit(data, ignore=["extra", "other"], kinds={"extra": "category", "age": "category", "other": "id"})
    assert set(trained._preprocessor().columns) == {"rooms", "age", "distance", "area"}
    kinds = {name: {column.name: column.kind for column in trained.schema[name].columns} for name in data}
    assert kinds["price"]["extra"] == kinds["price"]["age"] == kinds["sold"]["age"] == "category"
    assert trained.evaluate()["sold"]["rows"] > 0
    with pytest.raises(SchemaError, match=r"ignore: there is no column 'extr' in any table; did you mean 'extra'"):
        fit(data, ignore=["extr", "other"], folder="a")
    with pytest.raises(SchemaError, match=r"kinds: there is no column 'othr' in any table; did you mean 'other'"):
        fit(data, ignore=["extra", "other"], kinds={"othr": "id"}, folder="b")
    with pytest.raises(SchemaError, match=r"column 'other': unknown kind 'idd'; did you mean 'id'"):
        fit(data, ignore=["extra", "other"], kinds={"other": "idd"}, folder="c")


def test_columns_that_no_table_reads_are_named_for_all_tables(houses, tasks, tmp_path):
    data = {"price": houses, "sold": houses.assign(note=[f"house-{k}" for k in range(len(houses))])}
    said = []
    run(experiment_from(tasks, epochs=1), data=data, folder=tmp_path / "run", quiet=True, say=said.append)
    assert any("left out, of a kind that is no input (note: id)" in sentence for sentence in said)


def test_each_table_has_inputs_of_its_own(fit, houses):
    data = {"price": houses[["rooms", "area", "price"]], "sold": houses[["rooms", "age", "sold"]]}
    trained = fit(data)
    assert list(trained._preprocessor().columns) == ["rooms", "area", "age"]
    assert {name: score["rows"] > 0 for name, score in trained.evaluate().items()} == {"price": True, "sold": True}
    assert trained.predict(houses[["rooms", "age"]], tasks=["sold"]).shape == (len(houses), 1)
    with pytest.raises(SchemaError, match="the table lacks 'area', which the model was trained on"):
        trained.predict(houses[["rooms", "age"]])
    with pytest.raises(SchemaError, match="the table lacks 'age'"):
        trained.predict(houses[["rooms", "area"]], tasks=["sold"])
    assert pt.load(trained.path).predict(houses).shape == (len(houses), 2)


def test_one_column_of_two_kinds_is_named(fit, houses):
    data = {"price": houses, "sold": houses.assign(age="old")}
    with pytest.raises(SchemaError, match="column 'age' is of kind number in table 'price' and of kind category in"):
        fit(data)


def test_pictures_lie_beside_their_own_table(fit, tmp_path):
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    data = {}
    for name in ("dark", "warm"):
        (tmp_path / name).mkdir()
        for k in range(40):
            pixels = generator.integers(0, 255, (12, 12), dtype=np.uint8)
            image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
        frame = pd.DataFrame({"picture": [f"{k}.png" for k in range(40)], name: generator.normal(size=40)})
        frame.to_csv(tmp_path / name / "rows.csv", index=False)
        data[name] = tmp_path / name / "rows.csv"
    trained = fit(data, [pt.Regression("dark"), pt.Regression("warm")], encoder=None, batch_size=8)
    assert trained.evaluate()["warm"]["rows"] > 0
    # The same names in two folders are two pictures.
    assert "another table" not in (trained.path / "lint.json").read_text()


def test_rows_for_each_task(fit, houses):
    data = {"price": houses.drop(columns="sold"), "sold": houses.drop(columns="price").head(60)}
    trained = fit(data)
    scores = trained.evaluate(data)
    assert {name: s["rows"] for name, s in scores.items()} == {"price": 96, "sold": 60}
    assert trained.evaluate({"sold": data["sold"]}) == {"sold": scores["sold"]}
    assert trained.evaluate(data, tasks=["price"]) == {"price": scores["price"]}
    assert trained.evaluate(data["sold"], tasks=["sold"]) == {"sold": scores["sold"]}
    with pytest.raises(ConfigError, match=r"'pirce' is no task of this Run; did you mean 'price'"):
        trained.evaluate({"pirce": houses})
    with pytest.raises(ConfigError, match=r"task 'price' has no rows; rows are given for sold"):
        trained.evaluate({"sold": data["sold"]}, tasks=["price"])


def test_the_split_of_a_table_that_is_not_there(fit, houses):
    trained = fit({"price": houses.drop(columns="sold"), "sold": houses.drop(columns="price")})
    with pytest.raises(ConfigError, match=r"this Run has no table 'all'; known: price, sold"):
        trained.split()
    with pytest.raises(ConfigError, match=r"this Run has no table 'pirce'; did you mean 'price'"):
        trained.split("pirce")


def test_rows_of_one_table_say_which_tasks_they_answer(fit, houses):
    small = houses.drop(columns=["price", "age"]).head(60)
    trained = fit({"price": houses.drop(columns=["sold", "distance"]), "sold": small})
    with pytest.raises(SchemaError, match=r"lacks 'age', .*task 'price'.*answer sold: .*tasks=\['sold'\] .*-t sold\)"):
        trained.predict(small)
    assert list(trained.predict(small, tasks=["sold"]).columns) == ["sold"]
    with pytest.raises(SchemaError, match=r"no column 'price' in the table.*judge sold: .*tasks=\['sold'\]"):
        trained.evaluate(houses.drop(columns="price"))
    with pytest.raises(SchemaError, match=r"lacks 'rooms'"):
        trained.predict(houses.drop(columns="rooms"))
