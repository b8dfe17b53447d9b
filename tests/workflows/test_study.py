"""A whole study: every kind of task, killed and started again, and verdicts where the answer is known."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import RunError
from polytask.studies import CANNOT_TELL, HELPS, HURTS, PRACTICALLY_EQUAL
from polytask.tasks import TASKS

TINY = {"epochs": 2, "batch_size": 32, "learning_rate": 0.02, "encoder": {"mlp": {"widths": [8]}}, "quiet": True}


def make_frame(rows=260, seed=0):
    g = np.random.default_rng(seed)
    x = g.normal(size=(rows, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"] = x @ [2.0, -1.0, 0.5] + g.normal(size=rows)
    frame["sold"] = np.where(x[:, 0] + g.normal(size=rows) > 0, "yes", "no")
    frame["area"] = g.choice(["north", "south", "east"], rows)
    frame["grade"] = np.clip(np.round(x[:, 1] + 2), 1, 3).astype(int)
    frame["person"] = g.integers(0, 15, rows).astype(str)
    for k, label in enumerate(("garden", "pool")):
        frame[label] = (x[:, k] + g.normal(size=rows) > 0).astype(float)
        frame.loc[g.random(rows) < 0.3, label] = np.nan
    return frame


def every_kind():
    return [
        pt.Regression("price"), pt.Classification("sold"), pt.Classification("area"), pt.Ordinal("grade"),
        pt.Multilabel("labels", columns=["garden", "pool"]), pt.Similarity("person", dim=4),
        pt.VectorRegression("shares", columns=["garden", "pool"]),
    ]  # fmt: skip


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr("polytask.studies.row_values.RESAMPLES", 40)


# Every kind of task --------------------------------------------------------------------------------------------------


def test_every_kind_of_task_on_one_table(tmp_path, few_resamples):
    tasks = every_kind()
    assert {task.kind for task in tasks} == set(TASKS) - {"tagging"}  # which reads tokens, not a table
    found = pt.study(
        make_frame(), tasks, ["sum", {"sharing": {"hard": {"split": 0}}}], folder=tmp_path / "s", seeds=3, jobs=0,
        baselines=("linear",), **TINY,
    )  # fmt: skip
    verdict = found.results["verdict"]
    for task in tasks:
        told = verdict["tasks"][task.name]
        assert told["word"] in (HELPS, HURTS, CANNOT_TELL, PRACTICALLY_EQUAL), (task.name, told["reason"])
        assert told["interval"][0] <= told["difference"] <= told["interval"][1]
        assert told["sentence"].count(task.name) == 1
    scores = {arm["name"]: set(arm["scores"]) for arm in found.results["arms"]}
    assert scores["linear"] == {task.name for task in tasks} - {"person"}
    assert scores["sum"] == {task.name for task in tasks}
    assert verdict["mean"]["interval"][0] < verdict["mean"]["interval"][1]
    assert "Sharing" in verdict["headline"]
    assert str(found.verdict).count("\n") > 10
    assert found.leaderboard.loc["linear", "mean_rank"] is None or np.isnan(
        found.leaderboard.loc["linear", "mean_rank"]
    )
    assert "howe1974" in found.cite()
    assert "caruana1997" in found.cite()


def test_every_kind_of_task_with_a_table_each(tmp_path, few_resamples):
    tasks = every_kind()
    inputs = ["a", "b", "c"]
    tables = {task.name: make_frame(200 + 10 * k, seed=k)[[*inputs, *task.columns]] for k, task in enumerate(tasks)}
    found = pt.study(
        tables, tasks, "uncertainty", folder=tmp_path / "s", seeds=3, jobs=0, baselines=("linear",),
        agenda="alternating", **TINY,
    )  # fmt: skip
    assert not [run for run in found.results["runs"] if run["state"] == "crashed"]
    for task in tasks:
        told = found.results["verdict"]["tasks"][task.name]
        assert told["word"] in (HELPS, HURTS, CANNOT_TELL, PRACTICALLY_EQUAL), (task.name, told["reason"])


def test_companions_of_tables_that_can_be_pooled(tmp_path):
    tables = {}
    for k, name in enumerate(("left", "right")):
        frame = make_frame(150 + 30 * k, seed=k)[["a", "b", "c"]]
        tables[name] = frame.assign(score=frame["a"] * (1 + k) + 10 * k)
    tasks = [pt.Regression(name, column="score") for name in tables]
    found = pt.study(
        tables, tasks, folder=tmp_path / "s", seeds=3, jobs=0, baselines=(), companions=("pooled", "equal_parameters"),
        agenda="alternating", **TINY,
    )  # fmt: skip
    arms = {arm["name"]: arm for arm in found.results["arms"]}
    assert set(arms) == {"sum", "twins", "pooled", "twins of equal parameters"}
    # The pooled model's predictions, task by task in the task's own rows, have the same R².
    for seed, run in enumerate(found.runs("pooled")):
        said = pd.read_parquet(run.path / "predictions/test.parquet").set_index("row")["pooled"]
        for name, first in (("left", 0), ("right", len(tables["left"]))):
            true = tables[name]["score"]
            own = said[(said.index >= first) & (said.index < first + len(true))]
            true = true.to_numpy()[own.index - first]
            r2 = 1 - np.sum((own - true) ** 2) / np.sum((true - true.mean()) ** 2)
            assert arms["pooled"]["scores"][name]["by_seed"][seed] == pytest.approx(r2, rel=1e-3)
    shared, equal = (arms[name]["parameters"]["total"] for name in ("sum", "twins of equal parameters"))
    assert abs(equal - shared) / shared < 0.15
    assert arms["twins"]["parameters"]["total"] > shared
    assert found.results["verdict"]["twins"] == "twins"


def test_repeated_splits_and_folds(tmp_path):
    frame = make_frame()
    tasks = [pt.Regression("price"), pt.Classification("sold")]
    for resplits in (3, "3-fold"):
        found = pt.study(
            frame, tasks, folder=tmp_path / f"s{resplits}", seeds=1, resplits=resplits, jobs=0, baselines=("linear",),
            **TINY,
        )  # fmt: skip
        results = found.results
        assert results["design"]["splits"] == 3
        assert results["cost"]["runs"] == 9
        for told in results["verdict"]["tasks"].values():
            assert told["seeds"] == 3
            assert told["word"] != "no verdict"
        values = [run.metrics["test"]["price"]["r2"] for run in found.runs("sum")]
        assert results["arms"][0]["scores"]["price"]["by_seed"] == pytest.approx(values, rel=1e-5)
        assert "nadeau2003" in found.cite()
    assert results["verdict"]["tasks"]["sold"]["rows"] == len(frame)


# Where there is no verdict -------------------------------------------------------------------------------------------


def reasons(tmp_path, frame, **settings):
    tasks = [pt.Regression("price"), pt.Classification("sold")]
    asked = {"seeds": 3, "jobs": 0, "baselines": (), **TINY, "epochs": 1} | settings
    found = pt.study(frame, tasks, folder=tmp_path / f"s{time.monotonic_ns()}", **asked)
    assert all(told["word"] != "no verdict" or told["reason"] for told in found.results["verdict"]["tasks"].values())
    return {name: told["reason"] for name, told in found.results["verdict"]["tasks"].items()}, found


def test_reasons_why_there_is_no_verdict(tmp_path):
    frame = make_frame(200)
    frame["part"] = ["train"] * 120 + ["valid"] * 40 + ["test"] * 40
    frame["who"] = [f"p{k % 5}" for k in range(200)]
    column = {"split": {"column": "part"}}
    found, study = reasons(tmp_path, frame, seeds=2)
    assert set(found.values()) == {"2 seeds, and at least 3 are needed"}
    assert study.warnings[0] == "2 seeds: at least 3 are needed for a verdict."
    few = frame.copy()
    few.loc[160:190, "price"] = np.nan
    assert reasons(tmp_path, few, **column)[0]["price"] == "9 test labels, and at least 10 are needed"
    none = frame.copy()
    none.loc[160:, "price"] = np.nan
    found, study = reasons(tmp_path, none, **column, baselines=("linear",))
    assert found == {"price": "no test labels, and at least 10 are needed", "sold": ""}
    assert "price" not in study.results["arms"][0]["scores"]
    assert study.results["tasks"][0]["rows"]["test"] == 0
    one = frame.copy()
    one.loc[160:, "sold"] = "yes"
    assert reasons(tmp_path, one, **column)[0]["sold"] == "all test labels are of one class"
    groups, study = reasons(tmp_path, frame, split={"column": "part", "by_group": "who"}, ignore=["who"])
    assert set(groups.values()) == {"5 groups of test rows, and at least 6 are needed"}
    assert {task["groups"] for task in study.results["tasks"]} == {5}
    assert reasons(tmp_path, frame, **column, group="who")[0] == groups


def test_all_runs_of_a_twin_crash(tmp_path, monkeypatch):
    import polytask.studies.bench as bench

    run = bench.run

    def failing(experiment, **settings):
        if [task.name for task in experiment.tasks] == ["price"]:
            raise ValueError("planted")
        return run(experiment, **settings)

    monkeypatch.setattr(bench, "run", failing)
    found, study = reasons(tmp_path, make_frame())
    assert found == {"price": "no seeds, and at least 3 are needed", "sold": ""}
    assert "price" not in next(arm for arm in study.results["arms"] if arm["role"] == "twins")["scores"]
    assert any(
        "3 of the Runs crashed; the first, runs/twins/price/seed-0: ValueError: planted" in w for w in study.warnings
    )
    verdict = study.results["verdict"]
    assert verdict["mean"]["difference"] == pytest.approx(verdict["tasks"]["sold"]["difference"])


def test_no_candidate_was_trained(tmp_path, monkeypatch):
    def failing(*_, **__):
        raise ValueError("planted")

    monkeypatch.setattr("polytask.studies.bench.run", failing)
    with pytest.raises(RunError, match=r"no candidate has a skill on validation rows"):
        reasons(tmp_path, make_frame())


# Killed --------------------------------------------------------------------------------------------------------------

SETTINGS = [
    "-t", "price", "-t", "sold", "-q", "--seeds", "3", "--epochs", "4", "-c", "sum", "-c", "pcgrad",
    "--set", "encoder={mlp: {widths: [8, 4], dropout: 0.1}}", "--set", "train.batch_size=16", "--set", "train.threads=1",
    "--set", "study.baselines=[linear]", "--set", "train.checkpoint_seconds=0.02",
]  # fmt: skip

#: What differs between two studies of the same: times and what they cost.
TIMES = {"written", "seconds", "wall_seconds", "training_seconds", "test_opened", "joules", "title"}


def without_times(values):
    if isinstance(values, dict):
        return {key: without_times(value) for key, value in values.items() if key not in TIMES}
    return [without_times(value) for value in values] if isinstance(values, list) else values


def results_of(folder: Path):
    return without_times(json.loads((folder / "results.json").read_text()))


def command(folder: Path, out: str, jobs: int) -> subprocess.Popen:
    words = [sys.executable, "-m", "polytask", "study", "houses.csv", *SETTINGS, "-o", out, "-j", str(jobs)]
    return subprocess.Popen(
        words, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(folder: Path, out: str, jobs: int = 0) -> Path:
    process = command(folder, out, jobs)
    _, shown = process.communicate(timeout=240)
    assert process.returncode == 0, shown.decode()
    return folder / out


def kill_when(folder: Path, out: str, moment, jobs: int = 0) -> None:
    process = command(folder, out, jobs)
    deadline = time.monotonic() + 120
    while process.poll() is None and not moment(folder / out) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def count(out: Path, pattern: str) -> int:
    try:
        return len(list(out.glob(pattern)))
    except FileNotFoundError:  # a folder went away while it was looked through
        return 0


MOMENTS = {
    "while preparing": lambda out: (out / "config.yaml").exists(),
    "while a Run trains": lambda out: count(out, "runs/*/seed-0/checkpoint/0*") > 0,
    "between Runs": lambda out: count(out, "runs/**/metrics.json") >= 5,
    "while baselines are fitted": lambda out: count(out, "baselines/**/baseline.json") >= 1,
    "while test rows are opened": lambda out: count(out, "runs/**/predictions/test.parquet") >= 2,
    "when citations are written": lambda out: (out / "citations.bib").exists(),
    "while results are written": lambda out: (out / "results.json").exists(),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    make_frame(200).drop(columns=["garden", "pool", "person", "grade"]).to_csv(folder / "houses.csv", index=False)
    finish(folder, "whole")
    return folder


def goes_on(here: Path, out: str, jobs: int = 0) -> None:
    """Started again it ends as if nothing had happened; what was finished is not trained again."""
    finished = [p.parent for p in (here / out).glob("runs/**/run.json") if '"finished"' in p.read_text()]
    before = {p: (p / "history.jsonl").stat().st_mtime_ns for p in finished}
    heads = {p: (p / "run.json").stat().st_mtime_ns for p in finished}
    finish(here, out, jobs)
    assert {p: (p / "history.jsonl").stat().st_mtime_ns for p in finished} == before
    assert {p: (p / "run.json").stat().st_mtime_ns for p in finished} == heads
    found, whole = results_of(here / out), results_of(here / "whole")
    if jobs:
        found["design"]["jobs"] = whole["design"]["jobs"]
    assert found == whole
    assert not list((here / out).rglob(".*.new"))


def test_killed_while_test_rows_are_opened(here):
    kill_when(here, "opened", MOMENTS["while test rows are opened"])
    assert not (here / "opened" / "results.json").exists()
    goes_on(here, "opened")


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_started_again(here, moment):
    out = moment.replace(" ", "-")
    kill_when(here, out, MOMENTS[moment])
    goes_on(here, out)


@pytest.mark.slow
def test_killed_again_and_again_with_workers(here):
    for number in (1, 4, 9):
        kill_when(here, "workers", lambda out, n=number: count(out, "runs/**/metrics.json") >= n, jobs=2)
        time.sleep(1)  # the workers notice, and let go of their folders
    goes_on(here, "workers", jobs=2)


@pytest.mark.slow
def test_while_it_trains_another_is_kept_out(here, tmp_path):
    shutil.copy(here / "houses.csv", tmp_path / "houses.csv")
    first = command(tmp_path, "s", 0)
    deadline = time.monotonic() + 120
    while not (tmp_path / "s/study.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = command(tmp_path, "s", 0)
    _, shown = second.communicate(timeout=120)
    assert second.returncode == (2 if first.poll() is None or b"another process" in shown else 0)
    first.communicate(timeout=120)
    assert first.returncode == 0


# Verdicts where the answer is known ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_candidate_that_is_its_twin_neither_helps_nor_hurts(tmp_path, monkeypatch):
    """Nothing shared and a plain sum: each task has its own trunk, as its twin does."""
    for place in ("units", "conduct"):  # such a candidate is not judged otherwise
        monkeypatch.setattr(f"polytask.studies.{place}.shares", lambda *_: True)
    words = []
    for trial in range(4):
        frame = make_frame(400, seed=trial)
        found = pt.study(
            frame, [pt.Regression("price"), pt.Classification("sold")], [{"sharing": "independent"}],
            folder=tmp_path / f"s{trial}", seeds=5, jobs=0, baselines=(), **{**TINY, "epochs": 15},
        )  # fmt: skip
        words += [told.word for told in found.verdict.values()]
    assert not {HELPS, HURTS} & set(words)


def planted(rows=420, few=24):
    """Two tasks on one hidden number of many inputs, of which one has few labels."""
    g = np.random.default_rng(0)
    x = g.normal(size=(rows, 12))
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(12)])
    hidden = np.tanh(x @ g.normal(size=12) / 2)
    frame["many"] = hidden + 0.05 * g.normal(size=rows)
    frame["few"] = -hidden + 0.05 * g.normal(size=rows)
    frame["part"] = ["train"] * 240 + ["valid"] * 60 + ["test"] * (rows - 300)
    frame.loc[few:239, "few"] = np.nan
    return frame


@pytest.mark.slow
def test_a_planted_transfer_is_found(tmp_path):
    found = pt.study(
        planted(), [pt.Regression("few"), pt.Regression("many")], folder=tmp_path / "s", seeds=5, jobs=0, baselines=(),
        companions=("placebo",), split={"column": "part"},
        **{**TINY, "epochs": 25, "learning_rate": 0.01, "encoder": {"mlp": {"widths": [16]}}},
    )  # fmt: skip
    told = found.verdict["few"]
    assert told.word == HELPS, told.sentence
    assert told.sentence.startswith("Sharing helps few: r2")
    assert told.beside["placebo"]["difference"] > 0.1
    assert "Sharing helps 1 of 2 tasks" in found.verdict.headline
