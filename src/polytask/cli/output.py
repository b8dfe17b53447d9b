"""What the commands print: tables for people, JSON for machines."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table as Grid

from polytask.catalogue import Entry, SharingTraits, entries
from polytask.errors import ConfigError
from polytask.runs import Run, TaskScores, explained, finite
from polytask.studies import Forecast, Study, leaderboard_table, verdict_table
from polytask.train import clock


def print_json(values: Any) -> None:
    """Strict JSON: None for what is not a number."""
    print(json.dumps(finite(values), ensure_ascii=False, indent=1))


def print_run(run: Run, *, as_json: bool) -> None:
    """What a training came to, on validation rows, and what to do next."""
    metrics = run.metrics
    if as_json:
        dropped = sum(run.split(table).counts()["dropped"] for table in run.schema)
        print_json({"run": str(run.path), **metrics, "dropped_rows": dropped, "findings": run.findings})
        return
    print(run.summary())
    Console().print(_scores(run, metrics["validation"], "validation rows"))
    print(f"next: polytask evaluate {run.path}    polytask predict {run.path} ROWS")


def print_scores(run: Run, scores: dict[str, TaskScores], *, rows: str = "test rows", as_json: bool) -> None:
    """Every metric of every task, on these rows."""
    if as_json:
        print_json({"run": str(run.path), "scores": scores})
        return
    Console().print(_scores(run, scores, rows))
    print(f"Run: {run.path}")


def print_study(study: Study, *, as_json: bool, page: Path | None = None) -> None:
    """The leaderboard, the verdict, and where its page is or how it is made."""
    if as_json:
        print_json({"study": str(study.path), "page": None if page is None else str(page), **study.results})
        return
    console = Console()
    console.print(leaderboard_table(study.results))
    console.print()
    console.print(verdict_table(study.results))
    print(f"\nstudy:  {study.path}\nreport: {page or f'polytask report {study.path}'}")


def print_forecast(found: Forecast, *, as_json: bool) -> None:
    """The Runs that a study would make, and how long they may take."""
    if as_json:
        print_json({**asdict(found), "folder": str(found.folder)})
        return
    runs = sum(line.runs for line in found.lines if line.epochs is not None)
    grid = Grid(title=f"{runs} Runs into {found.folder}", title_justify="left")
    for heading in ("", "role", "Runs", "parameters", "epochs", "s/epoch", "at most"):
        grid.add_column(heading, justify="left" if heading in ("", "role") else "right")
    for line in found.lines:
        if line.seconds_per_epoch is None:
            grid.add_row(line.arm, line.role, str(line.runs), "", "", "", "not timed")
            continue
        cells = (str(line.runs), f"{line.parameters:,}", str(line.epochs), f"{line.seconds_per_epoch:.2f}")
        grid.add_row(line.arm, line.role, *cells, clock(line.seconds))
    Console().print(grid)
    workers = f"{found.jobs} jobs" if found.jobs > 1 else "one job"
    print(
        f"at most {clock(found.seconds)} with {workers} (--jobs), if every training makes all its epochs; "
        "early stopping ends most of them sooner"
    )
    if found.chosen_later:
        print("companions are of the candidate that will be chosen; here the first stands for it")


def _scores(run: Run, scores: dict[str, Any], rows: str) -> Grid:
    grid = Grid(title=f"on {rows}", title_justify="left")
    for heading, side in (("task", "left"), ("rows", "right"), ("metric", "left"), ("value", "right")):
        grid.add_column(heading, justify=side)  # type: ignore[arg-type]
    grid.add_column("skill", justify="right")
    grid.add_column("also", justify="left")
    for task in run.tasks:
        if task.name not in scores:
            continue
        found = dict(scores[task.name])
        metric = task.primary_metric(run.blueprint.fitted[task.name]).name
        value, skill, count = found.pop(metric), found.pop("skill"), found.pop("rows")
        found.pop("loss")
        also = "  ".join(f"{name} {_number(other)}" for name, other in found.items())
        grid.add_row(task.name, f"{count:,.0f}", metric, _number(value), _number(skill), also)
    return grid


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.4g}"


def print_frames(frames: Iterable[pd.DataFrame], *, as_json: bool) -> None:
    """Rows to the terminal, as CSV or as JSON lines."""
    for number, frame in enumerate(frames):
        if as_json:
            print(frame.to_json(orient="records", lines=True), end="")
        else:
            frame.to_csv(sys.stdout, index=False, header=number == 0)


def write_frames(frames: Iterable[pd.DataFrame], path: Path) -> int:
    """Rows to a file, part by part, whole or not at all; how many there were.

    Raises:
        ConfigError: a suffix that is not known.
        RunError: the file cannot be written.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_jsonl}
    if path.suffix not in writers:
        raise ConfigError(f"--out {path}: the suffix says the format: {', '.join(writers)}")
    staged, count = path.with_name(f".{path.name}.new"), 0

    def counted() -> Iterator[pd.DataFrame]:
        nonlocal count
        for frame in frames:
            count += len(frame)
            yield frame

    with explained(path):
        try:
            writers[path.suffix](counted(), staged)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    return count


