"""The verdict on each task: helps, hurts, practically equal, or cannot tell; or none, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polytask.studies.evidence import Evidence
from polytask.studies.statistics import holm

HELPS = "helps"
HURTS = "hurts"
PRACTICALLY_EQUAL = "practically equal"
CANNOT_TELL = "cannot tell"
NO_VERDICT = "no verdict"

#: Level of the intervals that are shown and held against the region: 95 %, whatever chance of a false word is taken.
SHOWN = 0.05

#: Half-width of the practically-equal region, in skill: .005 of ROC-AUC.
REGION = 0.01

#: With two seeds, 95 % of a t distribution reach 12.7 standard errors far.
LEAST_SEEDS = 3
#: Below, neither the rows' variance nor the normal distribution of their mean can be relied on.
LEAST_ROWS = 10
#: Fewer groups leave a variance with under 5 degrees of freedom.
LEAST_GROUPS = 6


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a study says of one task.

    Differences and intervals are in skill, candidate − twin: above 0 the candidate is better. All numbers are NaN
    where no verdict is given and they are undefined.

    Attributes:
        task: its name.
        word: helps, hurts, practically equal, cannot tell; no verdict.
        reason: why no verdict is given, or what rows that are all alike may hide where that is why it cannot tell;
            "" otherwise.
        difference: mean over seeds and rows.
        interval: 95 % of it, for this task alone (1 − α, where another α is asked for).
        adjusted_interval: at the level that Holm leaves this task: it leaves out 0 exactly where p ≤ level.
        p: the smallest level whose interval leaves out 0, for this task alone.
        level: at which the task is judged among all.
        mde: minimum detectable effect at that level, in skill; where no row differs, what may still be hidden.
        metric_mde: the same in units of the metric.
        seeds: trainings of each arm.
        rows: labelled test rows.
        groups: clusters of these rows; None where they stand alone.
    """

    task: str
    word: str
    reason: str
    difference: float
    interval: tuple[float, float]
    adjusted_interval: tuple[float, float]
    p: float
    level: float
    mde: float
    metric_mde: float
    seeds: int
    rows: int
    groups: int | None


