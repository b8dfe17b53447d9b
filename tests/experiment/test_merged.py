"""Tables merged by a key: trained, written, opened again."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import polytask as pt
from polytask.cli.app import app
from polytask.errors import ConfigError, RunError, SchemaError
from polytask.yaml_file import write_yaml

TASKS = [pt.Regression("price"), pt.Classification("sold")]
SMALL = {"epochs": 2, "batch_size": 32, "quiet": True}


@pytest.fixture
def tables():
    generator = np.random.default_rng(0)
    key = np.arange(120)
    size = generator.normal(size=120)
    left = pd.DataFrame({"id": key[:90], "size": size[:90], "price": size[:90] * 2})
    right = pd.DataFrame({"id": key[60:], "size": size[60:], "sold": np.where(size[60:] > 0, "yes", "no")})
    return {"a": left, "b": right}


@pytest.fixture
def files(tables, tmp_path):
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    return {name: tmp_path / f"{name}.parquet" for name in tables}


def test_rows_of_one_key_are_one_row(tables, tmp_path):
    run = pt.fit(tables, TASKS, merge="id", folder=tmp_path / "run", **SMALL)
    assert sum(run.split().counts().values()) == 120
    assert run.blueprint.spec.numbers == ("size",)
    assert set(run.evaluate()) == {"price", "sold"}
    assert pt.load(run.path, data=tables).evaluate()["price"]["r2"] == run.evaluate()["price"]["r2"]
    with pytest.raises(RunError, match="in memory"):
        pt.load(run.path).evaluate()


def test_files_are_merged_again(files, tables, tmp_path):
    run = pt.fit(files, TASKS, merge="id", folder=tmp_path / "run", **SMALL)
    assert pt.load(run.path).evaluate()["sold"]["loss"] == run.evaluate()["sold"]["loss"]
    tables["b"].assign(size=0.0).to_parquet(files["b"])
    with pytest.raises(RunError, match="cannot be read: merge: tables 'a' and 'b' contradict"):
        pt.load(run.path).evaluate()


def test_the_command_line(files, tmp_path):
    values = {
        "data": {"path": {name: path.name for name, path in files.items()}, "merge": "id"},
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 1, "batch_size": 32},
    }
    (tmp_path / "run.yaml").write_text(write_yaml(values))
    found = CliRunner().invoke(app, ["fit", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run"), "-q"])
    assert found.exit_code == 0, found.output
    found = CliRunner().invoke(app, ["fit", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "run")])
    assert "this Run is finished" in found.output


def test_contradictions_are_said_if_they_are_left_out(tables, tmp_path, capsys):
    tables["b"].loc[:4, "size"] += 1
    with pytest.raises(SchemaError, match=r"id '60' has 'size' .* \(5 cells of this column contradict in all\)"):
        pt.fit(tables, TASKS, merge="id", folder=tmp_path / "run", **SMALL)
    settings = SMALL | {"quiet": False}
    run = pt.fit(tables, TASKS, merge="id", on_contradiction="missing", folder=tmp_path / "run", **settings)
    said = "5 cells contradict each other between tables and are missing: 5 in 'size'"
    assert said in capsys.readouterr().err
    assert run.folder.read_json("run.json")["notes"] == [said]


def test_settings_that_cannot_be(tables, tmp_path):
    with pytest.raises(SchemaError, match="several tables are wanted"):
        pt.fit(tables["a"], TASKS, merge="id", folder=tmp_path / "run", **SMALL)
    with pytest.raises(ConfigError, match="no effect without merge"):
        pt.fit(tables["a"], TASKS, on_contradiction="missing", folder=tmp_path / "run", **SMALL)
