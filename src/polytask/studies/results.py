"""`results.json`: everything a study says, as plain values."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

import polytask
from polytask.runs import FORMAT, RunFolder, finite
from polytask.studies.arms import BASELINE, Arm, arms_of
from polytask.studies.conduct import Conducted
from polytask.studies.costs import Costs
from polytask.studies.data import StudyData
from polytask.studies.evidence import Evidence
from polytask.studies.judge import Judge
from polytask.studies.plan import CANDIDATE, TWINS
from polytask.studies.redundancy import redundant_predictions
from polytask.studies.sentences import advice, headline, headline_of_mean, sentence, warnings, with_mean
from polytask.studies.settings import StudySettings
from polytask.studies.statistics import screen
from polytask.studies.verdict import NO_VERDICT, Verdict, decide, interval_of

#: More tasks than this are judged by their mean; each of them gets a screen.
MOST_TASKS = 12
#: Share of false names that a screen may give, on average.
SCREEN = 0.1
MEAN = "mean"


@dataclass
class Findings:
    """All that the results are made of.

    Attributes:
        judge: compares the arms.
        data: the rows.
        conducted: what was trained.
        settings: of the study.
        group: the column of groups, if any.
        overrides: candidate -> what it overrides.
        folder: of the study.
        opened: when the test rows were read.
        jobs: workers at once.
        title: of the study.
        by_time: whether the test rows are the latest ones.
    """

    judge: Judge
    data: StudyData
    conducted: Conducted
    settings: StudySettings
    group: str | None
    overrides: Mapping[str, Mapping[str, Any]]
    folder: RunFolder
    opened: str
    jobs: int
    title: str | None
    by_time: bool

    @property
    def twins(self) -> str:
        """The arm of the chosen candidate's single-task twins."""
        units, chosen = self.conducted.units, self.conducted.chosen
        return next(unit.arm for unit in units if unit.role == TWINS and chosen in unit.of)


def results_of(found: Findings) -> dict[str, Any]:
    """The contents of `results.json`; NaN is null there."""
    costs = Costs(found.folder, found.conducted)
    arms = arms_of(found.judge, found.conducted, found.data, found.overrides, costs)
    verdict = _verdict(found, arms)
    values = {
        "format": FORMAT,
        "kind": "study",
        "polytask": polytask.__version__,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "title": found.title,
        "design": _design(found),
        "tasks": [_task(found, name) for name in found.judge.tasks],
        "arms": [arm.values for arm in arms],
        "verdict": verdict,
        "warnings": _warnings(found, arms),
        "runs": costs.runs(),
        "cost": costs.total(),
        "redundant": _redundant(found),
        "lint": [finding.to_dict() for finding in found.data.findings],
        "environment": found.folder.read_json("environment.json"),
    }
    plain: dict[str, Any] = finite(json.loads(json.dumps(values, default=_plain)))
    return plain


def _redundant(found: Findings) -> list[dict[str, Any]]:
    """Tasks that the twins predict alike, on validation rows."""
    twins = [job for job in found.conducted.main if job.unit.arm == found.twins]
    return redundant_predictions(found.folder, twins, found.data.tasks)


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _design(found: Findings) -> dict[str, Any]:
    settings = found.settings
    points = math.prod(len(values) for values in settings.grid.values())
    return {
        "seeds": list(found.judge.seeds),
        "splits": settings.num_splits,
        "folds": settings.num_folds,
        "grid": {name: list(values) for name, values in settings.grid.items()},
        "settings_tried": points,
        "level": settings.level,
        "group": found.group,
        "chosen_by": "mean skill on validation rows, over tasks and Runs",
        "test_opened": found.opened,
        "jobs": found.jobs,
        "primary": MEAN if len(found.judge.tasks) > MOST_TASKS else "tasks",
    }


def _task(found: Findings, name: str) -> dict[str, Any]:
    judge, data = found.judge, found.data
    judged = judge.judged(name)
    labelled = data.labelled(judged.task)
    parts = data.splits[0][data.table_of(name)]
    return {
        "name": name,
        "kind": judged.task.kind,
        "metric": judged.metric.name,
        "higher_is_better": judged.metric.higher_is_better,
        "perfect": judged.metric.perfect,
        "constant": judge.constant(name),
        "region": _region(found.settings, name),
        "unit": abs(judged.metric.perfect - judge.constant(name)),
        "rows": {part: int(labelled[parts.rows(part)].sum()) for part in ("train", "validation", "test")},
        "groups": None if judged.clusters is None else len(np.unique(judged.clusters)),
    }


def _region(settings: StudySettings, task: str) -> float:
    return settings.region[task] if isinstance(settings.region, Mapping) else settings.region