def decide(
    evidence: Mapping[str, Evidence], *, level: float = 0.05, region: float | Mapping[str, float] = REGION
) -> dict[str, Verdict]:
    """The verdict on every task, judged together (Holm).

    In this order: the 95 % interval inside ± region: *practically equal*; else the adjusted interval leaves out 0:
    *helps* or *hurts*; else *cannot tell*. Where no row differs between the arms, the intervals reach as far as
    `hidden_difference`. Tasks without a verdict are not counted among the tests.

    Args:
        evidence: task -> its evidence; where several candidates are judged, a name for every task and candidate.
        level: the chance of any false helps or hurts among all.
        region: what difference in skill is no difference in practice, for all tasks or by task; to be fixed before
            test rows are read.

    Raises:
        ValueError: a level outside (0, 1), a region below 0, or none for a task.

    Example:
        >>> from polytask.studies.evidence import evidence_of
        >>> rng = np.random.default_rng(0)
        >>> found = decide({"better": evidence_of(rng.normal(0.2, 1, (5, 1000)))})
        >>> found["better"].word
        'helps'
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: a number between 0 and 1 is wanted")
    regions = {task: _region_of(task, region) for task in evidence}
    reasons = {task: reason_for_none(found) for task, found in evidence.items()}
    judged = [task for task in evidence if not reasons[task]]
    p = {task: evidence[task].p for task in judged}
    levels = dict(zip(judged, holm(np.array([p[task] for task in judged]), level).tolist(), strict=True))
    return {
        task: _verdict(task, found, p[task], levels[task], level, regions[task])
        if not reasons[task]
        else _none(task, found, reasons[task], level)
        for task, found in evidence.items()
    }


def reason_for_none(evidence: Evidence) -> str:
    """Why this evidence allows no verdict, as a clause; "" where it does."""
    if evidence.seeds < LEAST_SEEDS:
        return f"{_count(evidence.seeds, evidence.repeats)}, and at least {LEAST_SEEDS} are needed"
    if evidence.rows < LEAST_ROWS:
        return f"{_count(evidence.rows, 'test label')}, and at least {LEAST_ROWS} are needed"
    if evidence.classes is not None and evidence.classes < 2:
        return "all test labels are of one class"
    if evidence.fewest is not None and evidence.fewest < LEAST_ROWS:
        return f"{_count(evidence.fewest, 'test label')} of the rarest class, and at least {LEAST_ROWS} are needed"
    if evidence.groups is not None and evidence.groups < LEAST_GROUPS:
        return f"{_count(evidence.groups, 'group')} of test rows, and at least {LEAST_GROUPS} are needed"
    if not math.isfinite(evidence.difference):
        return "the difference in skill is undefined on these test rows"
    if not all(math.isfinite(part.variance) for part in evidence.parts):
        return "the error of the difference is undefined on these test rows"
    return ""


def hidden_difference(evidence: Evidence, level: float = 0.05) -> float:
    """How large the difference in skill may be although no row differs between the arms; 0 where one does.

    −log(level) / n, at 5 % the rule of three, 3/n: if a larger share of all rows differed, fewer than `level` of all
    studies would draw n rows without one. n counts rows, or groups, or rows of the rarest class, where these are fewer.
    A row that differs is taken to be worth a skill of 1, and with classes 1/unit: what one right answer is worth.

    Paper: J. A. Hanley, A. Lippman-Hand, If nothing goes wrong, is everything all right? Interpreting zero numerators,
        Journal of the American Medical Association 249 (1983) 1743–1745.

    Example:
        >>> from polytask.studies.evidence import evidence_of
        >>> round(hidden_difference(evidence_of(np.zeros((5, 20)))), 4)
        0.1498
    """
    if evidence.difference != 0 or any(part.variance != 0 for part in evidence.parts):
        return 0.0
    worth = 1 / min(evidence.unit, 1.0) if evidence.classes is not None else 1.0
    return -math.log(level) / _alike(evidence)[0] * worth


def _alike(evidence: Evidence) -> tuple[int, str]:
    """How many draws showed no difference, and of what: rows, or where these are fewer, groups or the rarest class."""
    draws = [(evidence.rows, "test rows")]
    if evidence.groups is not None:
        draws.append((evidence.groups, "groups of test rows"))
    if evidence.fewest is not None:
        draws.append((evidence.fewest, "test rows of the rarest class"))
    return min(draws, key=lambda draw: draw[0])


def _verdict(task: str, evidence: Evidence, p: float, adjusted: float, level: float, region: float) -> Verdict:
    interval = interval_of(evidence)
    hidden = hidden_difference(evidence, adjusted)
    reason = ""
    if -region < interval[0] and interval[1] < region:
        word = PRACTICALLY_EQUAL
    elif p <= adjusted:
        word = HELPS if evidence.difference > 0 else HURTS
    else:
        word = CANNOT_TELL
        if hidden:
            number, what = _alike(evidence)
            reason = f"none of {number} {what} differs between the arms, and so up to {3 / number:.0%} of all may"
    mde = hidden or evidence.minimum_detectable_effect(adjusted)
    return Verdict(
        task=task,
        word=word,
        reason=reason,
        difference=evidence.difference,
        interval=interval,
        adjusted_interval=interval_of(evidence, adjusted),
        p=p,
        level=adjusted,
        mde=mde,
        metric_mde=mde * evidence.unit,
        seeds=evidence.seeds,
        rows=evidence.rows,
        groups=evidence.groups,
    )


def interval_of(evidence: Evidence, level: float = SHOWN) -> tuple[float, float]:
    """Howe's 1 − level interval; around 0 where no row differs; NaN where nothing can be said of the error."""
    if reason_for_none(evidence):
        return math.nan, math.nan
    hidden = hidden_difference(evidence, level)
    return (-hidden, hidden) if hidden else evidence.interval(level)


def _none(task: str, evidence: Evidence, reason: str, level: float) -> Verdict:
    """The difference is still shown; nothing is claimed of its error."""
    nan = math.nan
    return Verdict(
        task=task,
        word=NO_VERDICT,
        reason=reason,
        difference=evidence.difference,
        interval=(nan, nan),
        adjusted_interval=(nan, nan),
        p=nan,
        level=level,
        mde=nan,
        metric_mde=nan,
        seeds=evidence.seeds,
        rows=evidence.rows,
        groups=evidence.groups,
    )


def _region_of(task: str, region: float | Mapping[str, float]) -> float:
    if isinstance(region, Mapping) and task not in region:
        raise ValueError(f"task {task!r} has no practically-equal region; known: {', '.join(region) or 'none'}")
    found = region[task] if isinstance(region, Mapping) else region
    if not found >= 0:
        raise ValueError(f"practically-equal region {found} of task {task!r}: a difference in skill ≥ 0 is wanted")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
