"""The leaderboard in the terminal: all arms of a study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from polytask.studies.terminal_metrics import metric_name
from polytask.studies.terminal_text import cut, is_number, marks_of, number, plain_grid, said, value, wrapped

#: Characters of the column of tasks, and of the column of an arm.
TASK, ARM = 24, 14


def leaderboard_table(results: Mapping[str, Any]) -> "LeaderboardTable":
    """All arms of a study: over all tasks, then the metric of each task with half of its 95 % interval.

    Args:
        results: of a study, as its results.json has them.
    """
    return LeaderboardTable(results)


@final
class LeaderboardTable:
    """What `leaderboard_table` returns: rich prints it, and the page takes the order of the arms from it."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    @property
    def best_first(self) -> list[Mapping[str, Any]]:
        """The arms by their mean skill; those that have none, as they cannot do every task, come last."""
        return sorted(self._results["arms"], key=_skill, reverse=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        arms = self._results["arms"]
        names = {arm["name"]: said(f"{'* ' if arm.get('chosen') else '  '}{arm['name']}", options) for arm in arms}
        yield Text("All tasks together (* the candidate that is judged)", "bold")
        grid = plain_grid()
        grid.add_column("  arm", overflow="crop", no_wrap=True, max_width=options.max_width - 46)
        for heading in ("skill", marks_of(options)["delta"], "mean rank", "seconds"):
            grid.add_column(heading, justify="right", no_wrap=True)
        for arm in self.best_first:
            numbers = (
                number(arm.get("mean_skill"), ".3f"),
                number(arm.get("delta_m"), "+.1f"),
                number(arm.get("mean_rank"), ".2f"),
                number(arm.get("seconds"), ",.0f"),
            )
            title = cut(names[arm["name"]], options.max_width - 46)
            grid.add_row(Text(title), *numbers, style="bold" if arm.get("chosen") else "")
        yield grid
        abreast = max(1, (options.max_width - TASK - 2) // (ARM + 2))
        for start in range(0, len(arms), abreast):
            more = " (continued)" if start else f": metric {marks_of(options)['half']} half of its 95 % interval"
            yield Text(f"\nBy task{more}", "bold")
            yield self._by_task(arms[start : start + abreast], names, options)

    def _by_task(
        self, arms: Sequence[Mapping[str, Any]], names: Mapping[str, str], options: ConsoleOptions
    ) -> RenderableType:
        plus = marks_of(options)["half"]
        grid = plain_grid()
        grid.add_column("task", no_wrap=True, overflow="crop", width=TASK)
        for arm in arms:
            heading = wrapped(names[arm["name"]].strip(), ARM)
            grid.add_column(Text(heading), justify="right", no_wrap=True, width=ARM)
        for task in self._results["tasks"]:
            cells = []
            for arm in arms:
                score = arm["scores"].get(task["name"]) or {}
                low, high = score.get("interval") or (None, None)
                half = f" {plus}{value((high - low) / 2)}" if is_number(low) and is_number(high) else ""
                cells.append(f"{value(score.get('value'))}{half}")
            grid.add_row(Text(_title(said(task["name"], options), said(metric_name(task["metric"]), options))), *cells)
        return grid


def _title(task: str, metric: str) -> str:
    """Task and metric on one line, or on two where one is too short."""
    whole = f"{task}, {metric}"
    return whole if cell_len(whole) <= TASK else f"{cut(task, TASK - 1)},\n{cut(metric, TASK)}"


def _skill(arm: Mapping[str, Any]) -> float:
    found = arm.get("mean_skill")
    return found if is_number(found) else -math.inf
