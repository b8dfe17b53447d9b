"""Thresholds tuned on validation rows, from training to a loaded Run."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt


@pytest.fixture(scope="module")
def frame():
    g = np.random.default_rng(0)
    x = g.normal(size=600)
    rare = (x + 0.8 * g.normal(size=600) > 1.8).astype(int)
    return pd.DataFrame({"x": x, "rare": rare, "p": rare, "q": (x + g.normal(size=600) < -1.5).astype(int)})


@pytest.fixture(scope="module")
def fitted(frame, tmp_path_factory):
    tasks = [
        pt.Classification("rare", threshold="tuned", primary="f1"),
        pt.Multilabel("labels", columns=["p", "q"], threshold="tuned"),
    ]
    folder = tmp_path_factory.mktemp("tuned") / "run"
    return pt.fit(frame, tasks, epochs=8, folder=folder, quiet=True, seed=0)


def test_the_cut_is_the_best_of_validation_rows(fitted, frame):
    run = pt.load(fitted.path, data=frame)
    cut = run.blueprint.fitted["rare"]["cut"]
    rows = run.split().rows("validation")
    with torch.inference_mode():
        encoded = run.encoded(run.tables()["all"][0], run.tasks, rows)
        (batch,) = encoded.in_order(len(rows))
        output = run.model()(batch.inputs, ["rare"])["rare"]
    positive = batch.targets["rare"] == 1

    def f1(at):
        chosen = output.double() > at
        return 2 * int((chosen & positive).sum()) / max(1, int(chosen.sum()) + int(positive.sum()))

    assert f1(cut) >= max(f1(at) for at in [*(output.double() + 1e-7).tolist(), 0.0])
    assert run.metrics["validation"]["rare"]["f1"] == pytest.approx(f1(cut))
    assert run.metrics["validation"]["rare"]["f1"] > f1(0.0)
    said = run.metrics["tuned_on_validation"]
    assert said["rare"] == pytest.approx(1 / (1 + np.exp(-cut)))
    assert list(said["labels"]) == ["p", "q"]


def test_predictions_and_scores_follow_it(fitted, frame):
    run = pt.load(fitted.path, data=frame)
    found = run.predict(frame, probabilities=True)
    threshold = run.metrics["tuned_on_validation"]["rare"]
    assert ((found["rare[1]"] > threshold) == (found["rare"] == 1)).all()
    rows = run.split().rows("test")
    chosen, positive = found["rare"].to_numpy()[rows] == 1, frame["rare"].to_numpy()[rows] == 1
    f1 = 2 * (chosen & positive).sum() / (chosen.sum() + positive.sum())
    assert run.evaluate()["rare"]["f1"] == pytest.approx(f1)
    saved = pd.read_parquet(run.path / "predictions" / "validation.parquet")
    assert saved["rare"].tolist() == found["rare"].iloc[saved["row"]].tolist()


def test_a_run_without_it_says_nothing_of_it(frame, tmp_path):
    run = pt.fit(
        frame[["x", "q"]], [pt.Classification("q", threshold=0.3)], epochs=1, folder=tmp_path / "run", quiet=True
    )
    assert "tuned_on_validation" not in json.loads((run.path / "metrics.json").read_text())
    assert run.blueprint.fitted["q"]["cut"] == pytest.approx(np.log(3 / 7))