def _write_csv(frames: Iterator[pd.DataFrame], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=number == 0)


def _write_jsonl(frames: Iterator[pd.DataFrame], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for frame in frames:
            frame.to_json(file, orient="records", lines=True)


def _write_parquet(frames: Iterator[pd.DataFrame], path: Path) -> None:
    first = pa.Table.from_pandas(next(frames), preserve_index=False)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for frame in frames:
            writer.write_table(pa.Table.from_pandas(frame, schema=first.schema, preserve_index=False))


#: Catalogue -> the heads of its columns, and what stands below them.
COLUMNS = {
    "balancers": (
        ("reads", "× sum", "when to use it"),
        "  × sum: the time of a training step over that with sum; docs/methods.md says on what, and tells of\n"
        "  each what it does and promises; docs/choosing.md is a guide",
    ),
    "sharings": (
        ("× parameters", "× hard", "when to use it"),
        "  × parameters, × hard: the model's parameters and the time of a training step over those with hard;\n"
        "  docs/methods.md says on what, and tells of each what it is",
    ),
}


def print_catalogues(names: Sequence[str], *, as_json: bool) -> None:
    """Catalogues: a line a member, and of balancers and sharings what they cost and when to use them."""
    found = {name: entries(name) for name in names}
    if as_json:
        print_json({name: [as_written(entry) for entry in rows] for name, rows in found.items()})
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    for name, rows in found.items():
        heads, below = COLUMNS.get(name, (None, None))
        print(f"{name}")
        if heads:
            print(_row("", *heads, width))
        for entry in rows:
            settings = f"  ({', '.join(entry.settings)})" if entry.settings else ""
            if entry.traits is None:
                print(f"  {entry.name:<22} {entry.summary}{settings}")
            else:
                when = f"{entry.traits.use_when or entry.summary}{settings}"
                print(_row(entry.name, _second_column(entry), _ratio(entry.traits.cost), when, width))
        if below:
            print(below)


def _second_column(entry: Entry) -> str:
    """What a balancer reads, or how many parameters a sharing takes."""
    if isinstance(entry.traits, SharingTraits):
        return _ratio(entry.traits.parameters)
    return ", ".join(entry.reads) or "–"


def _ratio(value: float | None) -> str:
    """Two digits; nothing where it was not measured."""
    return "" if value is None else f"{value:.2f}"


def as_written(entry: Entry) -> dict[str, Any]:
    """A member of a catalogue for machines, its traits beside its name."""
    values = asdict(entry)
    traits = values.pop("traits") or {}
    return {**values, **traits}


def _row(name: str, second: str, cost: str, when: str, width: int) -> str:
    """One member as columns; the last, and the second, go on below where they are too long."""
    left, right = textwrap.wrap(second, 16), textwrap.wrap(when, max(width - 50, 30))
    lines = zip_longest([name], left, [cost], right, fillvalue="")
    return "\n".join(f"  {a:<22} {b:<16} {c:>6}  {d}".rstrip() for a, b, c, d in lines)
