"""The leaderboard: what every arm of a study reached, and what it cost."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import rankdata

from polytask.runs import RunFolder
from polytask.studies.bench import read_baseline
from polytask.studies.conduct import Conducted, parameters_of
from polytask.studies.data import StudyData
from polytask.studies.judge import Judge
from polytask.studies.plan import CANDIDATE, TWINS, Job, Unit

BASELINE = "baseline"


@dataclass
class Arm:
    """One line of the leaderboard.

    Attributes:
        name: of the arm.
        role: candidate, twins, baseline or companion.
        values: as `results.json` holds them.
    """

    name: str
    role: str
    values: dict[str, Any]

    def value(self, task: str) -> float:
        """The metric of a task; NaN where there is none."""
        return self._of(task, "value")

    def skill(self, task: str) -> float:
        """The skill at a task; NaN where there is none."""
        return self._of(task, "skill")

    def skill_interval(self, task: str) -> tuple[float, float]:
        """Its interval."""
        low, high = self.values["scores"].get(task, {}).get("skill_interval", (math.nan, math.nan))
        return low, high

    def _of(self, task: str, key: str) -> float:
        return float(self.values["scores"].get(task, {}).get(key, math.nan))


class Costs:
    """What was spent, read from the Runs.

    Args:
        folder: of the study.
        conducted: what was trained.
    """

    def __init__(self, folder: RunFolder, conducted: Conducted) -> None:
        self.folder = folder
        self._conducted = conducted

    def runs(self) -> list[dict[str, Any]]:
        """Every Run with its state."""
        crashed = self._conducted.crashed
        main = {job.folder for job in self._conducted.main}
        return [
            {
                "arm": job.unit.arm,
                "task": job.unit.task,
                "seed": job.seed,
                "split": job.split,
                "setting": dict(job.setting),
                "folder": job.folder,
                "state": "crashed" if job.folder in crashed else "finished",
                "reason": crashed.get(job.folder, ""),
                **({} if job.folder in crashed else self._of_run(job)),
                "is_main": job.folder in main,
            }
            for job in self._jobs()
        ]

    def seconds(self, units: list[Unit]) -> float:
        """Training of the Runs that are judged."""
        folders = {unit.folder for unit in units}
        return sum(
            self._of_run(job)["seconds"]
            for job in self._conducted.main
            if job.unit.folder in folders and job.folder not in self._conducted.crashed
        )

    def joules(self, folders: list[str]) -> float | None:
        """Of these jobs; None where one of them is not known."""
        found = [self._spent.get(folder, {}).get("joules") for folder in folders]
        known = [value for value in found if value is not None]
        return sum(known) if known and len(known) == len(found) else None

    def total(self) -> dict[str, Any]:
        """Of the whole study."""
        folders = [job.folder for job in self._jobs() if job.folder not in self._conducted.crashed]
        return {
            "wall_seconds": round(sum(self._sessions().values()), 1),
            "training_seconds": round(sum(self._of_run(job)["seconds"] for job in self._finished()), 1),
            "runs": len(folders),
            "joules": self.joules(folders),
        }

    def _sessions(self) -> dict[str, float]:
        """Seconds of each time that the study was started."""
        found: dict[str, float] = {}
        for spent in self._spent.values():
            found[spent["session"]] = max(found.get(spent["session"], 0.0), spent["elapsed"])
        return found

    def _jobs(self) -> list[Job]:
        return [*self._conducted.main, *self._conducted.trials]

    def _finished(self) -> Iterator[Job]:
        return (job for job in self._jobs() if job.folder not in self._conducted.crashed)

    def _of_run(self, job: Job) -> dict[str, Any]:
        if job.folder not in self._read:
            run = RunFolder(self.folder / job.folder)
            head = run.read_json("run.json")
            lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
            seconds = sum(json.loads(line)["timing"]["seconds"] for line in lines)
            self._read[job.folder] = {
                "seconds": round(seconds, 3),
                "epochs": head["epochs"],
                "best_epoch": head["best_epoch"],
                "validation": head["best_score"],
            }
        return self._read[job.folder]

    @cached_property
    def _read(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _spent(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "costs.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        # Lines are appended: the last one before a full disk may be cut.
        whole = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return {record["folder"]: record for record in whole}


def arms_of(
    judge: Judge, conducted: Conducted, data: StudyData, overrides: Mapping[str, Mapping[str, Any]], costs: Costs
) -> list[Arm]:
    """Every arm with its scores: candidates, twins, companions, baselines."""
    by_name: dict[str, list[Unit]] = {}
    for unit in conducted.units:
        by_name.setdefault(unit.arm, []).append(unit)
    arms = [_of_units(judge, conducted, data, overrides, costs, units) for units in by_name.values()]
    arms += [
        _of_baseline(judge, conducted, name, costs) for name in dict.fromkeys(job.name for job in conducted.baselines)
    ]
    own = {name: arm for arm in arms for name in arm.values["of"] or () if arm.role == TWINS}
    for arm in arms:
        twins = own.get(arm.name, own.get(conducted.chosen))
        arm.values["delta_m"] = None if arm.role == TWINS or twins is None else _delta_m(judge, arm, twins)
    for arm, rank in zip(arms, ranks(judge, arms), strict=True):
        arm.values["mean_rank"] = rank
    return arms


def _of_units(
    judge: Judge,
    conducted: Conducted,
    data: StudyData,
    overrides: Mapping[str, Mapping[str, Any]],
    costs: Costs,
    units: list[Unit],
) -> Arm:
    first = units[0]
    counts = [parameters_of(unit, data) for unit in units]
    jobs = [job for job in conducted.main if job.unit.arm == first.arm]
    chosen = {unit.task: conducted.settings[unit.folder] for unit in units}
    return Arm(
        first.arm,
        first.role,
        {
            "name": first.arm,
            "role": first.role,
            "summary": _summary(first),
            "chosen": first.arm == conducted.chosen,
            "of": list(first.of) or None,
            "overrides": dict(overrides.get(first.arm, {})),
            "parameters": {"total": sum(total for total, _ in counts), "shared": sum(s for _, s in counts)},
            "seconds": round(costs.seconds(units), 3),
            "joules": costs.joules([job.folder for job in jobs]),
            "runs": len(jobs),
            "settings_tried": len({json.dumps(dict(j.setting)) for j in (*jobs, *conducted.trials) if j.unit in units}),
            "setting": chosen[None] if None in chosen else chosen if any(chosen.values()) else {},
            "validation_skill": conducted.validation.get(first.arm, math.nan),
            **_scores(judge, first.arm, is_shared=first.role == CANDIDATE),
        },
    )


def _of_baseline(judge: Judge, conducted: Conducted, name: str, costs: Costs) -> Arm:
    jobs = [job for job in conducted.baselines if job.name == name]
    said = [found for job in jobs if (found := read_baseline(costs.folder, job)) is not None]
    skills = [s["validation_skill"] for s in said if s["validation_skill"] is not None]
    return Arm(
        name,
        BASELINE,
        {
            "name": name,
            "role": BASELINE,
            "summary": {
                "trees": "gradient-boosted trees, one model a task",
                "lightgbm": "LightGBM, one model a task",
                "linear": "ridge or logistic regression, one model a task",
            }.get(name, name),
            "chosen": False,
            "of": None,
            "overrides": {},
            "parameters": None,
            "seconds": round(sum(s["seconds"] for s in said), 3),
            "joules": None,
            "runs": len(jobs),
            "settings_tried": None,
            "setting": {},
            "validation_skill": float(np.mean(skills)) if skills else math.nan,
            **_scores(judge, name, is_shared=False),
        },
    )


def _summary(unit: Unit) -> str:
    experiment = unit.experiment
    names = [experiment.sharing.constructor.__name__, experiment.balancer.constructor.__name__]
    return {
        "all": f"one model for all tasks: sharing {names[0]}, balancer {names[1]}",
        "alone": "a model for each task alone",
        "placebo": "the candidate with its partners' labels permuted",
        "pooled": "one single-task model on all tasks' rows, told which task a row is of",
    }[unit.view.kind]


def _scores(judge: Judge, arm: str, *, is_shared: bool) -> dict[str, Any]:
    found = {}
    for task in judge.tasks:
        table = np.array(judge.scores(arm, task))
        if np.isnan(table).all():
            continue
        evidence = judge.skill(arm, task)
        constant, perfect = judge.constant(task), judge.judged(task).metric.perfect
        interval = evidence.interval()
        own = np.array(judge.scores(arm, task, own_best=True)) if is_shared and len(judge.tasks) > 1 else None
        value = float(np.nanmean(table))
        found[task] = {
            "value": value,
            "interval": sorted(constant + end * (perfect - constant) for end in interval),
            "skill": evidence.difference,
            "skill_interval": list(interval),
            "by_seed": (table[0] if judge.num_splits == 1 else _means(table)).tolist(),
            "own_best": None
            if own is None or np.isnan(own).all()
            else {
                "value": float(np.nanmean(own)),
                "skill": (float(np.nanmean(own)) - constant) / ((perfect - constant) or math.nan),
            },
        }
    skills = [score["skill"] for score in found.values() if not math.isnan(score["skill"])]
    return {"scores": found, "mean_skill": float(np.mean(skills)) if skills else math.nan}


def _means(table: np.ndarray) -> np.ndarray:
    """Of every row what is known of it; NaN where nothing is."""
    known = ~np.isnan(table)
    return np.nansum(table, axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def _delta_m(judge: Judge, arm: Arm, twins: Arm) -> float:
    """Mean over tasks of the relative change against the twin in percent, signed so that higher is better.

    Paper: Maninis, Radosavovic, Kokkinos: Attentive single-tasking of multiple tasks, CVPR 2019, arXiv 1904.08918.
    """
    changes = []
    for task in judge.tasks:
        own, other = arm.value(task), twins.value(task)
        sign = 1 if judge.judged(task).metric.higher_is_better else -1
        changes.append(sign * (own - other) / abs(other) if other else math.nan)
    return 100 * float(np.mean(changes))


def ranks(judge: Judge, arms: list[Arm]) -> list[float]:
    """Each arm's mean rank by skill over tasks, among the arms that do all of them; ties share their ranks."""
    table = np.array([[arm.skill(task) for task in judge.tasks] for arm in arms])
    whole = ~np.isnan(table).any(axis=1)
    found = np.full(len(arms), math.nan)
    if whole.any():
        found[whole] = rankdata(-table[whole], axis=0).mean(axis=1)
    return found.tolist()
