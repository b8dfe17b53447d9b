"""The leaderboard in the terminal: all arms of a study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from polytask.studies.terminal_text import cut, is_number, marks_of, number, plain_grid, said, value


def leaderboard_table(results: Mapping[str, Any]) -> RenderableType:
    """All arms of a study: over all tasks, then the metric of each task with half of its 95 % interval.

    Args:
        results: of a study, as its results.json has them.
    """
    return _Leaderboard(results)


class _Leaderboard:
    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        arms = self._results["arms"]
        names = {arm["name"]: said(f"{'* ' if arm.get('chosen') else '  '}{arm['name']}", options) for arm in arms}
        yield Text("All tasks together (* the candidate that is judged)", "bold")
        grid = plain_grid()
        grid.add_column("  arm", overflow="crop", no_wrap=True, max_width=options.max_width - 46)
        for heading in ("skill", marks_of(options)["delta"], "mean rank", "seconds"):
            grid.add_column(heading, justify="right", no_wrap=True)
        for arm in sorted(arms, key=_skill, reverse=True):
            numbers = (
                number(arm.get("mean_skill"), ".3f"),
                number(arm.get("delta_m"), "+.1f"),
                number(arm.get("mean_rank"), ".2f"),
                number(arm.get("seconds"), ",.0f"),
            )
            title = cut(names[arm["name"]], options.max_width - 46)
            grid.add_row(Text(title), *numbers, style="bold" if arm.get("chosen") else "")
        yield grid
        abreast = max(1, (options.max_width - 26) // 16)
        for start in range(0, len(arms), abreast):
            yield Text(f"\nBy task: metric {marks_of(options)['half']} half of its 95 % interval", "bold")
            yield self._by_task(arms[start : start + abreast], names, options)

    def _by_task(
        self, arms: Sequence[Mapping[str, Any]], names: Mapping[str, str], options: ConsoleOptions
    ) -> RenderableType:
        plus = marks_of(options)["half"]
        grid = plain_grid()
        grid.add_column("task", no_wrap=True, overflow="crop", width=24)
        for arm in arms:
            grid.add_column(Text(cut(names[arm["name"]].strip(), 14)), justify="right", no_wrap=True, width=14)
        for task in self._results["tasks"]:
            cells = []
            for arm in arms:
                score = arm["scores"].get(task["name"]) or {}
                low, high = score.get("interval") or (None, None)
                half = f" {plus}{value((high - low) / 2)}" if is_number(low) and is_number(high) else ""
                cells.append(f"{value(score.get('value'))}{half}")
            grid.add_row(Text(cut(said(f"{task['name']}, {task['metric']}", options), 24)), *cells)
        return grid


def _skill(arm: Mapping[str, Any]) -> float:
    found = arm.get("mean_skill")
    return found if is_number(found) else -math.inf
