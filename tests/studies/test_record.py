"""A finished study in Python: its verdict, leaderboard and Runs."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import ConfigError
from polytask.studies import Study


def test_the_verdict_is_a_mapping_that_prints_itself(finished):
    verdict = Study(finished.path).verdict
    assert list(verdict) == ["price", "sold"]
    assert len(verdict) == 2
    told = finished.results["verdict"]["tasks"]["price"]
    assert verdict["price"].word == told["word"]
    assert verdict["price"].interval == tuple(told["interval"])
    assert verdict["price"].beside == told["beside"]
    assert verdict.candidate == finished.results["verdict"]["candidate"]
    assert verdict.headline in str(verdict).replace("\n", " ")
    assert repr(verdict).startswith(f"StudyVerdict({verdict.candidate}: price: ")
    assert repr(finished).startswith("Study('")
    with pytest.raises(KeyError, match=r"'pirce' is no task of this study; did you mean 'price'"):
        verdict["pirce"]
    assert "pirce" not in verdict


def test_the_leaderboard_has_a_row_an_arm(finished):
    board = finished.leaderboard
    assert list(board.index) == [arm["name"] for arm in finished.results["arms"]]
    assert list(board) == ["role", "price", "sold", "mean_skill", "delta_m", "mean_rank", "parameters", "seconds"]
    assert isinstance(board, pd.DataFrame)
    assert board.loc["linear", "price"] == finished.results["arms"][-1]["scores"]["price"]["value"]
    assert np.isnan(board.loc["linear", "parameters"])


def test_the_runs_of_an_arm(finished):
    runs = finished.runs("sum")
    assert [run.folder.read_json("run.json")["state"] for run in runs] == ["finished"] * 3
    assert [run.blueprint.seed for run in runs] == [0, 1, 2]
    assert len(finished.runs("placebo")) == 6
    with pytest.raises(ConfigError, match=r"this study has no Runs of 'linear'; "):
        finished.runs("linear")


def test_citations_stand_once(finished):
    text = finished.cite()
    entries = [line for line in text.splitlines() if line.startswith("@")]
    assert len(entries) == len(set(entries))
    assert {"howe1974", "holm1979", "caruana1997"} <= {entry.partition("{")[2].rstrip(",") for entry in entries}


def test_a_run_of_a_study_predicts(finished, houses):
    frame = finished.runs(finished.verdict.candidate)[0].predict(houses.head(5))
    assert list(frame) == ["price", "sold"]


def test_arguments_are_checked(houses, tasks, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown setting 'epoch'; did you mean 'epochs'"):
        pt.study(houses, tasks, epoch=3, folder=tmp_path / "s")
    with pytest.raises(ConfigError, match=r"seeds"):
        pt.study(houses, tasks, seeds="many", folder=tmp_path / "s")
    assert not (tmp_path / "s").exists()
