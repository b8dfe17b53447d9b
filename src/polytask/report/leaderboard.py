"""All arms of a study beside each other, or the scores of a Run."""

import math
from collections.abc import Mapping
from typing import Any

from polytask.report.blocks import Block, Cell, Paragraph, Section, Table
from polytask.report.numbers import NONE, count, decimals_of, duration, energy, fixed, is_number, moment, span
from polytask.studies import leaderboard_table, metric_name, repeats_name

#: Arms that stand side by side in one table by task: more would not fit a printed page.
ABREAST = 7


def leaderboard_section(results: Mapping[str, Any]) -> Section:
    """The arms over all tasks, then by task."""
    blocks: list[Block] = [_overall(results)]
    arms = results["arms"]
    abreast = math.ceil(len(arms) / math.ceil(len(arms) / ABREAST))
    blocks += [_by_task(results, arms[start : start + abreast]) for start in range(0, len(arms), abreast)]
    repeats = repeats_name(results["design"])
    over = repeats if repeats == "seeds" else f"{repeats} and seeds"
    notes = (
        f"Test rows; means over {over}, with 95 % intervals. Δm: mean relative change of the metrics against the "
        "twins, above 0 is better."
    )
    chosen = results["design"].get("chosen_by")
    notes += f" The candidate that is judged was chosen by {chosen}." if chosen else ""
    return Section("leaderboard", "Leaderboard", (Paragraph(notes), *blocks))


def _overall(results: Mapping[str, Any]) -> Table:
    has_energy = any(arm.get("joules") is not None for arm in results["arms"])
    rows = []
    for arm in leaderboard_table(results).best_first:
        parameters = (arm.get("parameters") or {}).get("total")
        shared = (arm.get("parameters") or {}).get("shared")
        rows.append(
            (
                Cell(label_of(arm), note=arm["summary"] or ""),
                Cell(arm["role"]),
                Cell(fixed(arm.get("mean_skill")), arm.get("mean_skill")),
                Cell(_percent(arm.get("delta_m")), arm.get("delta_m")),
                Cell(fixed(arm.get("mean_rank"), 2), arm.get("mean_rank")),
                Cell(count(parameters), parameters, f"{count(shared)} shared" if shared else ""),
                Cell(duration(arm.get("seconds")), arm.get("seconds")),
                *([Cell(energy(arm.get("joules")), arm.get("joules"))] if has_energy else []),
            )
        )
    headings = (
        "arm",
        "role",
        "mean skill",
        "Δm",
        "mean rank",
        "parameters",
        "training",
        *(["energy"] if has_energy else []),
    )
    return Table("All tasks together", headings, tuple(rows), frozenset(range(2, len(headings))))


def _by_task(results: Mapping[str, Any], arms: list[Mapping[str, Any]]) -> Table:
    rows = []
    for task in results["tasks"]:
        places = decimals_of(task["unit"])
        direction = "" if task.get("higher_is_better", True) else ", lower is better"
        cells = []
        for arm in arms:
            score = arm["scores"].get(task["name"]) or {}
            value = score.get("value")
            cells.append(Cell(fixed(value, places), value, span(score.get("interval"), places)))
        constant = task.get("constant")
        rows.append(
            (
                Cell(task["name"], note=f"{metric_name(task['metric'])}{direction}"),
                Cell(fixed(constant, places), constant),
                *cells,
            )
        )
    headings = ("task", "constant", *map(label_of, arms))
    return Table("By task: the metric on test rows", headings, tuple(rows), frozenset(range(1, len(headings))))


def scores_section(results: Mapping[str, Any]) -> Section:
    """The scores of a Run: on validation rows, and on test rows once they were opened."""
    tables = []
    for part, scores in results["scores"].items():
        rows = []
        for task in results["tasks"]:
            found = scores.get(task["name"]) or {}
            known = (task["metric"], "skill", "loss", "rows")
            value = found.get(task["metric"])
            also = ", ".join(
                f"{metric_name(name)} {fixed(number)}" for name, number in found.items() if name not in known
            )
            rows.append(
                (
                    Cell(task["name"], note=task["kind"]),
                    Cell(metric_name(task["metric"])),
                    Cell(fixed(value, decimals_of(task["unit"])), value),
                    Cell(fixed(found.get("skill")), found.get("skill")),
                    Cell(count(found.get("rows")), found.get("rows")),
                    Cell(also or NONE),
                )
            )
        headings = ("task", "metric", "value", "skill", "rows", "also")
        tables.append(Table(f"On {part} rows", headings, tuple(rows), frozenset({2, 3, 4}), frozenset({5})))
    opened = results.get("test_opened")
    said = f"Test rows were opened on {moment(opened)}." if opened else "Test rows have not been opened."
    meaning = "Skill: 0 is the best constant prediction, 1 is perfect."
    return Section("scores", "Scores", (Paragraph(f"{meaning} {said}"), *tables))


def label_of(arm: Mapping[str, Any]) -> str:
    """The name of an arm; the one that the verdict is on is marked."""
    return f"{arm['name']} (judged)" if arm.get("chosen") else str(arm["name"])


def _percent(value: float | None) -> str:
    return NONE if not is_number(value) else f"{fixed(value, 1, sign=True)} %"
