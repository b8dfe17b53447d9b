"""`pt.study`: three lines of Python, and what their arguments ask for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.config import build
from polytask.experiment import experiment_from, to_stderr, with_path
from polytask.studies.record import Study
from polytask.studies.session import run_study
from polytask.studies.settings import StudySettings
from polytask.tasks import Task


def study(
    data: Any,
    tasks: Sequence[Task],
    candidates: Any = None,
    *,
    seeds: int = 5,
    grid: Mapping[str, Sequence[Any]] | None = None,
    resplits: int | str | None = None,
    baselines: Sequence[str] = ("trees", "linear"),
    companions: Sequence[str] = (),
    group: str | None = None,
    region: float | Mapping[str, float] = 0.01,
    level: float = 0.05,
    jobs: int = 1,
    folder: str | Path | None = None,
    title: str | None = None,
    quiet: bool = False,
    **experiment: Any,
) -> Study:
    """Says, per task, whether sharing helps: candidates, single-task twins and outside baselines on the same rows.

    Killed and called again with the same arguments, it goes on where it was.

    Args:
        data: a DataFrame, Table, Arrow table or path; or `{task: table}`, each task with rows of its own.
        tasks: what to predict.
        candidates: a list of balancers' names or of overrides (`{"sharing": "hard"}`), or `{name: overrides}`; the
            experiment as the other arguments describe it where not given.
        seeds: how many; at least 3 for a verdict, 10 for more than 5 tasks.
        grid: setting of training -> values to try, for candidates and twins alike: `{"learning_rate": [1e-3, 3e-3]}`.
        resplits: 10: that many repeated random splits; "5-fold": k folds. The verdict then speaks of other training
            sets too.
        baselines: outside models for each task: trees, lightgbm, linear.
        companions: pooled, placebo, equal_parameters (see `StudySettings`).
        group: a column whose groups of test rows belong together; that of `split={"by_group": …}` where not given.
        region: half-width of the practically-equal region in skill, for all tasks or by task.
        level: the chance of any false "helps" or "hurts".
        jobs: worker processes at once; 0: train in this process.
        folder: of the study; `runs/study-<tasks>-<digest>` where not given.
        title: of the report.
        quiet: show nothing.
        **experiment: what all candidates have in common, as `pt.fit` takes it (`encoder`, `split`, `epochs` …).

    Returns:
        The Study: `.verdict`, `.leaderboard`, `.runs(arm)`; `pt.report(study, "report.html")` makes its page.

    Raises:
        SchemaError: the data do not fit the tasks; names column, row or task.
        ConfigError: settings that are unknown or wrong, or candidates that cannot be compared.
        RunError: the folder cannot be written, holds something else, or a Run in it is damaged.
    """
    asked = {
        "seeds": seeds,
        "grid": grid or {},
        "resplits": resplits,
        "baselines": baselines,
        "companions": companions,
        "group": group,
        "region": region,
        "level": level,
    }
    settings = build(StudySettings, {"candidates": candidates, **asked})
    return run_study(
        with_path(experiment_from(tasks, **experiment), data),
        settings,
        data=data,
        folder=folder,
        jobs=jobs,
        title=title,
        quiet=quiet,
        say=(lambda _: None) if quiet else to_stderr,
    )
