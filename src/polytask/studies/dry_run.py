"""What a study would make, and how long that may take, from a short trial."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polytask.config import Source as Place
from polytask.experiment import Experiment, run
from polytask.studies.arms import BASELINE
from polytask.studies.baselines import can_do
from polytask.studies.data import StudyData
from polytask.studies.folder import study_folder
from polytask.studies.opening import foreseen
from polytask.studies.plan import CANDIDATE, TWINS, Unit, settings_of_grid
from polytask.studies.session import check_jobs, default_folder
from polytask.studies.settings import StudySettings
from polytask.studies.setup import Setup, set_up
from polytask.studies.units import companion_units, first_units, parameters_of
from polytask.train import Quiet


@dataclass(frozen=True)
class Line:
    """One arm of a study that is yet to be made.

    Attributes:
        arm: its name.
        role: candidate, twins, companion or baseline.
        runs: how many it would have, trials of the grid included; fits of a baseline, which are not timed.
        parameters: of one Run, or of all nets of one seed together.
        epochs: at most this many a Run.
        seconds_per_epoch: of one Run, as the trial took; of the nets of one seed together for twins.
        seconds: of all its Runs, at most.
    """

    arm: str
    role: str
    runs: int
    parameters: int | None
    epochs: int | None
    seconds_per_epoch: float | None
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """What a study would make.

    Attributes:
        lines: one an arm.
        folder: where it would be.
        jobs: worker processes at once.
        seconds: at most, with these; early stopping usually ends sooner.
        trial_seconds: that the trial took.
        chosen_later: whether companions are shown for the first candidate, as the choice is not made yet.
    """

    lines: list[Line]
    folder: Path
    jobs: int
    seconds: float
    trial_seconds: float
    chosen_later: bool


def forecast(
    experiment: Experiment,
    settings: StudySettings,
    *,
    data: Any = None,
    folder: str | Path | None = None,
    jobs: int = 1,
    place: Place = Place(),
    say: Callable[[str], None] = lambda sentence: None,
) -> Forecast:
    """Says which Runs a study would make, and how long they may take; nothing is left on the disk.

    Two epochs of every candidate and of every kind of twin is trained and timed, under the first seed, with
    the settings that the grid changes. Baselines are not counted: they take seconds, mostly.

    Raises:
        SchemaError: the data do not fit the tasks.
        ConfigError: settings that do not fit, or candidates that cannot be compared.
    """
    began = time.monotonic()
    check_jobs(jobs)
    setup = set_up(experiment, settings, data, place)
    target = study_folder(folder or default_folder(setup))
    target.check()
    rows = setup.data(setup.splits())
    units = _units(setup, rows)
    for sentence in foreseen(rows, setup.group, settings):
        say(f"warning: {sentence}")
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for arm, of_arm in units.items():
            say(f"two epochs of {arm} …")
            lines.append(_line(arm, of_arm, setup, rows, Path(scratch)))
    for name in settings.baselines:
        number = sum(can_do(name, task) for task in rows.tasks) * settings.num_splits
        lines.append(Line(name, BASELINE, number, None, None, None, 0.0))
    return Forecast(
        lines=lines,
        folder=target.path,
        jobs=jobs,
        seconds=sum(line.seconds for line in lines) / max(jobs, 1),
        trial_seconds=time.monotonic() - began,
        chosen_later=len(setup.candidates) > 1 and bool({"placebo", "equal_parameters"} & {*settings.companions}),
    )


def _units(setup: Setup, rows: StudyData) -> dict[str, list[Unit]]:
    units = first_units(setup.candidates, setup.settings, rows)
    first = next(unit for unit in units if unit.role == CANDIDATE)
    units += companion_units(first, setup.settings, rows)
    by_arm: dict[str, list[Unit]] = {}
    for unit in units:
        by_arm.setdefault(unit.arm, []).append(unit)
    return by_arm


def _line(arm: str, units: list[Unit], setup: Setup, rows: StudyData, scratch: Path) -> Line:
    settings = setup.settings
    # Twins differ in their rows and heads alone: the largest of them stands for all.
    timed = units[0] if units[0].role != TWINS else max(units, key=lambda unit: _labels(unit, rows))
    per_epoch = len(units) * _seconds_per_epoch(timed, setup, rows, scratch)
    points = len(settings_of_grid(settings.grid))
    epochs = units[0].experiment.train.epochs
    # The chosen point's trial under the first seed is one of its Runs.
    a_unit = settings.seeds * settings.num_splits + (points - 1)
    return Line(
        arm=arm,
        role=units[0].role,
        runs=len(units) * a_unit,
        parameters=sum(parameters_of(unit, rows)[0] for unit in units),
        epochs=epochs,
        seconds_per_epoch=per_epoch,
        seconds=per_epoch * epochs * a_unit,
    )


def _labels(unit: Unit, rows: StudyData) -> int:
    task = next(task for task in rows.tasks if task.name == unit.task)
    return int(rows.labelled(task).sum())


def _seconds_per_epoch(unit: Unit, setup: Setup, rows: StudyData, scratch: Path) -> float:
    """Of one Run with its validation: the quicker of two, as the first one also loads parts of torch."""
    train = replace(unit.experiment.train, epochs=2)
    experiment = replace(unit.experiment, train=train, seed=setup.seeds[0])
    data, given = rows.view(unit.view, 0, experiment, "")
    trained = run(experiment, data=data, folder=scratch / unit.folder, given=given, progress=Quiet())
    return float(trained.history["timing.seconds"].min())
