"""What a study gives to its Runs: splits, preprocessing, findings, a mark; and who is told of the epochs."""

from dataclasses import replace

import numpy as np
import pytest

import polytask as pt
from polytask.data import Split
from polytask.errors import RunError
from polytask.experiment import Given, experiment_from, fit_preprocessor, input_columns, load_sources, look_over, run
from polytask.train import Quiet

TINY = {"epochs": 2, "batch_size": 16, "encoder": {"mlp": {"widths": [4]}}}


@pytest.fixture
def experiment(tasks):
    return experiment_from(tasks, **TINY)


@pytest.fixture
def given(experiment, houses):
    """The last rows are for the test, the first for training; the preprocessing has seen all but the test rows."""
    sources = load_sources(experiment, houses)
    inputs = input_columns(experiment.data, sources)
    splits = {"all": Split(np.repeat(np.array([0, 1, 2], dtype=np.int8), 32))}
    wider = {"all": Split(np.repeat(np.array([0, 0, 2], dtype=np.int8), 32))}
    return Given(
        splits=splits,
        preprocessor=fit_preprocessor(experiment.data, sources, wider, inputs),
        findings=look_over(sources, splits, inputs)[:0],
        mark="run 3 of study 4",
    )


class Told(Quiet):
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def epoch(self, record) -> None:
        self.epochs.append(record["epoch"])


def test_a_run_takes_what_it_is_given(experiment, given, houses, tmp_path):
    told = Told()
    made = run(experiment, data=houses, folder=tmp_path / "run", given=given, progress=told)
    assert told.epochs == [1, 2]
    assert made.split().rows("test").tolist() == list(range(64, 96))
    assert made.split().rows("train").tolist() == list(range(32))
    assert made.findings == []
    assert made.folder.read_json("run.json")["given"] == "run 3 of study 4"
    own = run(experiment, data=houses, folder=tmp_path / "own", quiet=True)
    assert "given" not in own.folder.read_json("run.json")
    name = "preprocessing/preprocessing.safetensors"
    assert (own.path / name).read_bytes() != (made.path / name).read_bytes()


def test_it_is_gone_on_with_only_for_the_same_study(experiment, given, houses, tmp_path):
    run(experiment, data=houses, folder=tmp_path / "run", given=given, quiet=True)
    again = run(experiment, data=houses, folder=tmp_path / "run", given=given, quiet=True)
    assert again.path == tmp_path / "run"
    for other in (replace(given, mark="another"), None):
        with pytest.raises(
            RunError, match=r"holds a Run of another study, or of none; choose another folder, or remove it"
        ):
            run(experiment, data=houses, folder=tmp_path / "run", given=other, quiet=True)
    run(experiment, data=houses, folder=tmp_path / "own", quiet=True)
    with pytest.raises(RunError, match=r"holds a Run of another study, or of none"):
        run(experiment, data=houses, folder=tmp_path / "own", given=given, quiet=True)


def test_nothing_given_is_what_a_run_makes_itself(experiment, houses, tmp_path):
    from polytask.experiment.given import make_given

    made = make_given(experiment, load_sources(experiment, houses))
    one = run(experiment, data=houses, folder=tmp_path / "one", given=made, quiet=True)
    other = run(experiment, data=houses, folder=tmp_path / "other", quiet=True)
    for name in ("weights/mean.safetensors", "metrics.json", "splits.parquet", "lint.json"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name


def test_outputs_for_test_rows_open_them(fit):
    import pandas as pd
    import torch

    made = fit()
    assert made.metrics["test_opened"] is None
    found = made.test_outputs(["mean", "price"])
    assert {name: set(outputs) for name, outputs in found.items()} == {"mean": {"price", "sold"}, "price": {"price"}}
    rows = made.split().rows("test")
    assert len(found["mean"]["price"]) == len(rows)
    first = made.metrics
    assert first["test_opened"] is not None
    assert first["test"].keys() == {"price", "sold"}
    written = pd.read_parquet(made.path / "predictions/test.parquet")
    assert written["row"].tolist() == rows.tolist()
    task, fitted = made.tasks[0], made.blueprint.fitted["price"]
    np.testing.assert_allclose(written["price"], task.decode(found["mean"]["price"], fitted)["price"])
    # `evaluate` says the same of the same weights, and the first opening's time stays.
    assert made.evaluate()["price"]["r2"] == pytest.approx(first["test"]["price"]["r2"])
    assert made.metrics["test_opened"] == first["test_opened"]
    best = made.evaluate(best_for="price", tasks=["price"])["price"]["r2"]
    target = made.encoded(made.tables()["all"][0], [task], rows)
    value = task.primary_metric(fitted).score(
        found["price"]["price"], target.targets["price"], target.present["price"], fitted
    )
    assert value == pytest.approx(best)
    assert torch.equal(made.test_outputs()["mean"]["price"], found["mean"]["price"])


def test_outputs_without_test_rows(fit):
    made = fit(split={"test": 0.0})
    with pytest.raises(RunError, match=r"this Run has no test rows \(all\); give rows to evaluate"):
        made.test_outputs()
    assert made.metrics["test_opened"] is None


def test_a_reports_files_are_of_a_runs_folder(fit):
    made = fit()
    pt.report.report(made, made.path / "report.html")
    made.evaluate()
    pt.report.report(made, made.path / "report.html")
    made.folder.verify()
    assert fit().path == made.path
