"""The verdict in the terminal: whole at 80 columns, readable without colours and without Unicode."""

import io
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from polytask.studies.terminal import verdict_table, verdict_text
from polytask.studies.terminal_leaderboard import leaderboard_table
from polytask.studies.terminal_text import ASCII, UNICODE, cut, wrapped


def verdict(word="helps", difference=0.03, half=0.02, **changes):
    interval = [None, None] if half is None else [difference - half, difference + half]
    adjusted = [None, None] if half is None else [difference - 2 * half, difference + 2 * half]
    reason = "" if half is not None else "9 test labels, and at least 10 are needed"
    found = {"word": word, "reason": reason, "difference": difference, "interval": interval, "seeds": 5, "rows": 1449}
    return found | {"adjusted_interval": adjusted} | changes


def score(value, half=0.012):
    return {"value": value, "interval": [value - half, value + half]}


def study(tasks=None, *, mean=None, num_arms=2, **changes):
    tasks = tasks or {
        "left": verdict(),
        "right": verdict("hurts", -0.04),
        "sum": verdict("practically equal", 0.001, 0.004),
        "larger": verdict("cannot tell", 0.01, 0.04),
        "even": verdict("no verdict", 0.02, None),
    }
    names = ["uncertainty", *(f"candidate_number_{i}" for i in range(num_arms - 2)), "twins"]
    arms = [
        {
            "name": name,
            "chosen": i == 0,
            "mean_skill": 0.9 - 0.01 * i,
            "delta_m": -1.23 if i else None,
            "mean_rank": 1.5,
            "seconds": 12345.6,
            "scores": {task: score(0.951 - 0.01 * i) for task in tasks},
        }
        for i, name in enumerate(names)
    ]
    return {
        "design": {"seeds": [0, 1, 2, 3, 4], "splits": 1, "folds": None},
        "tasks": [{"name": task, "metric": "accuracy", "region": 0.01} for task in tasks],
        "arms": arms,
        "verdict": {
            "candidate": "uncertainty", "twins": "twins", "tasks": tasks, "mean": mean, "screen": None,
            "headline": "Sharing helps 1 of 5 tasks, hurts 1.",
        },
        "warnings": ["5 tasks with 3 seeds: take 10."],
    } | changes  # fmt: skip


def shown(renderable, width=80, encoding="utf-8", **settings):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, **settings).print(renderable)
    file.seek(0)
    return file.read()


def line_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(name))


WIDE = study({f"a task with a very long name indeed {i}": verdict() for i in range(14)}, mean=verdict(), num_arms=7)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("results", [study(), study(mean=verdict()), WIDE], ids=["small", "mean", "wide"])
@pytest.mark.parametrize("table", [verdict_table, leaderboard_table])
def test_no_line_is_broken_or_too_long(table, results, width, encoding):
    lines = shown(table(results), width, encoding).splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith(("left", "a task with", "* unc"))]
    tasks = len(results["tasks"])
    if table is verdict_table:
        assert len(rows) == (tasks if results is WIDE else 1)
        assert all("+ helps" in row for row in rows)
        assert sum(line.startswith("accuracy 0.") for line in lines) == tasks
    else:
        assert len(rows) > 1


def test_every_word_has_a_sign_of_its_own():
    text = shown(verdict_table(study()))
    for name, word in (
        ("left", "+ helps"), ("right", "- hurts"), ("sum", "= practically equal"), ("larger", "? cannot tell"),
        ("even", "x no verdict"),
    ):  # fmt: skip
        assert word in line_of(text, name)
    assert "\x1b[" not in text
    assert "\x1b[1;32m+ helps" in shown(verdict_table(study()), force_terminal=True, color_system="standard")


def test_numbers_beside_the_words():
    lines = shown(verdict_table(study())).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("left"))
    assert lines[place + 1].startswith("accuracy 0.941 → 0.951")
    assert "+0.030 [+0.010, +0.050]" in lines[place + 1]
    place = next(i for i, line in enumerate(lines) if line.startswith("even"))
    assert "[" not in lines[place + 1]
    assert "+0.020" in lines[place + 1]


