import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from polytask.tasks import Classification, Regression
from polytask.train import Quiet, make_progress
from polytask.train.progress import Lines, LiveTable, clock, primary_names

NAN = float("nan")
TASKS = {"price": Regression("price"), "sold": Classification("sold")}
FITTED = {"price": {"mean": 0.0, "scale": 1.0}, "sold": {"classes": [0, 1], "counts": [3, 3]}}


def session(epoch=0, step=0):
    return SimpleNamespace(
        epoch=epoch,
        step=step,
        data=SimpleNamespace(tasks=TASKS, fitted=FITTED),
        agenda=SimpleNamespace(steps_per_epoch=5),
        settings=SimpleNamespace(epochs=4),
        totals=SimpleNamespace(rows=80),
    )


def record(epoch, **changes):
    return {
        "epoch": epoch,
        "score": 0.25,
        "training_loss": {"price": 0.5, "sold": 0.6},
        "validation": {
            "price": {"r2": 0.31, "skill": 0.31, "loss": 0.7, "rows": 20},
            "sold": {"roc_auc": 0.81, "skill": 0.62, "loss": 0.55, "rows": 20},
        },
        "weights": {"price": 1.0, "sold": 0.75},
        "improved": ["mean", "price"],
        "active": ["price", "sold"],
        "timing": {"seconds": 1.0, "rows_per_second": 1234.0},
        **changes,
    }


def test_lines_say_epoch_score_speed_time_left_and_every_task(capsys):
    lines = Lines()
    lines.start(session())
    lines.step(session())
    lines.epoch(record(1))
    lines.epoch(record(2))
    lines.close()
    out, err = capsys.readouterr()
    assert not out
    first, second = err.splitlines()
    assert first.startswith("epoch 1/4  skill 0.2500  1,234 rows/s  at most 0 s left")
    assert "price: loss 0.5000 r2 0.3100" in first
    assert "sold: loss 0.6000 roc_auc 0.8100" in first
    assert second.startswith("epoch 2/4")
    assert "\x1b" not in err


def test_lines_after_a_resume_and_without_numbers(capsys):
    lines = Lines()
    lines.start(session(epoch=2, step=3))
    lines.epoch(record(3, score=NAN, training_loss={"price": 0.5}))
    assert "skill nan" in (line := capsys.readouterr().err)
    assert "sold: loss nan" in line


def live(width=140):
    shown = io.StringIO()
    return LiveTable(Console(file=shown, force_terminal=True, width=width, color_system=None)), shown


def test_the_live_table_shows_every_task_and_stays():
    table, shown = live()
    table.start(session())
    table.step(session(step=1))
    table.epoch(record(1))
    table._drawn = 0.0
    table.step(session(epoch=1, step=2))
    table.epoch(record(2, active=["price"], weights={"price": 1.0}, training_loss={"price": 0.5}, improved=[]))
    shown.truncate(0)
    table.close()
    text = shown.getvalue()
    assert "epoch 2, mean skill 0.2500" in text
    for word in ("task", "training loss", "validation loss", "metric", "value", "skill", "weight", "best"):
        assert word in text
    assert "price" in text
    assert "0.8100" in text
    assert "sold (stopped)" in text
    assert "*" not in text


def test_the_bar_says_how_far_how_fast_and_how_long():
    table, shown = live()
    table.start(session())
    table.step(session(epoch=1, step=3))
    (line,) = table._bar.tasks
    assert (line.completed, line.total) == (8, 20)
    assert line.fields["epoch"] == "2/4"
    assert line.fields["left"] == "0:00"
    table.step(session(epoch=1, step=4))
    assert line.completed == 8, "redrawn at most four times a second"
    table.close()
    assert shown.getvalue()


def test_closing_what_never_started_or_saw_no_epoch_says_nothing():
    table, shown = live()
    table.close()
    assert not shown.getvalue()
    started, shown = live()
    started.start(session())
    started.close()
    assert "task" not in shown.getvalue()


def test_quiet_says_nothing(capsys):
    progress = make_progress(quiet=True)
    assert type(progress) is Quiet
    progress.start(session())
    progress.step(session())
    progress.epoch(record(1))
    progress.close()
    assert capsys.readouterr() == ("", "")


def test_plain_lines_where_there_is_no_terminal(monkeypatch):
    assert isinstance(make_progress(), Lines)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_progress(), Lines), "colours asked for do not make a terminal"


def test_the_live_table_in_a_terminal(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert isinstance(make_progress(), LiveTable)


def test_primary_names():
    tasks = {**TASKS, "age": Regression("age", primary="mae")}
    assert primary_names(tasks, FITTED | {"age": FITTED["price"]}) == {"price": "r2", "sold": "roc_auc", "age": "mae"}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599.9, "1:00:00"), (86400, "24:00:00")])
def test_clock(seconds, text):
    assert clock(seconds) == text
