"""What a user sees while a study runs: a live table in a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid

from polytask.studies.bench import BaselineJob
from polytask.train import clock


@dataclass
class _Arm:
    """Where one row of the table stands."""

    total: int
    done: int = 0
    crashed: int = 0
    running: dict[str, str] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)


class StudyProgress(ABC):
    """What a study tells whoever shows it; it counts, concrete ones draw."""

    def __init__(self) -> None:
        self.arms: dict[str, _Arm] = {}
        self.began = time.monotonic()
        self._last: dict[str, float] = {}
        self._seen: set[str] = set()
        self._ended: set[str] = set()

    def planned(self, jobs: Sequence[Any], finished: Sequence[Any]) -> None:
        """These jobs come up, of which some are finished already."""
        # The chosen point of a grid comes twice: as a trial, then as the Run of the first seed.
        new = [job for job in jobs if job.folder not in self._seen]
        for job in new:
            self.arms.setdefault(arm_of(job), _Arm(0)).total += 1
        for job in finished:
            self.arms[arm_of(job)].done += job.folder not in self._seen
        self._seen |= {job.folder for job in new}
        before = [job for job in finished if job.folder not in self._ended]
        self.draw(f"{len(before)} of {len(jobs)} are finished already" if before else "")

    def started(self, job: Any) -> None:
        """Work on a job begins."""
        self.arms[arm_of(job)].running[job.folder] = ""
        self.draw("")

    def epoch(self, job: Any, epoch: int, epochs: int, score: float | None) -> None:
        """A training has made an epoch."""
        self.arms[arm_of(job)].running[job.folder] = f"{title_of(job)}: epoch {epoch}/{epochs}"
        if score is not None:
            self._last[job.folder] = max(score, self._last.get(job.folder, score))
        self.draw("")

    def ended(self, job: Any, reason: str) -> None:
        """A job is done, or has crashed."""
        self._ended.add(job.folder)
        arm = self.arms[arm_of(job)]
        arm.running.pop(job.folder, None)
        arm.done += not reason
        arm.crashed += bool(reason)
        score = self._last.pop(job.folder, None)
        if score is not None and not reason:
            arm.scores.append(score)
        done, total = sum(a.done + a.crashed for a in self.arms.values()), sum(a.total for a in self.arms.values())
        skill = "" if score is None else f", validation skill {score:.4f}"
        what = f"crashed: {reason}" if reason else f"done{skill}"
        self.draw(f"[{done}/{total}] {arm_of(job)} {title_of(job)}: {what}".replace("  ", " "))

    @abstractmethod
    def draw(self, line: str) -> None:
        """Shows where all stand; `line` says what just happened, where that is worth a line."""

    @abstractmethod
    def close(self) -> None:
        """The study has ended, in whatever way."""


class Silent(StudyProgress):
    """Nothing is shown."""

    def draw(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines(StudyProgress):
    """One plain line a job, for logs."""

    def draw(self, line: str) -> None:
        """Prints the line."""
        if line:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing: every line is out."""


class LiveStudy(StudyProgress):
    """A table of all that is compared, redrawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def draw(self, line: str) -> None:
        """Redraws the table; a crash stays on the screen."""
        if ": crashed: " in line:
            self._live.console.print(line, style="red", markup=False)
        self._live.update(self._grid())

    def close(self) -> None:
        """Takes the table away."""
        self._live.stop()

    def _grid(self) -> Grid:
        done, total = sum(a.done for a in self.arms.values()), sum(a.total for a in self.arms.values())
        grid = Grid(
            title=f"{done} of {total} done in {clock(time.monotonic() - self.began)}",
            title_justify="left",
        )
        for heading, side in (("", "left"), ("done", "right"), ("validation skill", "right"), ("now", "left")):
            grid.add_column(heading, justify=side)  # type: ignore[arg-type]
        for name, arm in self.arms.items():
            score = f"{sum(arm.scores) / len(arm.scores):.4f}" if arm.scores else ""
            crashed = f" ({arm.crashed} crashed)" if arm.crashed else ""
            now = "; ".join(text for text in arm.running.values() if text) or ("…" if arm.running else "")
            grid.add_row(name, f"{arm.done}/{arm.total}{crashed}", score, now)
        return grid


def arm_of(job: Any) -> str:
    """The row of the table that a job belongs to."""
    return job.name if isinstance(job, BaselineJob) else str(job.unit.arm)


def title_of(job: Any) -> str:
    """A job within its row."""
    task = job.task if isinstance(job, BaselineJob) else job.unit.task
    setting = "" if isinstance(job, BaselineJob) else " ".join(f"{k}={v}" for k, v in job.setting.items())
    split = f"split {job.split}" if getattr(job, "is_resplit", False) else ""
    return " ".join(part for part in (task or "", setting, split, f"seed {job.seed}") if part)


def make_study_progress(*, quiet: bool = False) -> StudyProgress:
    """The live table in a terminal, plain lines elsewhere, nothing when quiet."""
    if quiet:
        return Silent()
    console = Console(stderr=True)
    return LiveStudy(console) if console.is_terminal and sys.stderr.isatty() else Lines()
