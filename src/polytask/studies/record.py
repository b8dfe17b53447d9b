"""A Study: the record of many Runs compared, as a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from polytask.config import build
from polytask.errors import ConfigError, RunError, nearest
from polytask.runs import Run
from polytask.studies.folder import study_folder
from polytask.studies.terminal import verdict_text


@dataclass(frozen=True, kw_only=True)
class TaskVerdict:
    """What a study says of one task; numbers are None where they are undefined.

    Attributes:
        word: helps, hurts, practically equal, cannot tell; no verdict.
        reason: why there is no verdict.
        sentence: all of it in plain words.
        difference: candidate − twin in skill: above 0 the candidate is better.
        interval: 95 % of it, for this task alone.
        adjusted_interval: at the level that Holm leaves this task; what the word uses.
        p: the smallest level whose interval leaves out 0.
        level: at which the task is judged among all.
        mde: the difference in skill that such a study finds about three times in four.
        metric_mde: the same in units of the metric.
        metric_difference: the difference in units of the metric, above 0 where the candidate is better.
        seeds: trainings of each arm (or divisions of the rows).
        rows: labelled test rows.
        groups: clusters of these rows; None where they stand alone.
        seed_share: the seeds' share of the squared error; the rest is the rows'.
        own_best: the same difference with the candidate's weights that are best for this task; outside Holm.
        beside: other arm -> candidate − it; outside Holm.
        beats_constant: whether the candidate is shown to beat the best constant (or to lose to it).
    """

    word: str
    reason: str
    sentence: str
    difference: float | None
    interval: tuple[float | None, float | None]
    adjusted_interval: tuple[float | None, float | None]
    p: float | None
    level: float
    mde: float | None
    metric_mde: float | None
    metric_difference: float | None
    seeds: int
    rows: int
    groups: int | None
    seed_share: float | None
    own_best: dict[str, Any] | None
    beside: dict[str, Any]
    beats_constant: bool | None


class StudyVerdict(Mapping[str, TaskVerdict]):
    """The verdict on every task, by its name; printed, a table.

    Attributes:
        candidate: the one that was chosen on validation rows.
        headline: all tasks in one sentence.
        mean: the verdict on the mean over tasks, as plain values; None with one task.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results
        found = results["verdict"]
        self.candidate: str = found["candidate"]
        self.headline: str = found["headline"]
        self.mean: dict[str, Any] | None = found["mean"]
        self._tasks = {name: build(TaskVerdict, values) for name, values in found["tasks"].items()}

    def __getitem__(self, task: str) -> TaskVerdict:
        """The verdict on one task.

        Raises:
            KeyError: no such task; names the nearest.
        """
        if task not in self._tasks:
            raise KeyError(f"{task!r} is no task of this study; {nearest(task, self._tasks)}")
        return self._tasks[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __str__(self) -> str:
        return verdict_text(self._results)

    def __repr__(self) -> str:
        words = ", ".join(f"{name}: {found.word}" for name, found in self._tasks.items())
        return f"StudyVerdict({self.candidate}: {words})"


class Study:
    """The record of a study.

    Args:
        path: its folder.

    Raises:
        RunError: the folder is none, is unfinished, damaged, or from a newer polytask.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = study_folder(path)
        if not self.folder.path.is_dir():
            raise RunError(f"{path}: there is no such study folder{self.folder.neighbours()}")
        state = self.folder.state()
        if state == "empty":
            raise RunError(f"{path} is no study folder: it has no study.json{self.folder.neighbours()}")
        if state != "finished":
            raise RunError(f"{path} is no finished study; start its command again, and it goes on where it was")
        self.folder.verify("results.json")
        self.results: dict[str, Any] = self.folder.read_json("results.json")

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def verdict(self) -> StudyVerdict:
        """What it says of every task."""
        return StudyVerdict(self.results)

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row an arm: each task's metric, then mean skill, Δm %, mean rank, parameters, seconds."""
        rows = {}
        for arm in self.results["arms"]:
            values = {task["name"]: arm["scores"].get(task["name"], {}).get("value") for task in self.results["tasks"]}
            total = (arm["parameters"] or {}).get("total")
            rows[arm["name"]] = {
                "role": arm["role"],
                **values,
                **{key: arm[key] for key in ("mean_skill", "delta_m", "mean_rank")},
                "parameters": total,
                "seconds": arm["seconds"],
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before believing."""
        return list(self.results["warnings"])

    def runs(self, arm: str | None = None) -> list[Run]:
        """The Runs of an arm that are judged, in the order they were made.

        Args:
            arm: its name in the leaderboard; the candidate that the verdict is on where not given.

        Raises:
            ConfigError: no such arm, or one that has no Runs.
        """
        found = [r for r in self.results["runs"] if r["is_main"] and r["state"] == "finished"]
        known = list(dict.fromkeys(record["arm"] for record in found))
        arm = self.verdict.candidate if arm is None else arm
        if arm not in known:
            raise ConfigError(f"this study has no Runs of {arm!r}; {nearest(arm, known)}")
        return [Run(self.path / record["folder"]) for record in found if record["arm"] == arm]

    def cite(self) -> str:
        """BibTeX of the methods that were compared, and of the statistics."""
        return (self.folder / "citations.bib").read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"Study({str(self.path)!r}, {self.verdict.headline!r})"
