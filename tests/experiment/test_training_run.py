"""One training, from its arguments to its folder: each setting trains, and is in the record."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError
from polytask.experiment import Experiment, run
from polytask.runs import read_checkpoint
from polytask.train import TrainingError
from polytask.yaml_file import read_yaml


def written(trained):
    return read_yaml(trained.path / "config.yaml")[0]


def weights_of(trained, name="mean"):
    return trained.model(name).state_dict()


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True))


# Settings ------------------------------------------------------------------------------------------------------------

SETTINGS = {
    "bfloat16": {"precision": "bfloat16"},
    "clip_value": {"clip_value": 1e-4, "optimizer": "sgd"},
    "clip_norm": {"clip_norm": 1e-3, "optimizer": "sgd"},
    "ema": {"ema": 0.9},
    "weight_decay": {"weight_decay": 0.5, "optimizer": "sgd"},
    "cosine": {"schedule": "cosine", "warmup": 0.2},
    "optimizer": {"optimizer": {"rmsprop": {"momentum": 0.5}}},
    "pcgrad": {"balancer": "pcgrad"},
    "cagrad": {"balancer": {"cagrad": {"c": 0.3}}, "gradients": pt.Engine(chunk=64)},
    "independent": {"sharing": "independent"},
    "alternating": {"agenda": {"alternating": {"order": "round_robin"}}},
    "preprocess": {"preprocess": {"numbers": "standard"}},
    "seed": {"seed": 1},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(96, 3))
    frame = pd.DataFrame(x, columns=["rooms", "age", "distance"])
    frame["price"], frame["sold"] = x @ [3.0, -1.0, 0.5], np.where(x[:, 0] > 0, "yes", "no")

    def fitted(**settings):
        folder = tmp_path_factory.mktemp("runs") / "run"
        tiny = {"epochs": 2, "batch_size": 32, "encoder": {"mlp": {"widths": [8, 4]}}, "quiet": True}
        return pt.fit(frame, [pt.Regression("price"), pt.Classification("sold")], folder=folder, **{**tiny, **settings})

    return fitted, fitted(), fitted(optimizer="sgd")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_trains_changes_the_model_and_is_in_the_record(name, plain):
    fitted, adamw, sgd = plain
    trained = fitted(**SETTINGS[name])
    config = written(trained)
    flat = {**config, **config["train"], **config["data"]}
    for key, value in SETTINGS[name].items():
        assert flat[key] == ({"chunk": 64} if key == "gradients" else value)
    reference = sgd if "optimizer" in SETTINGS[name] and SETTINGS[name]["optimizer"] == "sgd" else adamw
    if name == "independent":
        assert not list(trained.model().shared_parameters())
    else:
        assert not same_weights(trained, reference)
    assert all(torch.isfinite(value).all() for value in weights_of(trained).values())
    assert len(trained.history) == 2
    assert set(trained.metrics["validation"]) == {"price", "sold"}


def test_cosine_is_in_the_history(fit):
    rates = fit(schedule="cosine", epochs=3).history["learning_rate"].tolist()
    assert rates[0] > rates[1] > rates[2]
    assert rates[2] == pytest.approx(0, abs=1e-12)


def test_plateau_lowers_the_learning_rate(fit, monkeypatch):
    from polytask.train.selection import Selection

    monkeypatch.setattr(Selection, "watched", lambda self, skills: 0.5)
    trained = fit(schedule="plateau", epochs=5, early_stopping={"patience": 4})
    assert trained.history["learning_rate"].tolist() == pytest.approx([1e-3] * 4 + [1e-4])


def test_ema_weights_are_the_ones_that_are_kept(fit):
    trained = fit(ema=0.9, epochs=1)
    state, _ = read_checkpoint(trained.path / "checkpoint")
    kept = weights_of(trained)
    assert all(torch.equal(kept[name], state["average"][f"module.{name}"]) for name in kept)
    assert not all(torch.equal(kept[name], state["model"][name]) for name in kept)


def test_threads_are_set_recorded_and_given_back(fit):
    before = torch.get_num_threads()
    trained = fit(threads=2)
    assert torch.get_num_threads() == before
    assert json.loads((trained.path / "environment.json").read_text())["threads"] == 2
    assert read_checkpoint(trained.path / "checkpoint")[0]["threads"] == 2


def test_the_model_is_compiled_where_that_is_asked_for(fit, monkeypatch):
    from polytask.model import Model

    calls = []
    monkeypatch.setattr(Model, "compile", lambda self: calls.append(self.tasks))
    assert written(fit(compile=True))["train"]["compile"] is True
    assert calls == [("price", "sold")]
    fit(folder="other")
    assert len(calls) == 1


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("balancer", ["sum", "pcgrad", "famo", "auto_lambda"])
def test_compiled(fit, houses, tmp_path, balancer):
    """In a process of its own: torch.compile cannot trace through the shape checks of these tests."""
    houses.to_csv(tmp_path / "d.csv", index=False)
    settings = [
        "--set",
        "encoder={mlp: {widths: [8, 4], dropout: 0.0}}",
        "--set",
        "train.batch_size=32",
        "--set",
        f"balancer={balancer}",
        "--set",
        "train.optimizer=sgd",  # adaptive steps would turn rounding near a gradient of zero into whole steps
        "--epochs",
        "1",
    ]
    command = [sys.executable, "-m", "polytask", "fit", "d.csv", "-t", "price", "-t", "sold", "-q", *settings]
    for name, compiled in (("compiled", "true"), ("plain", "false")):
        more = ["-o", name, "--set", f"train.compile={compiled}"]
        subprocess.run([*command, *more], cwd=tmp_path, check=True, capture_output=True, timeout=500)
    one, other = pt.load(tmp_path / "compiled"), pt.load(tmp_path / "plain")
    assert set(weights_of(one)) == set(weights_of(other)), "the names are those of the model itself"
    for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_device_that_is_not_there(fit, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.device: 'gpu9' cannot be used here .* use auto, cpu, cuda or mps"):
        fit(device="gpu9")
    assert not (tmp_path / "run").exists()


def test_settings_that_only_tasks_and_tables_show_to_be_wrong(fit, tmp_path):
    with pytest.raises(ConfigError, match="fixed: it needs a weight for every task"):
        fit(balancer="fixed")
    with pytest.raises(ConfigError, match="steps has no effect with order='proportional'"):
        fit(agenda={"alternating": {"steps": 3}})
    with pytest.raises(ConfigError, match=r"batch_size=4096, but there are \d+ training rows"):
        fit(batch_size=4096)
    assert not (tmp_path / "run").exists()


def test_one_task_stops_while_the_other_goes_on(fit, monkeypatch):
    from polytask.train import loop

    real, calls = loop.validate, []

    def validate(session, autocast):
        calls.append(1)
        scores = real(session, autocast)
        scores["price"]["skill"] = -float(len(calls))
        scores["sold"]["skill"] = float(len(calls))
        return scores

    monkeypatch.setattr(loop, "validate", validate)
    trained = fit(epochs=6, early_stopping={"patience": 2, "per_task": True})
    assert trained.history["active"].tolist() == [["price", "sold"]] * 2 + [["sold"]] * 4
    losses = trained.history["training_loss.price"]
    assert losses.notna().tolist() == [True] * 3 + [False] * 3
    assert trained.history["improved"].tolist()[0] == ["mean", "price", "sold"]
    assert all(improved == ["sold"] for improved in trained.history["improved"][1:])


# What it leaves alone ------------------------------------------------------------------------------------------------


def test_global_random_state_and_modes_are_left_alone(fit, houses):
    frame = houses.copy()
    random.seed(4)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.is_grad_enabled()  # noqa: NPY002
    fit()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert torch.is_grad_enabled() is before[2]
    pd.testing.assert_frame_equal(frame, houses)


def test_the_same_seed_gives_the_same_run(fit):
    one, other = fit(folder="a"), (torch.manual_seed(77), fit(folder="b"))[1]
    assert (one.path / "weights/mean.safetensors").read_bytes() == (
        other.path / "weights/mean.safetensors"
    ).read_bytes()
    timing = ["timing.seconds", "timing.rows_per_second"]
    pd.testing.assert_frame_equal(one.history.drop(columns=timing), other.history.drop(columns=timing))


def test_no_test_row_is_read_before_the_test_part_is_opened(fit, houses, monkeypatch):
    from polytask.data import Preprocessor
    from polytask.experiment import encode, prepare
    from polytask.runs import run as run_module

    read = []
    real_targets, real_inputs, real_fit = encode.encode_targets, Preprocessor.transform, prepare.fit_task

    def encode_targets(table, tasks, fitted, rows):
        read.extend(rows)
        return real_targets(table, tasks, fitted, rows)

    def transform(self, table, rows=None, **more):
        read.extend(range(table.num_rows) if rows is None else rows)
        return real_inputs(self, table, rows, **more)

    def fit_task(table, task, rows):
        read.extend(rows)
        return real_fit(table, task, rows)

    for module in (encode, run_module):
        monkeypatch.setattr(module, "encode_targets", encode_targets)
    monkeypatch.setattr(prepare, "fit_task", fit_task)
    monkeypatch.setattr(Preprocessor, "transform", transform)
    trained = fit()
    test = set(trained.split().rows("test").tolist())
    assert test
    assert read
    assert not test & set(map(int, read))
    trained.predict(houses.iloc[trained.split().rows("train")])
    assert trained.metrics["test"] is trained.metrics["test_opened"] is None
    assert not (trained.path / "predictions/test.parquet").exists()
    read.clear()
    trained.evaluate()
    assert set(map(int, read)) == test


def test_a_run_folder_holds_no_pickle_and_what_it_should(fit):
    trained = fit()
    trained.evaluate()
    files = {p.relative_to(trained.path).as_posix(): p for p in trained.path.rglob("*") if p.is_file()}
    assert {Path(name).suffix for name in files if name != ".lock"} == {
        ".json", ".jsonl", ".yaml", ".parquet", ".safetensors", ".bib",
    }  # fmt: skip
    for name, path in files.items():
        head = path.read_bytes()[:2]
        assert head[:1] != b"\x80", name  # a pickle's first opcode
        assert head != b"PK", name  # a zip, as torch.save writes
    assert {f"weights/{name}.safetensors" for name in ("mean", "price", "sold")} <= set(files)
    assert str(Path.home()) not in (trained.path / "environment.json").read_text()


def test_a_balancer_around_another_is_a_choice_like_any(fit, houses):
    run = fit(balancer={"smooth": {"of": {"cagrad": {"c": 0.2}}, "momentum": 0.5}})
    wanted = {"smooth": {"of": {"cagrad": {"c": 0.2}}, "momentum": 0.5}}
    assert read_yaml(run.path / "config.yaml")[0]["balancer"] == wanted
    assert "{zhou2022," in run.cite()
    assert "{liu2021," in run.cite()
    pd.testing.assert_frame_equal(pt.load(run.path).predict(houses), run.predict(houses))


@pytest.mark.parametrize(("of", "is_idle"), [("dwa", False), ("pcgrad", True)])
def test_a_balancer_around_another_has_an_effect_where_that_one_has(houses, tmp_path, of, is_idle):
    said = []
    values = {
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 1},
        "sharing": "independent",
        "balancer": {"smooth": {"of": of}},
    }
    run(Experiment.read(values), data=houses, folder=tmp_path / "run", quiet=True, say=said.append)
    assert ("warning: balancer PCGrad has no effect: these tasks share no parameters" in said) == is_idle
    assert any("has no effect" in s for s in said) == is_idle


@pytest.mark.parametrize(
    ("balancer", "steers", "key"),
    [
        ("famo", False, "liubo2023"),
        ("auto_lambda", True, "liushikun2022"),
        ({"smooth": {"of": {"auto_lambda": {"primary": ["price"]}}}}, True, "liushikun2022"),
    ],
    ids=str,
)
def test_a_balancer_that_looks_at_losses_again(houses, tmp_path, balancer, steers, key):
    said = []
    values = {
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 2, "batch_size": 16},
        "balancer": balancer,
    }
    trained = run(Experiment.read(values), data=houses, folder=tmp_path / "run", quiet=True, say=said.append)
    warned = "warning: balancer AutoLambda lets the validation rows steer the training: judge it by the test rows"
    assert (warned in said) == steers
    assert f"{{{key}," in trained.cite()
    weights = trained.history[["weights.price", "weights.sold"]].to_numpy()
    assert (weights[0] != weights[1]).all()


@pytest.mark.parametrize(
    ("balancer", "error", "says"),
    [
        ({"auto_lambda": {"primary": ["prize"]}}, ConfigError, "unknown task 'prize' in primary; did you mean 'price'"),
        (
            {"famo": {"minimums": {"price": 5.0, "sold": 0.0}}},
            TrainingError,
            "epoch 1, step 1: famo: the loss of task 'price' is .*, below its minimum 5: say how low it can get",
        ),
    ],
    ids=str,
)
def test_looks_that_cannot_be(fit, balancer, error, says):
    with pytest.raises(error, match=says):
        fit(balancer=balancer)


@pytest.mark.parametrize("balancer", ["dtp", {"achievement": {"mean": "arithmetic"}}])
def test_balancers_that_read_skills_see_the_last_validation(fit, balancer):
    history = fit(balancer=balancer, epochs=3, learning_rate=0.03).history
    first, second, third = history[["weights.price", "weights.sold"]].to_numpy()
    assert first[0] == first[1]
    assert second[0] != second[1]
    assert (third != second).all()


def test_what_was_used_can_be_cited(fit):
    text = fit(balancer="pcgrad").cite()
    assert "yu2020" in text
    assert "caruana1997" in text


# Notices -------------------------------------------------------------------------------------------------------------


def test_a_setting_without_effect_is_said(fit, houses, tmp_path):
    said = []
    tasks = (pt.Regression("price"), pt.Classification("sold", after=["price"]))
    values = {
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification", "after": ["price"]}},
        "train": {"epochs": 1},
        "balancer": "pcgrad",
        "agenda": "alternating",
    }
    experiment = Experiment.read(values)
    assert experiment.tasks == tasks
    houses.loc[0, ["price", "sold"]] = None
    run(experiment, data=houses, folder=tmp_path / "run", quiet=True, say=said.append)
    assert "warning: task 'sold': after=['price'] has no effect under this agenda" in said
    assert any(s.startswith("warning: balancer PCGrad has little to balance") for s in said)
    assert any("1 of 96 rows are left out: every target is missing there" in s for s in said)
    assert any("training" in s and "validation" in s and "test rows" in s for s in said)


def test_quiet_says_nothing(fit, capsys):
    fit()
    assert capsys.readouterr() == ("", "")


def test_notices_and_lines_go_to_the_error_stream(houses, tasks, tmp_path, capsys):
    pt.fit(houses, tasks, folder=tmp_path / "run", epochs=1, encoder={"mlp": {"widths": [4]}})
    out, err = capsys.readouterr()
    assert not out
    assert "66 training, 15 validation, 15 test rows" in err or "training," in err
    assert "epoch 1/1" in err


@pytest.mark.parametrize(("balancer", "has_effect"), [("cagrad", True), ("uncertainty", False), ("sum", False)])
def test_how_gradients_are_taken(houses, tmp_path, balancer, has_effect):
    said = []
    values = {
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 2},
        "balancer": balancer,
        "gradients": {"level": "representation", "every": 3},
    }
    trained = run(Experiment.read(values), data=houses, folder=tmp_path / "run", quiet=True, say=said.append)
    assert any("has no effect: balancer" in s for s in said) != has_effect
    assert read_yaml(trained.path / "config.yaml")[0]["gradients"] == {"level": "representation", "every": 3}
    assert set(trained.predict(houses)) >= {"price", "sold"}


def test_tasks_that_read_different_stages_have_no_one_representation(houses, tmp_path):
    values = {
        "tasks": {
            "price": {"kind": "regression"},
            "dearness": {"kind": "regression", "column": "price"},
            "sold": {"kind": "classification", "reads": 0},
        },
        "balancer": "cagrad",
        "gradients": {"level": "representation"},
    }
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: level='representation'.*use level='exact'"):
        run(Experiment.read(values), data=houses, folder=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("balancer", "optimizer", "is_idle"),
    [
        ("sum", "adamw", True),
        ({"smooth": {"of": "dwa"}}, "adamw", True),
        ("pcgrad", "adamw", False),
        ("sum", "adatask", False),
    ],
    ids=str,
)
def test_settings_of_gradients_that_nobody_reads_have_no_effect(houses, tmp_path, balancer, optimizer, is_idle):
    said = []
    values = {
        "tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}},
        "train": {"epochs": 1, "optimizer": optimizer},
        "balancer": balancer,
        "gradients": {"chunk": 1000},
    }
    run(Experiment.read(values), data=houses, folder=tmp_path / "run", quiet=True, say=said.append)
    assert any(s.startswith("warning: gradients: {'chunk': 1000} has no effect: balancer ") for s in said) == is_idle
