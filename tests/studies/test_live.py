"""What is shown while a study runs: lines for logs, a table in a terminal, nothing when quiet."""

import io
import re

import pytest
from rich.console import Console

import polytask as pt
from polytask.studies.bench import BaselineJob
from polytask.studies.data import View
from polytask.studies.live import Lines, LiveStudy, Silent, make_study_progress, title_of
from polytask.studies.plan import Job, Unit


@pytest.fixture
def jobs(experiment):
    shared = Unit("sum", "candidate", View("all"), experiment())
    twin = Unit("twins", "twins", View("alone", "price"), experiment())
    return [
        Job(shared, 0, 0, {"ema": 0.9}),
        Job(twin, 1, 2, {}, True),
        BaselineJob("trees", "price", 0, 0, experiment()),
    ]


def go_through(progress, jobs):
    progress.planned(jobs, jobs[:1])
    progress.started(jobs[1])
    progress.epoch(jobs[1], 1, 5, 0.25)
    progress.epoch(jobs[1], 2, 5, None)
    progress.ended(jobs[1], "")
    progress.started(jobs[2])
    progress.ended(jobs[2], "ValueError: [bold]planted")
    progress.close()


def test_lines(jobs, capsys):
    go_through(Lines(), jobs)
    assert capsys.readouterr().err.splitlines() == [
        "1 of 3 are finished already",
        "[2/3] twins price split 2 seed 1: done, validation skill 0.2500",
        "[3/3] trees price seed 0: crashed: ValueError: [bold]planted",
    ]
    assert title_of(jobs[0]) == "ema=0.9 seed 0"


def test_a_live_table(jobs):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    progress = LiveStudy(console)
    go_through(progress, jobs)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert "crashed: ValueError: [bold]planted" in shown
    assert "2 of 3 done in" in shown
    assert re.search(r"twins\W+1/1\W+0.2500", shown)
    assert re.search(r"trees\W+0/1 \(1 crashed\)", shown)


def test_quiet_is_silent(jobs, capsys):
    progress = make_study_progress(quiet=True)
    assert isinstance(progress, Silent)
    go_through(progress, jobs)
    assert capsys.readouterr().err == ""
    assert isinstance(make_study_progress(), Lines)


def test_a_study_says_its_rows_and_what_it_does(houses, tasks, tmp_path, capsys):
    pt.study(
        houses, tasks, seeds=1, epochs=1, jobs=0, baselines=("linear",), encoder={"mlp": {"widths": [4]}},
        folder=tmp_path / "s",
    )  # fmt: skip
    shown = capsys.readouterr().err
    assert re.search(r"^rows: 1\d\d train, 3\d validation, 36 test$", shown, re.MULTILINE)
    assert re.search(r"\[3/3\] twins sold seed 0: done, validation skill", shown)
    assert re.search(r"\[5/5\] linear sold seed 0: done", shown)
