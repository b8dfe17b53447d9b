"""The verdict in the terminal: 80 columns are enough, and so is a screen without colours."""

import io
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from polytask.studies.terminal_text import cut, is_number, marks_of, plain_grid, said, signed, span, value
from polytask.studies.verdict import CANNOT_TELL, HELPS, HURTS, NO_VERDICT, PRACTICALLY_EQUAL

#: Verdict word -> (its style, what stands before it): told apart without colours too.
WORDS: Mapping[str, tuple[str, str]] = {
    HELPS: ("bold green", "+"),
    HURTS: ("bold red", "-"),
    PRACTICALLY_EQUAL: ("bold blue", "="),
    CANNOT_TELL: ("bold yellow", "?"),
    NO_VERDICT: ("bold", "x"),
}

#: Characters of the forest plot, at least and at most.
NARROWEST, WIDEST = 25, 61


def verdict_table(results: Mapping[str, Any]) -> RenderableType:
    """The verdict on every task as a table with a small forest plot, the headline and the warnings below it.

    Args:
        results: of a study, as its results.json has them.
    """
    return _Verdict(results)


def verdict_text(results: Mapping[str, Any], width: int = 100) -> str:
    """What `verdict_table` shows, as plain text for `print`.

    Args:
        results: of a study, as its results.json has them.
        width: in characters.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(verdict_table(results))
    file.seek(0)
    return "\n".join(line.rstrip() for line in file.read().splitlines())


@dataclass(frozen=True)
class _Scale:
    """From differences in skill to characters; zero is the middle one."""

    bound: float
    width: int

    @classmethod
    def of(cls, verdicts: Sequence[Mapping[str, Any]], regions: Sequence[float], width: int) -> "_Scale":
        """Room for all intervals, unless one would dwarf the others."""
        reach = [max(map(abs, _numbers(v)), default=0.0) for v in verdicts]
        usual = median([r for r in reach if r] or [0.0])
        bound = max(min(max(reach, default=0.0), 8 * usual), 2 * max(regions, default=0.0), 1e-6)
        return cls(bound, width - 1 + width % 2)

    def at(self, value: float) -> int:
        """The character of a value; outside 0 to width − 1 where it is out of the picture."""
        half = self.width // 2
        return half + math.floor(value / self.bound * half + 0.5)

    def line(self, verdict: Mapping[str, Any], region: float | None, marks: Mapping[str, str]) -> str:
        """One row of the forest plot."""
        cells = [" "] * self.width

        def fill(ends: Sequence[float | None] | None, mark: str) -> None:
            low, high = ends or (None, None)
            if is_number(low) and is_number(high):
                for place in range(max(self.at(low), 0), min(self.at(high), self.width - 1) + 1):
                    cells[place] = mark

        if region is not None:
            fill((-region, region), marks["region"])
        cells[self.at(0.0)] = marks["zero"]
        fill(verdict["adjusted_interval"], marks["thin"])
        fill(verdict["interval"], marks["wide"])
        difference = verdict["difference"]
        if is_number(difference):
            cells[min(max(self.at(difference), 0), self.width - 1)] = marks["point"]
        numbers = _numbers(verdict)
        if any(self.at(number) < 0 for number in numbers):
            cells[0] = marks["left"]
        if any(self.at(number) >= self.width for number in numbers):
            cells[-1] = marks["right"]
        return "".join(cells)

    def axis(self) -> str:
        """The ends of the scale and its zero."""
        ends = [f"{sign * self.bound:+.2g}" for sign in (-1, 1)]
        middle = self.width // 2
        return f"{ends[0]:<{middle}}0{ends[1]:>{self.width - middle - 1}}"


class _Verdict:
    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        marks, verdict = marks_of(options), self._results["verdict"]
        tasks = {task["name"]: task for task in self._results["tasks"]}
        found = {name: verdict["tasks"][name] for name in tasks}
        found |= {"mean of tasks": verdict["mean"]} if verdict.get("mean") else {}
        regions = {name: task["region"] for name, task in tasks.items() if is_number(task["region"])}
        judged = [region for name, region in regions.items() if found[name]["word"] != NO_VERDICT]
        regions |= {"mean of tasks": mean(judged)} if judged else {}
        plot = max(NARROWEST, min(WIDEST, options.max_width - 54))
        scale = _Scale.of(list(found.values()), list(regions.values()), plot)
        grid = plain_grid()
        grid.add_column("task", no_wrap=True, overflow="crop", width=options.max_width - plot - 27)
        grid.add_column("verdict", no_wrap=True, width=23)
        grid.add_column("skill, shared - alone", no_wrap=True, width=scale.width)
        for name, row in found.items():
            style, sign = WORDS.get(row.get("word") or "", ("", " "))
            metric = self._metric(tasks.get(name), name, marks)
            title = cut(said(name, options), options.max_width - plot - 29)
            word = Text(f"{sign} {row.get('word') or ''}", style)
            line = Text(scale.line(row, regions.get(name), marks), style.replace("bold ", ""))
            numbers = f"{signed(row['difference'])} {span(row['interval'])}".rstrip()
            grid.add_row(Text(title, "bold"), word, line)
            grid.add_row(Text(cut(said(metric, options), options.max_width - plot - 29), "dim"), Text(numbers), "")
        grid.add_row("", "", Text(scale.axis(), "dim"))
        yield grid
        key = f"{marks['point']} difference  {marks['wide']} 95 %  {marks['thin']} adjusted for the number of tasks  "
        yield Text(f"{key}{marks['region']} practically equal", "dim")
        yield from self._words(options)

    def _metric(self, task: Mapping[str, Any] | None, name: str, marks: Mapping[str, str]) -> str:
        if task is None:
            return ""
        arms = {arm["name"]: arm["scores"] for arm in self._results["arms"]}
        verdict = self._results["verdict"]
        alone, shared = ((arms[verdict[key]].get(name) or {}).get("value") for key in ("twins", "candidate"))
        return f"{task['metric']} {value(alone)} {marks['to']} {value(shared)}"

    def _words(self, options: ConsoleOptions) -> Iterator[Text]:
        verdict = self._results["verdict"]
        yield Text(said(f"\n{verdict['headline']}", options), "bold")
        for name, row in verdict["tasks"].items():
            if row.get("reason"):
                yield Text(said(f"{name}, {row['word']}: {row['reason']}.", options))
        named = [name for name, is_named in (verdict.get("screen") or {}).items() if is_named]
        if verdict.get("screen") is not None:
            yield Text(said(f"The screen over single tasks names: {', '.join(named) or 'none'}.", options))
        for warning in self._results["warnings"]:
            yield Text(said(f"Warning: {warning}", options), "yellow")


def _numbers(verdict: Mapping[str, Any]) -> list[float]:
    ends = (*(verdict["interval"] or ()), *(verdict["adjusted_interval"] or ()))
    return [value for value in (verdict["difference"], *ends) if is_number(value)]
