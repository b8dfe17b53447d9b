"""What a user sees while training: a live table in a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table as Grid

from polytask.tasks import Fitted, Task


class Watched(Protocol):
    """What progress reads of a training."""

    epoch: int
    step: int

    @property
    def data(self) -> Any:
        """The tasks and what they learnt."""

    @property
    def agenda(self) -> Any:
        """How many steps an epoch has."""

    @property
    def settings(self) -> Any:
        """How many epochs there may be."""

    @property
    def totals(self) -> Any:
        """Running losses and rows."""


class Progress(ABC):
    """What training tells whoever shows it, and when."""

    @abstractmethod
    def start(self, session: Watched) -> None:
        """Training begins, or goes on."""

    @abstractmethod
    def step(self, session: Watched) -> None:
        """A step has been made."""

    @abstractmethod
    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch has ended; `record` is its line of history."""

    @abstractmethod
    def close(self) -> None:
        """Training has ended, in whatever way."""


class Quiet(Progress):
    """Nothing is shown (`--quiet`)."""

    def start(self, session: Watched) -> None:
        """Nothing."""

    def step(self, session: Watched) -> None:
        """Nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines(Progress):
    """One plain line an epoch, for logs."""

    def start(self, session: Watched) -> None:
        """Remembers the metrics' names and the time."""
        self._metrics = primary_names(session.data.tasks, session.data.fitted)
        self._epochs = session.settings.epochs
        self._first, self._began = session.epoch, time.monotonic()

    def step(self, session: Watched) -> None:
        """Nothing: a line an epoch is enough."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Prints epoch, score, rows a second, and each task's loss, primary metric and weight (where it is not 1)."""
        now = time.monotonic()
        rate = record["timing"]["rows_per_second"]
        left = (now - self._began) / (record["epoch"] - self._first) * (self._epochs - record["epoch"])
        tasks = "  ".join(
            f"{name}: loss {record['training_loss'].get(name, float('nan')):.4f} "
            f"{metric} {record['validation'][name][metric]:.4f}{_weight(record, name)}"
            for name, metric in self._metrics.items()
        )
        print(
            f"epoch {record['epoch']}/{self._epochs}  skill {record['score']:.4f}  {rate:,.0f} rows/s  "
            f"at most {left:.0f} s left  {tasks}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Nothing: every line is out."""


def _weight(record: Mapping[str, Any], name: str) -> str:
    weight = record["weights"].get(name, 1.0)
    return "" if weight == 1.0 else f" weight {weight:.3f}"


class LiveTable(Progress):
    """A bar for the epochs and a table of the tasks, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[rate]} rows/s  at most {task.fields[left]} left"),
            console=console,
        )
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._record: Mapping[str, Any] | None = None

    def start(self, session: Watched) -> None:
        """Draws the empty table."""
        self._metrics = primary_names(session.data.tasks, session.data.fitted)
        self._epochs, self._steps = session.settings.epochs, session.agenda.steps_per_epoch
        self._first, self._began = session.epoch * self._steps + session.step, time.monotonic()
        self._rows, self._drawn = 0.0, 0.0
        self._line = self._bar.add_task("", total=self._epochs * self._steps, epoch="", rate="", left="")
        self._live.start()

    def step(self, session: Watched) -> None:
        """Moves the bar, at most four times a second."""
        now = time.monotonic()
        if now - self._drawn < 0.25:
            return
        self._drawn = now
        done = session.epoch * self._steps + session.step
        spent = now - self._began
        per_step = spent / max(done - self._first, 1)
        rate = session.totals.rows / max(session.step, 1) / max(per_step, 1e-9)
        self._bar.update(
            self._line,
            completed=done,
            epoch=f"{session.epoch + 1}/{self._epochs}",
            rate=f"{rate:,.0f}",
            left=clock(per_step * (self._epochs * self._steps - done)),
        )
        self._live.update(Group(self._bar, self._grid()) if self._record else self._bar)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Redraws the table."""
        self._record = record
        self._live.update(Group(self._bar, self._grid()))

    def close(self) -> None:
        """Takes the bar away and leaves the last table."""
        self._live.stop()
        if self._record:
            self._live.console.print(self._grid())

    def _grid(self) -> Grid:
        record = self._record or {}
        grid = Grid(title=f"epoch {record['epoch']}, mean skill {record['score']:.4f}", title_justify="left")
        for heading in (
            "task",
            "training loss",
            "validation loss",
            "metric",
            "value",
            "skill",
            "weight",
            "best",
        ):
            grid.add_column(heading, justify="left" if heading in ("task", "metric") else "right")
        for name, metric in self._metrics.items():
            scores = record["validation"][name]
            grid.add_row(
                name if name in record["active"] else f"{name} (stopped)",
                f"{record['training_loss'].get(name, float('nan')):.4f}",
                f"{scores['loss']:.4f}",
                metric,
                f"{scores[metric]:.4f}",
                f"{scores['skill']:.4f}",
                f"{record['weights'].get(name, float('nan')):.3f}",
                "*" if name in record["improved"] else "",
            )
        return grid


def make_progress(*, quiet: bool = False) -> Progress:
    """The live table in a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet:
        return Quiet()
    console = Console(stderr=True)
    return LiveTable(console) if console.is_terminal and sys.stderr.isatty() else Lines()


def primary_names(tasks: Mapping[str, Task], fitted: Mapping[str, Fitted]) -> dict[str, str]:
    """Task -> the name of its primary metric."""
    return {name: task.primary_metric(fitted[name]).name for name, task in tasks.items()}


def clock(seconds: float) -> str:
    """Seconds as a person reads them.

    Example:
        >>> clock(75), clock(3700)
        ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
