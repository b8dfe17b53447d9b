"""results.json: the contract's keys, strict JSON, and numbers that agree with the Runs they come from."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

import polytask as pt
from polytask.studies import HELPS, HURTS
from polytask.studies.results import MOST_TASKS
from polytask.studies.sentences import headline, headline_of_mean, number, signed, warnings
from polytask.studies.verdict import CANNOT_TELL, NO_VERDICT, PRACTICALLY_EQUAL

TOP = {"format", "kind", "polytask", "written", "title", "design", "tasks", "arms", "verdict", "warnings", "runs", "cost", "redundant", "lint", "environment"}  # fmt: skip
DESIGN = {"seeds", "splits", "folds", "grid", "settings_tried", "level", "group", "chosen_by", "test_opened", "jobs", "primary"}  # fmt: skip
TASK = {"name", "kind", "metric", "higher_is_better", "perfect", "constant", "region", "unit", "rows", "groups"}
ARM = {"name", "role", "summary", "chosen", "of", "overrides", "parameters", "seconds", "joules", "runs", "settings_tried", "setting", "validation_skill", "scores", "mean_skill", "delta_m", "mean_rank"}  # fmt: skip
SCORE = {"value", "interval", "skill", "skill_interval", "by_seed", "own_best"}
MEAN = {"word", "reason", "difference", "interval", "adjusted_interval", "p", "level", "mde", "metric_mde", "metric_difference", "seeds", "rows", "groups", "seed_share"}  # fmt: skip
VERDICT = MEAN | {"own_best", "beside", "beats_constant", "sentence"}
RUN = {"arm", "task", "seed", "split", "setting", "folder", "state", "reason", "seconds", "epochs", "best_epoch", "validation", "is_main"}  # fmt: skip


@pytest.fixture(scope="module")
def results(finished):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads((finished.path / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def arms(results):
    return {arm["name"]: arm for arm in results["arms"]}


def test_has_the_contracts_keys(results):
    assert results.keys() == TOP
    assert results["design"].keys() == DESIGN
    assert {frozenset(task) for task in results["tasks"]} == {frozenset(TASK)}
    assert {frozenset(arm) for arm in results["arms"]} == {frozenset(ARM)}
    assert {frozenset(s) for arm in results["arms"] for s in arm["scores"].values()} == {frozenset(SCORE)}
    assert {frozenset(v) for v in results["verdict"]["tasks"].values()} == {frozenset(VERDICT)}
    assert results["verdict"]["mean"].keys() == MEAN | {"region"}
    assert {frozenset(run) for run in results["runs"]} == {frozenset(RUN)}
    assert (results["format"], results["kind"], results["title"]) == (1, "study", "houses")
    assert results["cost"].keys() == {"wall_seconds", "training_seconds", "runs", "joules"}
    assert results["design"]["primary"] == "tasks"
    assert results["verdict"]["screen"] is None


def test_roles(arms, results):
    assert {name: arm["role"] for name, arm in arms.items()} == {
        "sum": "candidate", "encoder=mlp(widths=(6,))": "candidate", "twins of sum": "twins",
        "twins of encoder=mlp(widths=(6,))": "twins", "placebo": "companion", "linear": "baseline",
    } or {arm["role"] for arm in arms.values()} == {"candidate", "twins", "companion", "baseline"}  # fmt: skip
    chosen = [name for name, arm in arms.items() if arm["chosen"]]
    assert chosen == [results["verdict"]["candidate"]]
    candidates = {n: a["validation_skill"] for n, a in arms.items() if a["role"] == "candidate"}
    assert chosen[0] == max(candidates, key=candidates.get)
    assert arms[results["verdict"]["twins"]]["of"] == chosen
    assert arms["placebo"]["of"] == chosen


def test_values_are_means_over_seeds_of_what_the_runs_say(finished, results, arms):
    metrics = {task["name"]: task["metric"] for task in results["tasks"]}
    checked = 0
    for name, arm in arms.items():
        if arm["role"] == "baseline":
            continue
        for task, metric in metrics.items():
            places = [r["folder"] for r in results["runs"] if r["arm"] == name and r["task"] in (None, task)]
            values = [pt.load(finished.path / place).metrics["test"][task][metric] for place in places]
            assert len(values) == 3
            score = arm["scores"][task]
            np.testing.assert_allclose(score["by_seed"], values, rtol=1e-5)
            assert score["value"] == pytest.approx(np.mean(values), rel=1e-5)
            checked += 1
    assert checked == 10


def test_skills_follow_from_values(results, arms):
    for task in results["tasks"]:
        for arm in arms.values():
            score = arm["scores"][task["name"]]
            gap = task["perfect"] - task["constant"]
            assert score["skill"] == pytest.approx((score["value"] - task["constant"]) / gap, rel=1e-4)
            low, high = score["skill_interval"]
            assert low < score["skill"] < high
            assert score["interval"] == pytest.approx([task["constant"] + end * gap for end in (low, high)])
            assert task["unit"] == pytest.approx(abs(gap))
    for arm in arms.values():
        assert arm["mean_skill"] == pytest.approx(np.mean([s["skill"] for s in arm["scores"].values()]))


def test_own_best_weights_are_those_of_the_task(finished, results, arms, houses):
    chosen = results["verdict"]["candidate"]
    for task in results["tasks"]:
        values = [
            pt.load(run.path, data=houses).evaluate(best_for=task["name"])[task["name"]][task["metric"]]
            for run in finished.runs(chosen)
        ]
        assert arms[chosen]["scores"][task["name"]]["own_best"]["value"] == pytest.approx(np.mean(values), rel=1e-5)
    assert arms["linear"]["scores"]["price"]["own_best"] is None
    assert arms[results["verdict"]["twins"]]["scores"]["price"]["own_best"] is None


def test_delta_m_and_ranks_by_hand(results, arms):
    own = {c: name for name, arm in arms.items() if arm["role"] == "twins" for c in arm["of"]}
    chosen = results["verdict"]["candidate"]
    for name, arm in arms.items():
        if arm["role"] == "twins":
            assert arm["delta_m"] is None
            continue
        twins = arms[own.get(name, own[chosen])]["scores"]
        changes = [(arm["scores"][t]["value"] - twins[t]["value"]) / abs(twins[t]["value"]) for t in ("price", "sold")]
        assert arm["delta_m"] == pytest.approx(100 * np.mean(changes), rel=1e-6)
    table = -np.array([[arm["scores"][t]["skill"] for t in ("price", "sold")] for arm in arms.values()])
    expected = rankdata(table, axis=0).mean(axis=1)
    assert [arm["mean_rank"] for arm in arms.values()] == pytest.approx(expected.tolist())


def test_the_verdict_agrees_with_the_leaderboard(results, arms):
    verdict = results["verdict"]
    shared, alone = arms[verdict["candidate"]]["scores"], arms[verdict["twins"]]["scores"]
    for task in results["tasks"]:
        found = verdict["tasks"][task["name"]]
        assert found["difference"] == pytest.approx(
            shared[task["name"]]["skill"] - alone[task["name"]]["skill"], abs=1e-6
        )
        assert found["metric_difference"] == pytest.approx(found["difference"] * task["unit"])
        assert found["metric_mde"] == pytest.approx(found["mde"] * task["unit"])
        assert 0 <= found["seed_share"] <= 1
        assert found["level"] in (0.05, 0.025)
        assert (found["seeds"], found["rows"]) == (3, task["rows"]["test"])
        assert set(found["beside"]) == {"placebo", "linear"} | {
            name for name, arm in arms.items() if arm["role"] == "twins" and name != verdict["twins"]
        }
        beside = found["beside"]["linear"]["difference"]
        linear = arms["linear"]["scores"][task["name"]]["skill"]
        assert beside == pytest.approx(shared[task["name"]]["skill"] - linear, abs=1e-6)
    differences = [found["difference"] for found in verdict["tasks"].values()]
    assert verdict["mean"]["difference"] == pytest.approx(np.mean(differences))


def test_runs_and_costs(finished, results):
    runs = results["runs"]
    assert len(runs) == results["cost"]["runs"] == 3 * (2 + 2 * 2 + 2)
    assert {run["state"] for run in runs} == {"finished"}
    for run in runs:
        found = pt.load(finished.path / run["folder"])
        assert run["validation"] == found.folder.read_json("run.json")["best_score"]
        assert run["epochs"] == len(found.history)
    assert results["cost"]["training_seconds"] == pytest.approx(sum(run["seconds"] for run in runs), abs=0.2)
    assert results["cost"]["training_seconds"] < results["cost"]["wall_seconds"]


def test_every_judged_run_was_opened_and_has_the_studys_split(finished, results):
    opened = {pt.load(finished.path / r["folder"]).metrics["test_opened"] for r in results["runs"]}
    assert None not in opened
    assert min(opened) >= results["design"]["test_opened"]
    split = pd.read_parquet(finished.path / "splits/0.parquet")
    for run in results["runs"]:
        own = pd.read_parquet(finished.path / run["folder"] / "splits.parquet")
        if run["task"] is None or run["arm"] == "placebo":
            pd.testing.assert_frame_equal(own, split)
        changed = own["part"] != split["part"]
        assert set(own["part"][changed]) <= {"dropped"}


# Many tasks, sentences, warnings -------------------------------------------------------------------------------------


def test_more_than_twelve_tasks_are_judged_by_their_mean(study):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 2)), columns=["a", "b"])
    names = [f"t{k}" for k in range(MOST_TASKS + 1)]
    for name in names:
        frame[name] = frame["a"] + generator.normal(size=200)
    found = study(frame, [pt.Regression(name) for name in names], epochs=1, encoder={"mlp": {"widths": [4]}})
    verdict = found.results["verdict"]
    assert found.results["design"]["primary"] == "mean"
    assert set(verdict["screen"]) == set(names)
    assert "13 tasks" in verdict["headline"]
    assert verdict["mean"]["level"] == 0.05
    assert any("13 tasks with 3 seeds" in warning for warning in found.warnings)


def test_headlines():
    assert (
        headline([HELPS, HURTS, CANNOT_TELL]) == "Sharing helps 1 of 3 tasks and hurts 1; for 1 this study cannot tell."
    )
    assert headline([HELPS]) == "Sharing helps 1 of 1 task and hurts none."
    assert headline([PRACTICALLY_EQUAL, NO_VERDICT]) == (
        "Sharing is not shown to help or to hurt any of 2 tasks; 1 is practically equal, on 1 there is no verdict."
    )
    mean = {"word": HELPS, "difference": 0.02, "interval": [0.01, 0.03]}
    assert headline_of_mean(mean, 13) == (
        "Sharing helps on average over 13 tasks: +0.0200 of skill, 95 % from +0.0100 to +0.0300."
    )
    nothing = {"word": NO_VERDICT, "difference": None, "interval": [None, None]}
    assert headline_of_mean(nothing, 13) == "There is no verdict on the average over 13 tasks."


def test_numbers_in_sentences():
    assert [number(x) for x in (None, math.nan, 0.95123, 12.3456, 12345.6, 0.01)] == ["–", "–", "0.951", "12.35", "12346", "0.0100"]  # fmt: skip
    assert [signed(x) for x in (0.5, -0.5, None)] == ["+0.500", "−0.500", "–"]


def said(**changes):
    settings = {"num_tasks": 2, "num_seeds": 5, "num_splits": 1, "against_constant": {}, "by_time": False}
    settings |= {"num_candidates": 1}
    return warnings(**settings | changes)


def test_warnings():
    assert said() == []
    assert said(num_seeds=2) == ["2 seeds: at least 3 are needed for a verdict."]
    assert said(num_seeds=1) == ["1 seed: at least 3 are needed for a verdict."]
    assert "6 tasks with 5 seeds" in said(num_tasks=6)[0]
    assert said(num_tasks=5) == said(num_tasks=6, num_seeds=10) == []
    assert "6 tasks with 5 splits" in said(num_tasks=6, num_splits=5)[0]
    (constant,) = said(against_constant={"price": ("sum", (0.01, -0.1, 0.12))})
    assert "Nothing here is shown to beat the best constant on price: the best, sum, has a skill of +0.0100" in constant
    assert "name a column of days or weeks as group" in said(by_time=True)[0]
