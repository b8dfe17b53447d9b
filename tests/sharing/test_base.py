"""What every scheme says of tasks that cannot be, and what it tells before training."""

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.sharing import SHARINGS, Hard, JointManyTask, OwnEncoders


@pytest.mark.parametrize("tasks", [{}, ["x", "y"]])
def test_tasks_are_a_dict(chains, tasks):
    with pytest.raises((ValueError, TypeError), match=r"tasks are a dict|tasks"):
        Hard(chains.mlp, tasks, torch.Generator())


@pytest.mark.parametrize("name", sorted(set(SHARINGS) - {"task_norm"}))
def test_a_stage_that_is_not_there(chains, name):
    settings = {"order": ["x", "y"]} if name == "aitm" else {}
    with pytest.raises(ValueError, match="task 'y' reads stage 9, but the encoder has 3 stages: 0 to 2, or -1"):
        SHARINGS[name](chains.mlp, {"x": (-1,), "y": (9,)}, torch.Generator(), **settings)


def test_settings_without_effect_are_told(chains):
    tasks = {"x": (-1,), "y": (-1,)}
    (said,) = OwnEncoders(chains.mlp, tasks, torch.Generator()).notices()
    assert "this is hard sharing" in said
    (said,) = JointManyTask(chains.mlp, tasks, torch.Generator()).notices()
    assert "this is hard sharing; set order" in said
    assert not list(JointManyTask(chains.mlp, {"x": (-1,), "y": (0,)}, torch.Generator()).notices())
    assert not list(Hard(chains.mlp, tasks, torch.Generator()).notices())


@pytest.fixture(scope="module")
def table():
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(80, 3)), columns=["a", "b", "c"])
    return frame.assign(x=frame["a"] - frame["b"], y=frame["a"] + frame["b"])


def fitted(table, tmp_path, said=None, **settings):
    return pt.fit(
        table,
        [pt.Regression("x"), pt.Regression("y")],
        encoder={"mlp": {"widths": [8]}},
        epochs=2,
        folder=tmp_path / "run",
        **settings,
    )


def test_a_notice_is_a_warning_once(table, tmp_path, capsys):
    fitted(table, tmp_path, sharing="own_encoders")
    assert capsys.readouterr().err.count("warning: sharing own_encoders: encoders names no task") == 1


def test_penalties_are_in_the_history(table, tmp_path):
    run = fitted(table, tmp_path, sharing={"soft": {"weight": 1.0, "initialisation": "own"}}, quiet=True)
    assert (run.history["penalty"] > 0).all()
    assert "penalty" not in fitted(table, tmp_path / "plain", quiet=True).history


def test_a_preference_is_chosen_when_predicting(table, tmp_path):
    run = fitted(table, tmp_path, sharing="preference_conditioned", balancer="cosmos", quiet=True)
    one, other = (run.predict(table, preference={"x": x, "y": 1 - x}) for x in (0.9, 0.1))
    assert not np.allclose(one["x"], other["x"])
    pd.testing.assert_frame_equal(run.predict(table), run.predict(table, preference={"x": 1.0, "y": 1.0}))
    with pytest.raises(ValueError, match="preference"):
        run.predict(table, preference={"x": 1.0})
    with pytest.raises(ValueError, match=r"Hard reads no preference among tasks.*preference_conditioned"):
        fitted(table, tmp_path / "plain", quiet=True).predict(table, preference={"x": 1.0, "y": 1.0})
