"""The same folder again: a finished Run is returned, an interrupted one goes on, another one is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError, RunError
from polytask.experiment import Experiment
from polytask.experiment.run import default_folder, load_sources


def weights_of(trained):
    return trained.model().state_dict()


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True))


def test_called_again_it_is_not_trained_again(fit, monkeypatch):
    first = fit()
    monkeypatch.setattr(sys.modules["polytask.experiment.run"], "train", lambda *_: pytest.fail("trained again"))
    again = fit()
    assert same_weights(first, again)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 5}, r"other settings: train\.epochs is 2 there and 5 now"),
        ({"learning_rate": 1e-5}, r"train\.learning_rate is None there and 1e-05 now"),
        ({"balancer": "pcgrad"}, r"balancer is 'sum' there and 'pcgrad' now"),
        ({"seed": 3}, r"seed is 0 there and 3 now"),
        ({"ignore": ["age"]}, r"data\.ignore is None there and \['age'\] now"),
        ({"wanted": [pt.Regression("price")]}, r"tasks\.sold is .* there and None now"),
        ({"encoder": {"mlp": {"widths": [9]}}}, r"encoder\.mlp\.widths is \[8, 4\] there and \[9\] now"),
    ],
)
def test_other_settings_are_refused(fit, settings, says):
    trained = fit()
    before = {p: p.read_bytes() for p in trained.path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=says):
        fit(**settings)
    assert before == {p: p.read_bytes() for p in trained.path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "settings", [{"learning_rate": 1e-5}, {"split": {"validation": 1 / 3}}, {"kinds": {"age": "number"}}]
)
def test_the_same_settings_are_the_same_after_writing(fit, settings):
    assert same_weights(fit(**settings), fit(**settings))


def test_other_data_are_refused(fit, houses):
    fit()
    with pytest.raises(RunError, match=r"holds a Run on other data \(table 'all'\)"):
        fit(houses.assign(age=0.5 + houses["age"]))


@pytest.fixture
def interrupt(monkeypatch):
    """Ctrl-C at the step of this number, once."""
    from polytask.train import loop

    def at(number):
        real, calls = loop.training_step, []

        def step(*args, **kwargs):
            calls.append(1)
            if len(calls) == number:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        monkeypatch.setattr(loop, "training_step", step)

    return at


def test_an_interrupted_training_goes_on(fit, interrupt, tmp_path):
    whole = fit(folder="whole", epochs=4)
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        fit(folder="cut", epochs=4)
    with pytest.raises(RunError, match="is no finished Run"):
        pt.load(tmp_path / "cut")
    assert same_weights(fit(folder="cut", epochs=4), whole)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:30])])
def test_kept_weights_that_are_gone_are_named(fit, interrupt, tmp_path, damage):
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=4)
    (kept,) = (tmp_path / "run/checkpoint").rglob("price.safetensors")
    damage(kept)
    with pytest.raises(RunError, match=r"the checkpoint .* is damaged .* to train this Run from its beginning"):
        fit(epochs=4)


def test_a_cut_history_is_noticed(fit, interrupt, tmp_path):
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=4)
    path = tmp_path / "run/history.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"history\.jsonl is shorter than the checkpoint says"):
        fit(epochs=4)


def test_another_version_is_told(fit, interrupt, tmp_path, capsys):
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=4)
    path = tmp_path / "run/environment.json"
    path.write_text(path.read_text().replace(f'"torch": "{torch.__version__}"', '"torch": "1.0"'))
    fit(epochs=4, quiet=False)
    assert "begun with something else (torch 1.0 -> " in capsys.readouterr().err
    assert json.loads(path.read_text())["resumed_with"]["packages"]["torch"] == torch.__version__


def test_a_folder_of_somebody_elses_weights_is_left_alone(fit, tmp_path):
    (tmp_path / "run/weights").mkdir(parents=True)
    (tmp_path / "run/weights/precious.safetensors").write_bytes(b"years of work")
    with pytest.raises(RunError, match="is no Run folder"):
        fit()
    assert (tmp_path / "run/weights/precious.safetensors").read_bytes() == b"years of work"


def test_a_process_that_is_locked_out_touches_nothing(fit, tmp_path):
    from polytask.runs import RunFolder

    folder = RunFolder(tmp_path / "run")
    folder.create()
    with folder.locked():
        folder.write("config.yaml", "being: prepared")
        with pytest.raises(RunError, match="is being written by another process"):
            fit()
        assert (folder / "config.yaml").read_text() == "being: prepared"


@pytest.mark.parametrize("name", ["mean", "all", "row", "table", "Row"])
def test_words_of_the_folder_are_no_task(name):
    with pytest.raises(ConfigError, match="a word of the Run folder"):
        pt.Experiment(tasks=(pt.Regression(name),))


def test_tasks_differ_in_more_than_capitals():
    with pytest.raises(ConfigError, match="the same but for capitals"):
        pt.Experiment(tasks=(pt.Regression("price"), pt.Regression("Price")))


def test_the_folders_name_depends_on_settings_and_data_alone(houses, tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    houses.to_csv("d.csv", index=False)

    def name(path, **values):
        kinds = {"price": {"kind": "regression"}, "sold": {"kind": "classification"}}
        experiment = Experiment.read({"data": {"path": path}, "tasks": kinds, **values})
        return default_folder(experiment, load_sources(experiment))

    assert name("d.csv") == name("./d.csv") == name(str(tmp_path / "d.csv"))
    assert name("d.csv").parts[0] == "runs"
    assert name("d.csv").name.startswith("price-sold-")
    assert name("d.csv") != name("d.csv", seed=1)
    houses.assign(age=1.0 + houses["age"]).to_csv("e.csv", index=False)
    assert name("d.csv") != name("e.csv")
