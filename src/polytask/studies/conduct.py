"""A study from its plan to the moment before its test rows are read: tuning, training, choosing, baselines."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from polytask.errors import RunError
from polytask.experiment import Experiment
from polytask.runs import RunFolder, explained
from polytask.studies.baselines import can_do
from polytask.studies.bench import BaselineJob, read_baseline
from polytask.studies.data import StudyData
from polytask.studies.folder import is_finished, opened_at
from polytask.studies.live import StudyProgress
from polytask.studies.plan import (
    CANDIDATE,
    Job,
    Unit,
    settings_of_grid,
)
from polytask.studies.pool import Outcome, Pool
from polytask.studies.settings import StudySettings
from polytask.studies.units import companion_units, first_units, shares


@dataclass
class Conducted:
    """What a study has trained.

    Attributes:
        units: every net, by what it is for.
        settings: (unit's folder, split) -> the point of the grid that was chosen for it there.
        main: the Runs that are judged.
        trials: Runs of the grid that were not chosen.
        baselines: those that were fitted.
        crashed: folder -> reason.
        chosen: the candidate that was best on validation rows.
        validation: arm -> mean skill on validation rows, over tasks and Runs.
    """

    units: list[Unit] = field(default_factory=list)
    settings: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    main: list[Job] = field(default_factory=list)
    trials: list[Job] = field(default_factory=list)
    baselines: list[BaselineJob] = field(default_factory=list)
    crashed: dict[str, str] = field(default_factory=dict)
    chosen: str = ""
    validation: dict[str, float] = field(default_factory=dict)


class Conductor:
    """Trains all that a study compares; what is finished already is not trained again.

    Args:
        candidates: by name.
        settings: of the study.
        data: its rows.
        seeds: of every net.
        folder: of the study.
        digest: of the study.
        pool: does the work.
        progress: is told what comes up.
    """

    def __init__(
        self,
        candidates: Mapping[str, Experiment],
        settings: StudySettings,
        data: StudyData,
        seeds: Sequence[int],
        folder: RunFolder,
        digest: str,
        pool: Pool,
        progress: StudyProgress,
    ) -> None:
        self.settings, self.data, self.seeds = settings, data, list(seeds)
        self.folder, self.digest, self.pool, self.progress = folder, digest, pool, progress
        self.units = first_units(candidates, settings, data)
        self.found = Conducted()
        self._session = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = time.monotonic()

    def conduct(self) -> Conducted:
        """All Runs, tuned and trained; the candidate chosen; its companions; the baselines."""
        self._train(self.units)
        self.found.validation = {arm: self._validation(arm) for arm in dict.fromkeys(u.arm for u in self.units)}
        candidates = [unit.arm for unit in self.units if unit.role == CANDIDATE and shares(unit, self.data)]
        self.found.chosen = best_of({arm: self.found.validation[arm] for arm in candidates}, self.found.crashed)
        chosen = next(unit for unit in self.units if unit.arm == self.found.chosen)
        self._train(companion_units(chosen, self.settings, self.data))
        opened_at(self.folder)  # baselines answer for the test rows as soon as they are fitted
        self._fit_baselines(chosen.experiment)
        return self.found

    def _train(self, units: Sequence[Unit]) -> None:
        """Tries every point of the grid under the first seed, then trains the chosen one under all; split by split."""
        if not units:
            return
        points, splits = settings_of_grid(self.settings.grid), range(self.settings.num_splits)
        many = len(splits) > 1
        tried = [Job(u, self.seeds[0], split, point, many) for split in splits for point in points for u in units]
        tried = tried if len(points) > 1 else []
        self._do(tried)
        for unit in units:
            for split in splits:
                scores = [self._score(Job(unit, self.seeds[0], split, p, many)) for p in points] if tried else [0.0]
                best = max(range(len(scores)), key=lambda k: (not np.isnan(scores[k]), scores[k], -k))
                self.found.settings[unit.folder, split] = points[best]
        main = [
            Job(unit, seed, split, self.found.settings[unit.folder, split], many)
            for seed in self.seeds  # all of one seed before the next
            for split in splits
            for unit in units
        ]
        self._do(main)
        chosen = {job.folder for job in main}
        self.found.units += units
        self.found.main += main
        self.found.trials += [job for job in tried if job.folder not in chosen]

    def _do(self, jobs: Sequence[Job]) -> None:
        finished = [job for job in jobs if is_finished(self.folder, job, self.digest)]
        self.progress.planned(jobs, finished)
        done = {job.folder for job in finished} | set(self.found.crashed)
        self._note(self.pool.do([job for job in jobs if job.folder not in done]))

    def _fit_baselines(self, experiment: Experiment) -> None:
        first = [
            BaselineJob(name, task.name, self.seeds[0], split, experiment)
            for name in self.settings.baselines
            for task in self.data.tasks
            for split in range(self.settings.num_splits)
            if can_do(name, task)
        ]
        self._fit(first)
        drawn = [job for job in first if not (self._said(job) or {"is_deterministic": True})["is_deterministic"]]
        self._fit([replace(job, seed=seed) for job in drawn for seed in self.seeds[1:]])

    def _fit(self, jobs: Sequence[BaselineJob]) -> None:
        finished = [job for job in jobs if self._said(job) is not None]
        self.progress.planned(jobs, finished)
        self._note(self.pool.do([job for job in jobs if job not in finished]))
        self.found.baselines += [job for job in jobs if self._said(job) is not None]

    def _said(self, job: BaselineJob) -> dict[str, Any] | None:
        return read_baseline(self.folder, job)

    def _note(self, outcomes: Iterable[Outcome]) -> None:
        """Keeps what crashed, and writes down what the rest cost."""
        for outcome in outcomes:
            if outcome.reason:
                self.found.crashed[outcome.job.folder] = outcome.reason
                continue
            path = self.folder / "costs.jsonl"
            # A line break first: a full disk may have cut the line before.
            with explained(path), path.open("a", encoding="utf-8") as handle:
                handle.write("\n" + json.dumps(outcome.cost | self._now()))

    def _now(self) -> dict[str, Any]:
        """When a job ended: a study that was killed has several sessions."""
        return {"session": self._session, "elapsed": round(time.monotonic() - self._began, 1)}

    def _validation(self, arm: str) -> float:
        """Mean over the arm's Runs by task, then over tasks."""
        by_task: dict[str, list[float]] = {}
        for job in self.found.main:
            if job.unit.arm == arm and job.folder not in self.found.crashed:
                for task, skill in validation_skills(self.folder, job).items():
                    by_task.setdefault(task, []).append(skill)
        means = [np.mean(skills) for skills in by_task.values()]
        return float(np.mean(means)) if means else float("nan")

    def _score(self, job: Job) -> float:
        skills = [] if job.folder in self.found.crashed else [*validation_skills(self.folder, job).values()]
        return float(np.mean(skills)) if skills else float("nan")


def validation_skills(folder: RunFolder, job: Job) -> dict[str, float]:
    """Task -> skill on validation rows, where it is defined; of the tasks that the Run is for."""
    scores = RunFolder(folder / job.folder).read_json("metrics.json")["validation"]
    task = job.unit.task
    asked = {task: scores[task]} if task is not None and task in scores else scores
    return {task: found["skill"] for task, found in asked.items() if found["skill"] is not None}


def best_of(validation: Mapping[str, float], crashed: Mapping[str, str]) -> str:
    """The candidate with the highest mean skill on validation rows; the first of equal ones.

    Raises:
        RunError: no candidate has one.
    """
    known = {arm: skill for arm, skill in validation.items() if not np.isnan(skill)}
    if not known:
        first = next((f"; the first, {folder}, crashed: {reason}" for folder, reason in crashed.items()), "")
        raise RunError(
            "no candidate has a skill on validation rows: all of their Runs crashed, or no validation row has a label"
            + first
        )
    return max(known, key=lambda arm: known[arm])
