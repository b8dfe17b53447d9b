"""What a verdict says, in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from polytask.studies.verdict import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    NO_VERDICT,
    PRACTICALLY_EQUAL,
    REGION,
    Verdict,
)

#: More tasks than this want 10 seeds: Holm's first quantile is wide with 5.
MANY_TASKS, MANY_SEEDS = 5, 10


def number(value: float | None) -> str:
    """Three significant digits, and at most four behind the point.

    Example:
        >>> number(0.95123), number(12345.6), number(0.00004)
        ('0.951', '12346', '0.0000')
    """
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) >= 10 else f"{value:.{3 if abs(value) >= 0.1 else 4}f}"


def signed(value: float | None) -> str:
    """The same with its sign."""
    return "–" if value is None or math.isnan(value) else ("+" if value >= 0 else "−") + number(abs(value))


def sentence(task: str, metric: str, verdict: Verdict, shared: float, alone: float, unit: float) -> str:
    """One line on one task.

    Args:
        task: its name.
        metric: that judges it.
        verdict: on it.
        shared: the candidate's metric.
        alone: the twin's metric.
        unit: what a skill of 1 is worth in the metric, signed as the metric is: negative for errors.
    """
    if verdict.word == NO_VERDICT:
        return f"No verdict on {task}: {verdict.reason}."
    low, high = sorted(end * unit for end in verdict.interval)
    size = f"{metric} {number(shared)} shared, {number(alone)} alone; {signed(verdict.difference * unit)}"
    numbers = f"{size}, 95 % from {signed(low)} to {signed(high)}"
    return {
        HELPS: f"Sharing helps {task}: {numbers}.",
        HURTS: f"Sharing hurts {task}: {numbers}.",
        PRACTICALLY_EQUAL: f"Sharing makes practically no difference to {task}: {numbers}.",
        CANNOT_TELL: f"This study cannot tell for {task}: {numbers}; {_what_could_be(verdict)}.",
    }[verdict.word]


def _what_could_be(verdict: Verdict) -> str:
    """Why it cannot tell, or how large a difference it would have found."""
    return verdict.reason or f"it would have found {number(verdict.metric_mde)} about three times in four"


def headline(words: Sequence[str]) -> str:
    """All tasks in one sentence.

    Example:
        >>> headline(["helps", "hurts", "cannot tell", "helps"])
        'Sharing helps 2 of 4 tasks and hurts 1; for 1 this study cannot tell.'
    """
    count = {word: list(words).count(word) for word in (HELPS, HURTS, PRACTICALLY_EQUAL, CANNOT_TELL, NO_VERDICT)}
    total, rest = len(words), []
    if count[PRACTICALLY_EQUAL]:
        rest.append(f"{count[PRACTICALLY_EQUAL]} {'is' if count[PRACTICALLY_EQUAL] == 1 else 'are'} practically equal")
    if count[CANNOT_TELL]:
        rest.append(f"for {count[CANNOT_TELL]} this study cannot tell")
    if count[NO_VERDICT]:
        rest.append(f"on {count[NO_VERDICT]} there is no verdict")
    noun = "task" if total == 1 else "tasks"
    first = f"Sharing helps {count[HELPS] or 'none'} of {total} {noun} and hurts {count[HURTS] or 'none'}"
    if not count[HELPS] and not count[HURTS]:
        first = f"Sharing is not shown to help or to hurt {'the task' if total == 1 else f'any of {total} tasks'}"
    return f"{first}; {', '.join(rest)}." if rest else f"{first}."


def with_mean(headline: str, mean: Mapping[str, Any] | None) -> str:
    """The headline, and what the mean over tasks adds where it is certain."""
    if mean is None or mean["word"] not in (HELPS, HURTS):
        return headline
    return f"{headline} On the mean over tasks it {mean['word']} ({signed(mean['difference'])} of skill)."


def advice(mean_skills: Mapping[str, float], candidate: str, twins: str, baselines: Sequence[str]) -> list[str]:
    """That something simpler does better, where it does by more than the usual region: the model matters more then.

    Args:
        mean_skills: arm -> mean skill on test rows; NaN for one that cannot do all tasks.
        candidate: the arm that is judged.
        twins: its twins.
        baselines: arms that are no networks.
    """
    known = {name: mean_skills[name] for name in baselines if not math.isnan(mean_skills.get(name, math.nan))}
    nets = max(mean_skills[candidate], mean_skills[twins])
    better = {name: skill for name, skill in known.items() if skill > nets + REGION}
    if not better:
        return []
    best = max(better, key=lambda name: better[name])
    return [
        f"{best} is ahead of shared and single-task networks over all tasks (mean skill {number(better[best])}; shared "
        f"{number(mean_skills[candidate])}, alone {number(mean_skills[twins])}): a better model may matter more than "
        "sharing."
    ]


def headline_of_mean(verdict: Mapping[str, Any], num_tasks: int) -> str:
    """The mean over many tasks in one sentence."""
    low, high = verdict["interval"]
    numbers = f"{signed(verdict['difference'])} of skill, 95 % from {signed(low)} to {signed(high)}"
    words = {
        HELPS: "Sharing helps on average over",
        HURTS: "Sharing hurts on average over",
        PRACTICALLY_EQUAL: "Sharing makes practically no difference on average over",
        CANNOT_TELL: "This study cannot tell whether sharing helps on average over",
        NO_VERDICT: "There is no verdict on the average over",
    }[verdict["word"]]
    return f"{words} {num_tasks} tasks: {numbers}." if verdict["word"] != NO_VERDICT else f"{words} {num_tasks} tasks."


def warnings(
    *,
    num_tasks: int,
    num_seeds: int,
    num_splits: int,
    against_constant: Mapping[str, tuple[str, Any]],
    by_time: bool,
    num_candidates: int,
) -> list[str]:
    """What a reader has to know before believing.

    Args:
        num_tasks: that are judged.
        num_seeds: of each net.
        num_splits: divisions of the rows.
        against_constant: task -> the best arm's name and its `(skill, low, high)`, where no model is shown to beat the
            best constant.
        by_time: the test rows are the latest ones, and nobody said which of them belong together.
        num_candidates: that the judged one was chosen among.
    """
    found = []
    repeats, noun = (num_seeds, "seed") if num_splits == 1 else (num_splits, "split")
    if repeats < 3:
        found.append(f"{repeats} {noun}{'' if repeats == 1 else 's'}: at least 3 are needed for a verdict.")
    elif num_tasks > MANY_TASKS and repeats < MANY_SEEDS:
        found.append(
            f"{num_tasks} tasks with {repeats} {noun}s: with so many tests little can be found; "
            f"take {MANY_SEEDS} {noun}s."
        )
    for task, (arm, (skill, low, high)) in against_constant.items():
        found.append(
            f"Nothing here is shown to beat the best constant on {task}: the best, {arm}, has a skill of "
            f"{signed(skill)} (95 % from {signed(low)} to {signed(high)}). What sharing does to it says little."
        )
    if num_splits > 1 and num_candidates > 1:
        found.append(
            f"The candidate was chosen among {num_candidates} on the validation rows of all splits, and these are test "
            "rows of other splits: the verdict is a little too kind to it. Name one candidate for a clean one."
        )
    if by_time:
        found.append(
            "The test rows follow one another in time and are taken one by one here; where neighbours are alike, name "
            "a column of days or weeks as group."
        )
    return found
