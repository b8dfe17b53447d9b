"""Entities from the user's door: fit and study with a key and with splits of tables' own."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import Experiment
from polytask.yaml_file import read_yaml


@pytest.fixture
def apart(houses):
    """A table a task; some houses stand in both, and the second says its own parts."""
    houses = houses.assign(house=[f"h{k % 60}" for k in range(len(houses))])
    second = houses.drop(columns="price").drop_duplicates("house").head(40)
    second["said"] = np.resize(["train", "train", "valid", "test"], len(second))
    return {"price": houses.drop(columns="sold"), "sold": second}


def test_a_key_and_a_split_of_its_own(fit, apart, capsys):
    trained = fit(apart, key="house", splits={"sold": {"column": "said"}}, quiet=False)
    frames = [frame.assign(part=trained.split(name).parts) for name, frame in apart.items()]
    assert pd.concat(frames).groupby("house")["part"].nunique().max() == 1
    assert trained.split("sold").counts() == {"train": 20, "validation": 10, "test": 10, "dropped": 0}
    said = capsys.readouterr().err
    assert "all rows of one 'house' are on one side over 2 tables" in said
    assert "inputs: 3 number (rooms, age, distance); 1 category (area)" in said
    again = Experiment.read(read_yaml(trained.path / "config.yaml")[0])
    assert again.data.key == "house"
    assert again.data.splits == {"sold": pt.SplitSettings(column="said")}


def test_without_a_key_they_are_apart(fit, apart):
    trained = fit(apart, splits={"sold": {"column": "said"}}, ignore=["house"])
    frames = [frame.assign(part=trained.split(name).parts) for name, frame in apart.items()]
    assert pd.concat(frames).groupby("house")["part"].nunique().max() > 1


def test_errors_at_the_door(fit, apart):
    with pytest.raises(SchemaError, match="key: no table has a column 'hause'; did you mean 'house'"):
        fit(apart, key="hause", ignore=["house", "said"])
    with pytest.raises(SchemaError, match="splits: there is no table 'solt'; did you mean 'sold'"):
        fit(apart, splits={"solt": {"column": "said"}}, ignore=["house"])
    with pytest.raises(ConfigError, match=r"validation=2\.0 is out of range"):
        fit(apart, splits={"sold": {"validation": 2}})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda right: right.assign(score=None), r"split of table 'right': in none of the 30 rows"),
        (lambda right: right[["who", "score"]], r"table 'right': no column is left to be an input"),
        (lambda right: right.assign(who=[None, *right["who"][1:]]), r"column 'who' of table 'right' is missing in 1"),
    ],
)
def test_sentences_name_the_table(tmp_path, change, sentence):
    ids = [f"p{k}" for k in range(30)]
    left, right = (pd.DataFrame({"who": ids, "x": np.arange(30.0), y: np.arange(30.0)}) for y in ("age", "score"))
    tables = {"left": left, "right": change(right)}
    tasks = [pt.Regression("left", column="age"), pt.Regression("right", column="score")]
    with pytest.raises(SchemaError, match=sentence):
        pt.fit(tables, tasks, key="who", folder=tmp_path / "run", quiet=True)