def _verdict(found: Findings, arms: list[Arm]) -> dict[str, Any]:
    """The candidate that was chosen on validation rows against its twins, on test rows."""
    judge, settings = found.judge, found.settings
    chosen = found.conducted.chosen
    twins = found.twins
    evidence = {task: judge.difference(chosen, twins, task) for task in judge.tasks}
    regions = {task: _region(settings, task) for task in judge.tasks}
    words = decide(evidence, level=settings.level, region=regions)
    by_name = {arm.name: arm for arm in arms}
    tasks = {
        task: _task_verdict(found, task, words[task], evidence[task], by_name, chosen, twins) for task in judge.tasks
    }
    usable = [task for task in judge.tasks if words[task].word != NO_VERDICT]
    mean = None
    of_mean = judge.mean_difference(chosen, twins, usable) if len(judge.tasks) > 1 else None
    if of_mean is not None:
        region = float(np.mean([regions[task] for task in usable]))
        mean = _said(decide({MEAN: of_mean}, level=settings.level, region=region)[MEAN], of_mean, 1.0)
        mean["region"] = region
    is_many = len(judge.tasks) > MOST_TASKS
    p = {task: words[task].p for task in usable}
    named = screen(list(p.values()), SCREEN).tolist() if p else []
    return {
        "candidate": chosen,
        "twins": twins,
        "tasks": tasks,
        "mean": mean,
        "screen": dict(zip(p, named, strict=True)) if is_many else None,
        "headline": _headline(words, mean, len(usable), is_many=is_many),
    }


def _headline(words: Mapping[str, Verdict], mean: dict[str, Any] | None, usable: int, *, is_many: bool) -> str:
    if is_many and mean:
        return headline_of_mean(mean, usable)
    return with_mean(headline([verdict.word for verdict in words.values()]), mean)


def _task_verdict(
    found: Findings, task: str, verdict: Verdict, evidence: Evidence, arms: Mapping[str, Arm], chosen: str, twins: str
) -> dict[str, Any]:
    judge = found.judge
    metric = judge.judged(task).metric
    signed_unit = metric.perfect - judge.constant(task)
    shared, alone = arms[chosen].value(task), arms[twins].value(task)
    own = judge.difference(chosen, twins, task, own_best=True) if len(judge.tasks) > 1 else None
    beside = {}
    for name, arm in arms.items():
        if name in (chosen, twins) or arm.role == CANDIDATE or task not in arm.values["scores"]:
            continue
        # A placebo stops by the task's own skill: the candidate's weights that are best for it stand against it.
        other = judge.difference(chosen, name, task, own_best=name == "placebo")
        beside[name] = {"difference": other.difference, "interval": interval_of(other)}
    low, high = arms[chosen].skill_interval(task)
    said = _said(verdict, evidence, abs(signed_unit))
    return said | {
        "own_best": None if own is None else {"difference": own.difference, "interval": interval_of(own)},
        "beside": beside,
        "beats_constant": True if low > 0 else False if high < 0 else None,
        "sentence": sentence(task, metric.name, verdict, shared, alone, signed_unit),
    }


def _said(verdict: Verdict, evidence: Evidence, unit: float) -> dict[str, Any]:
    variances = [float(part.variance) for part in evidence.parts]
    share = variances[0] / sum(variances) if len(variances) == 2 and sum(variances) > 0 else None
    values = asdict(verdict)
    del values["task"]
    return values | {"metric_difference": verdict.difference * unit, "seed_share": share}


def _warnings(found: Findings, arms: list[Arm]) -> list[str]:
    judge = found.judge
    beaten = {}
    for task in judge.tasks:
        ends = {arm.name: (arm.skill(task), *arm.skill_interval(task)) for arm in arms if task in arm.values["scores"]}
        known = {name: end for name, end in ends.items() if not any(map(math.isnan, end))}
        if known and all(low <= 0 for _, low, _ in known.values()):
            best = max(known, key=lambda name: known[name][0])
            beaten[task] = (best, known[best])
    said = warnings(
        num_tasks=len(judge.tasks),
        num_seeds=len(judge.seeds),
        num_splits=judge.num_splits,
        against_constant=beaten,
        by_time=found.by_time and found.group is None,
        num_candidates=len(found.overrides),
    )
    skills = {arm.name: float(arm.values["mean_skill"]) for arm in arms}
    baselines = [arm.name for arm in arms if arm.role == BASELINE]
    said += advice(skills, found.conducted.chosen, found.twins, baselines)
    crashed = found.conducted.crashed
    if crashed:
        first = next(iter(crashed))
        said.append(f"{len(crashed)} of the Runs crashed; the first, {first}: {crashed[first]}.")
    return said
