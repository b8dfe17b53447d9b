"""One demo from its table to its verdict and report."""

import os
from collections.abc import Callable
from pathlib import Path

from polytask.data import Table
from polytask.demos.demo import DEMOS
from polytask.errors import ConfigError, nearest
from polytask.experiment import experiment_from
from polytask.report import report
from polytask.studies import Study, StudySettings, run_study

#: Worker processes at once, where the machine has as many cores.
MOST_JOBS = 4


def run_demo(
    name: str = "digits",
    *,
    folder: str | Path | None = None,
    jobs: int | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> tuple[Study, Path]:
    """Runs the demo's study and writes its report.

    Args:
        name: of the demo.
        folder: of the study; `runs/demo-<name>` where not given. A finished one is not made again.
        jobs: worker processes at once; as many as there are cores, at most 4, where not given.
        quiet: show no progress.
        say: takes notices.

    Returns:
        The study, and where its report is.

    Raises:
        ConfigError: there is no such demo; names the nearest.
        MissingExtraError: the package with the data is not installed.
    """
    if name not in DEMOS:
        raise ConfigError(f"there is no demo {name!r}; {nearest(name, DEMOS)}")
    demo = DEMOS[name]
    say(f"{demo.title}: {demo.summary}")
    study = run_study(
        experiment_from(demo.tasks(), **demo.settings()),
        StudySettings(candidates=list(demo.candidates), group=demo.group),
        data=Table.of(demo.table()),
        folder=folder or Path("runs") / f"demo-{name}",
        jobs=min(os.cpu_count() or 1, MOST_JOBS) if jobs is None else jobs,
        title=demo.title,
        quiet=quiet,
        say=say,
    )
    return study, report(study, study.path / "report.html")
