"""Resampling from the user's door: said with counts, repeatable, resumed, in YAML and in a study."""

import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError
from polytask.experiment import Experiment
from polytask.yaml_file import read_yaml


@pytest.fixture
def uneven(houses):
    """One house in six is sold."""
    houses["sold"] = ["yes" if k % 6 == 0 else "no" for k in range(len(houses))]
    return houses


@pytest.mark.parametrize("how", ["oversample", "undersample", "smote"])
def test_a_run_says_what_it_did(fit, uneven, how, capsys):
    if how == "smote":
        pytest.importorskip("imblearn")
    share = {"ratio": 0.3} if how == "undersample" else {}
    plain = fit(uneven, folder="plain")
    first = fit(uneven, folder="first", resample={how: share} if share else how, quiet=False)
    again = fit(uneven, folder="again", resample={how: {"task": "sold", **share}})
    said = capsys.readouterr().err
    counts = {"oversample": "yes 12 -> 55", "undersample": "no 55 -> 40", "smote": "yes 12 -> 55"}
    assert f"{how}: {52 if how == 'undersample' else 110} training rows are made of 67 (sold: {counts[how]})" in said
    weights = [one.model().state_dict() for one in (plain, first, again)]
    assert all(torch.equal(weights[1][name], weights[2][name]) for name in weights[1])
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (plain.split().parts == first.split().parts).all()
    assert len(first.evaluate()) == 2
    read = Experiment.read(read_yaml(first.path / "config.yaml")[0])
    assert read.data.resample == ({how: share} if share else how)


def test_a_table_of_another_task_is_left_alone(fit, uneven, capsys):
    tables = {"price": uneven.drop(columns="sold"), "sold": uneven.drop(columns="price")}
    fit(tables, resample="oversample", quiet=False)
    assert capsys.readouterr().err.count("training rows are made of") == 1


def test_ml_ros_says_how_even_labels_are(fit, uneven, capsys):
    uneven["large"] = (uneven["rooms"] > 0).astype(int)
    fit(uneven, [pt.Classification("sold"), pt.Classification("large")], resample="ml_ros", quiet=False)
    assert "mean imbalance ratio of 2 labels" in capsys.readouterr().err


def test_errors_at_the_door(fit, uneven):
    with pytest.raises(
        ConfigError, match=r"data\.resample: oversample names 'solt', which is no task; did you mean 'sold'"
    ):
        fit(uneven, resample={"oversample": {"task": "solt"}})
    with pytest.raises(ConfigError, match=r"data\.resample\.oversampl: unknown resample 'oversampl'"):
        fit(uneven, resample="oversampl")
    with pytest.raises(ConfigError, match="price"):
        fit(uneven, [pt.Regression("price")], resample={"oversample": {"task": "price"}})


@pytest.mark.parametrize("written", ["oversample", {"oversample": {"task": "sold"}}, {"ml_ros": {"tasks": ["sold"]}}])
def test_each_value_of_a_column_is_resampled_by_its_own_task(fit, uneven, capsys, written):
    uneven["town"] = ["left" if k % 2 else "right" for k in range(len(uneven))]
    uneven["sold"] = ["yes" if k % 6 < 2 else "no" for k in range(len(uneven))]
    uneven["large"] = (uneven["rooms"] > 0).astype(float)
    tasks = [pt.Classification("sold"), pt.Regression("large")]
    run = fit(uneven, tasks, by="town", resample=written, quiet=False)
    if "ml_ros" not in written:
        said = capsys.readouterr().err
        assert "(sold-left: yes" in said
        assert "(sold-right: yes" in said
    assert set(run.evaluate()) == {"sold-left", "large-left", "sold-right", "large-right"}
    assert Experiment.read(read_yaml(run.path / "config.yaml")[0]).data.resample == written


def test_one_task_a_table_is_evened_out(fit, uneven):
    uneven["large"] = (uneven["rooms"] > 0).astype(int)
    tasks = [pt.Classification("sold"), pt.Classification("large")]
    with pytest.raises(ConfigError, match="oversample names 'sold' and 'large', which are of one table"):
        fit(uneven, tasks, resample={"oversample": {"task": ["sold", "large"]}})