def test_headline_reasons_and_warnings_stand_below():
    text = shown(verdict_table(study()))
    below = text[text.index("Sharing helps 1 of 5") :]
    assert "even, no verdict: 9 test labels, and at least 10 are needed." in below
    assert "Warning: 5 tasks with 3 seeds: take 10." in below


def test_the_mean_stands_last_and_the_screen_is_named():
    results = study(mean=verdict("cannot tell", 0.0, 0.03))
    results["verdict"]["screen"] = {"left": True, "right": True, "sum": False}
    text = shown(verdict_table(results))
    assert text.index("even  ") < text.index("mean of tasks")
    assert "The screen over single tasks names: left, right." in text


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", UNICODE), ("ascii", ASCII)])
def test_the_forest_plot_puts_everything_in_its_place(encoding, marks):
    tasks = {
        "a": verdict("helps", 0.03, 0.02),
        "b": verdict("hurts", -0.05, 0.025),
        "c": verdict("practically equal", 0.0, None),
    }
    text = shown(verdict_table(study(tasks)), 80, encoding)
    start = text.splitlines()[0].index("skill, shared")
    plots = {name: line_of(text, name)[start:].ljust(25) for name in tasks}
    # The scale goes from -0.1 to +0.1 over 25 characters, zero in the middle.
    assert plots["a"].index(marks["point"]) == 12 + round(0.03 / 0.1 * 12)
    assert plots["a"].rindex(marks["wide"]) == 12 + round(0.05 / 0.1 * 12)
    assert plots["b"].index(marks["thin"]) == 0
    assert plots["b"].index(marks["wide"]) == 12 + round(-0.075 / 0.1 * 12)
    assert plots["b"][12] == marks["thin"]  # its adjusted interval ends at zero
    assert plots["c"][11:14] == f"{marks['region']}{marks['point']}{marks['region']}"
    assert len({marks[key] for key in ("wide", "thin", "zero", "region", "point", "left", "right")}) == 7
    assert text.encode(encoding)


def test_what_has_no_verdict_looks_like_no_result():
    text = shown(verdict_table(study()))
    plot = line_of(text, "even")[-25:]
    assert UNICODE["none"] in plot
    assert UNICODE["region"] not in plot
    assert UNICODE["point"] not in plot


def test_the_region_of_the_mean_is_that_of_the_results():
    results = study(mean=verdict("cannot tell", 0.0, 0.03))
    assert verdict_table(results).forest.regions["mean of tasks"] == pytest.approx(0.01)
    results["verdict"]["mean"]["region"] = 0.04
    assert verdict_table(results).forest.regions["mean of tasks"] == 0.04
    assert "even" not in verdict_table(results).forest.regions


@pytest.mark.parametrize(
    ("design", "changes", "said"),
    [
        ({"splits": 1, "folds": None}, {}, "5 seeds, 1,449 rows"),
        ({"splits": 5, "folds": 5}, {}, "5 folds, 1,449 rows"),
        ({"splits": 5, "folds": None}, {"groups": 9}, "5 splits, 9 groups"),
        ({"splits": 1, "folds": None}, {"seeds": 1, "rows": None}, "1 seed"),
    ],
)
def test_what_a_verdict_rests_on(design, changes, said):
    results = study({"left": verdict(**changes)})
    lines = shown(verdict_table(results | {"design": design})).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("left"))
    assert lines[place + 1].rstrip().endswith(said)


def test_metrics_are_written_as_people_write_them():
    results = study({"left": verdict(sentence="Sharing helps left: r2 0.951 shared.")})
    results["tasks"][0]["metric"] = "r2"
    assert "R² 0.941 → 0.951" in shown(verdict_table(results))
    assert "R2 0.941 -> 0.951" in shown(verdict_table(results), encoding="ascii")
    assert "left, R²" in shown(leaderboard_table(results))
    assert verdict_table(results).sentence("left") == "Sharing helps left: R² 0.951 shared."


def test_one_huge_interval_does_not_flatten_the_others():
    tasks = {"huge": verdict("cannot tell", 0.0, 5.0), "a": verdict(), "b": verdict(), "c": verdict()}
    text = shown(verdict_table(study(tasks)))
    plot = line_of(text, "huge")[-25:]
    assert (plot[0], plot[-1]) == (UNICODE["left"], UNICODE["right"])
    assert line_of(text, "a ").count(UNICODE["wide"]) >= 1


