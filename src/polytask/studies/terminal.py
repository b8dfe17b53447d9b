"""The verdict in the terminal: 80 columns are enough, and so is a screen without colours."""

import io
import sys
from collections.abc import Iterator, Mapping
from typing import Any, final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from polytask.studies.terminal_forest import Forest, Scale
from polytask.studies.terminal_metrics import in_words, metric_name, repeats_name
from polytask.studies.terminal_text import cut, is_number, marks_of, plain_grid, said, signed, span, value
from polytask.studies.verdict import CANNOT_TELL, HELPS, HURTS, NO_VERDICT, PRACTICALLY_EQUAL

#: Verdict word -> (its style, what stands before it): told apart without colours too.
WORDS: Mapping[str, tuple[str, str]] = {
    HELPS: ("bold green", "+"),
    HURTS: ("bold red", "-"),
    PRACTICALLY_EQUAL: ("bold blue", "="),
    CANNOT_TELL: ("bold yellow", "?"),
    NO_VERDICT: ("dim", "x"),
}

#: Characters of the forest plot, at least and at most.
NARROWEST, WIDEST = 25, 61


def verdict_table(results: Mapping[str, Any]) -> "VerdictTable":
    """The verdict on every task as a table with a small forest plot, the headline and the warnings below it.

    Args:
        results: of a study, as its results.json has them.
    """
    return VerdictTable(results)


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


@final
class VerdictTable:
    """What `verdict_table` returns: rich prints it, and the page takes from it what both show alike."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    @property
    def forest(self) -> Forest:
        """The rows of the forest plot and how far it reaches."""
        return Forest.of(self._results)

    def sentence(self, task: str) -> str:
        """The verdict on a task in a sentence, its metric as people write it."""
        metric = next(found["metric"] for found in self._results["tasks"] if found["name"] == task)
        return in_words(self._results["verdict"]["tasks"][task].get("sentence") or "", metric)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        marks, forest = marks_of(options), self.forest
        tasks = {task["name"]: task for task in self._results["tasks"]}
        plot = max(NARROWEST, min(WIDEST, options.max_width - 54))
        scale = Scale(forest.bound, plot - 1 + plot % 2)
        room = options.max_width - plot - 29
        grid = plain_grid()
        grid.add_column("task", no_wrap=True, overflow="crop", width=room + 2)
        grid.add_column("verdict", no_wrap=True, width=23)
        grid.add_column("skill, shared - alone", no_wrap=True, width=scale.width)
        for name, row in forest.verdicts.items():
            style, sign = WORDS.get(row.get("word") or "", ("", " "))
            word = Text(f"{sign} {row.get('word') or ''}", style)
            line = Text(scale.line(row, forest.regions.get(name), marks), style.replace("bold ", ""))
            numbers = f"{signed(row['difference'])} {span(row['interval'])}".rstrip()
            metric, size = self._metric(tasks.get(name), name, marks), self._size(row)
            grid.add_row(Text(cut(said(name, options), room), "bold"), word, line)
            grid.add_row(
                Text(cut(said(metric, options), room), "dim"), Text(numbers), Text(cut(size, scale.width), "dim")
            )
        grid.add_row("", "", Text(scale.axis(), "dim"))
        yield grid
        key = f"{marks['point']} difference  {marks['wide']} 95 %  {marks['thin']} adjusted for the number of tasks  "
        yield Text(f"{key}{marks['region']} practically equal", "dim")
        yield Text("skill: 0 the best constant, 1 perfect; metrics and sentences: in their own units", "dim")
        yield from self._words(options)

    def _size(self, verdict: Mapping[str, Any]) -> str:
        """How many repeats and rows the verdict rests on; of rows in groups, how many of these."""
        size, what = (verdict.get("groups"), "groups") if verdict.get("groups") else (verdict.get("rows"), "rows")
        counts = ((verdict.get("seeds"), repeats_name(self._results["design"])), (size, what))
        return ", ".join(
            f"{number:,} {noun if number != 1 else noun[:-1]}" for number, noun in counts if is_number(number)
        )

    def _metric(self, task: Mapping[str, Any] | None, name: str, marks: Mapping[str, str]) -> str:
        if task is None:
            return ""
        arms = {arm["name"]: arm["scores"] for arm in self._results["arms"]}
        verdict = self._results["verdict"]
        alone, shared = ((arms[verdict[key]].get(name) or {}).get("value") for key in ("twins", "candidate"))
        return f"{metric_name(task['metric'])} {value(alone)} {marks['to']} {value(shared)}"

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
