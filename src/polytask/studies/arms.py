"""The leaderboard: what every arm of a study reached, and what it cost."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from polytask.balance import BALANCERS
from polytask.config import name_of
from polytask.sharing import SHARINGS
from polytask.studies.bench import read_baseline
from polytask.studies.conduct import Conducted
from polytask.studies.costs import Costs
from polytask.studies.data import StudyData
from polytask.studies.judge import Judge
from polytask.studies.plan import CANDIDATE, TWINS, Unit
from polytask.studies.units import parameters_of
from polytask.studies.verdict import interval_of

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
    # A task on which nothing has a skill (one class among the test labels, say) is left out for all.
    judged = [task for task in judge.tasks if any(not math.isnan(arm.skill(task)) for arm in arms)]
    for arm in arms:
        twins = own.get(arm.name, own.get(conducted.chosen))
        arm.values["delta_m"] = None if arm.role == TWINS or twins is None else _delta_m(judge, judged, arm, twins)
        arm.values["mean_skill"] = _mean_skill(arm, judged)
    for arm, rank in zip(arms, ranks(judged, arms), strict=True):
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
    chosen = {unit.task: _setting(conducted, unit) for unit in units}
    return Arm(
        first.arm,
        first.role,
        {
            "name": first.arm,
            "role": first.role,
            "summary": _summary(first, sum(shared for _, shared in counts)),
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


def _setting(conducted: Conducted, unit: Unit) -> dict[str, Any]:
    """The point of the grid that a net got; by split, where splits differ in it."""
    by_split = {split: point for (folder, split), point in conducted.settings.items() if folder == unit.folder}
    first = by_split[0]
    same = all(point == first for point in by_split.values())
    return first if same else {f"split {split}": point for split, point in by_split.items()}


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


def _summary(unit: Unit, shared: int) -> str:
    experiment = unit.experiment
    names = [name_of(experiment.sharing, SHARINGS, "sharing"), name_of(experiment.balancer, BALANCERS, "balancer")]
    return {
        "all": f"one model for all tasks: sharing {names[0]}, balancer {names[1]}"
        + ("" if shared else "; shares nothing, so that it is not judged"),
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
        # Where all rows are answered alike, nothing is known of the error.
        is_known = any(part.variance > 0 for part in evidence.parts)
        interval = interval_of(evidence) if is_known else (math.nan, math.nan)
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
    return {"scores": found}


def _means(table: np.ndarray) -> np.ndarray:
    """Of every row what is known of it; NaN where nothing is."""
    known = ~np.isnan(table)
    return np.nansum(table, axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)


def _delta_m(judge: Judge, tasks: Sequence[str], arm: Arm, twins: Arm) -> float:
    """Mean over tasks of the relative change against the twin in percent, signed so that higher is better.

    Paper: Maninis, Radosavovic, Kokkinos: Attentive single-tasking of multiple tasks, CVPR 2019, arXiv 1904.08918.
    """
    changes = []
    for task in tasks:
        own, other = arm.value(task), twins.value(task)
        sign = 1 if judge.judged(task).metric.higher_is_better else -1
        changes.append(sign * (own - other) / abs(other) if other else math.nan)
    return 100 * float(np.mean(changes)) if changes else math.nan


def _mean_skill(arm: Arm, tasks: Sequence[str]) -> float:
    """Over all tasks that are judged; NaN for an arm that cannot do one of them, as it could not be compared."""
    return float(np.mean([arm.skill(task) for task in tasks])) if tasks else math.nan


def ranks(tasks: Sequence[str], arms: list[Arm]) -> list[float]:
    """Each arm's mean rank by skill over tasks, among the arms that do all of them; ties share their ranks."""
    table = np.array([[arm.skill(task) for task in tasks] for arm in arms]).reshape(len(arms), len(tasks))
    whole = ~np.isnan(table).any(axis=1) & bool(tasks)
    found = np.full(len(arms), math.nan)
    if whole.any():
        found[whole] = rankdata(-table[whole], axis=0).mean(axis=1)
    return found.tolist()