def test_text_for_print():
    text = verdict_text(study())
    assert "\x1b" not in text
    assert "Sharing helps 1 of 5 tasks" in text
    assert max(map(len, text.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert max(map(len, verdict_text(study(), width=80).splitlines())) <= 80


def test_text_can_be_written_where_it_is_printed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    results = study({"größe": verdict()})
    print(verdict_text(results))
    assert "gr??e" in verdict_text(results)


def test_markup_in_names_is_no_markup():
    text = shown(verdict_table(study({"[red]x[/red]": verdict()})))
    assert "[red]x[/red]" in text
    assert "[red]x[/red], accuracy" in shown(leaderboard_table(study({"[red]x[/red]": verdict()})))


def test_wide_characters_are_cut_by_their_width():
    text = shown(verdict_table(study({"数" * 40: verdict()})))
    assert max(map(cell_len, text.splitlines())) <= 80


def test_the_leaderboard_shows_arms_by_skill_and_marks_the_judged_one():
    results = study(num_arms=3)
    results["arms"][1] |= {"mean_skill": None, "seconds": None}
    lines = shown(leaderboard_table(results)).splitlines()
    assert lines[1].split() == ["arm", "skill", "Δm", "%", "mean", "rank", "seconds"]
    assert lines[2].split() == ["*", "uncertainty", "0.900", "-", "1.50", "12,346"]
    assert lines[3].split() == ["twins", "0.880", "-1.2", "1.50", "12,346"]
    assert lines[4].split() == ["candidate_number_0", "-", "-1.2", "1.50", "-"]


def test_arms_without_a_skill_come_last_and_a_skill_of_zero_does_not():
    results = study(num_arms=4)
    for arm, skill in zip(results["arms"], [None, -0.5, 0.0, 0.1], strict=True):
        arm |= {"mean_skill": skill, "mean_rank": None, "delta_m": None}
    names = [arm["name"] for arm in leaderboard_table(results).best_first]
    assert names == ["twins", "candidate_number_1", "candidate_number_0", "uncertainty"]
    assert line_of(shown(leaderboard_table(results)), "* uncertainty").split()[2:5] == ["-", "-", "-"]


def test_the_table_by_task_says_once_what_it_shows():
    text = shown(leaderboard_table(WIDE))
    assert text.count("By task: metric") == 1
    assert text.count("By task (continued)") == 2


def test_long_names_of_arms_are_wrapped_not_cut():
    results = study()
    results["arms"][1]["name"] = "sharing=inner_router, balancer=uncertainty"
    text = shown(leaderboard_table(results))
    for part in ("sharing=inner_", "router,", "balancer=", "uncertainty"):
        assert part in text.split("By task")[1]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("sum", ["sum"]),
        ("sharing=mmoe, balancer=sum", ["sharing=mmoe,", "balancer=sum"]),
        ("x" * 20, ["x" * 14, "x" * 6]),
    ],
)
def test_wrapped(name, lines):
    assert wrapped(name, 14).splitlines() == lines


@pytest.mark.parametrize("name", ["x" * 99, "数" * 30, "a=b, " * 20, ""])
def test_wrapped_fits(name):
    lines = wrapped(name, 14).splitlines()
    assert len(lines) <= 4
    assert all(cell_len(line) <= 14 for line in lines)


@pytest.mark.parametrize("name", ["x" * 99, "数" * 30, "short"])
@pytest.mark.parametrize("width", [0, 1, 2, 3, 7, 26])
def test_cut_fits(name, width):
    assert cell_len(cut(name, width)) <= max(width, 2)


def test_half_intervals_by_task():
    results = study()
    results["arms"][1]["scores"].pop("left")
    results["arms"][1]["scores"]["right"] = {"value": 1234.5, "interval": [None, None]}
    text = shown(leaderboard_table(results))
    assert line_of(text, "left, accuracy").split() == ["left,", "accuracy", "0.951", "±0.012", "-"]
    assert line_of(text, "right, accuracy").split() == ["right,", "accuracy", "0.951", "±0.012", "1234"]
