"""What a study trains: units (one net with its rows), and their Runs by setting, seed and division of the rows."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from polytask.balance import BALANCERS
from polytask.config import Choice, as_choice, build, plain
from polytask.data import restricted
from polytask.encoders import ENCODERS
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment import Experiment, Source, input_columns, without_path
from polytask.sharing import SHARINGS
from polytask.studies.data import StudyData, View
from polytask.studies.names import setting_text, slug
from polytask.tasks import Task
from polytask.train import AGENDAS, Training

#: Roles of what is compared.
CANDIDATE, TWINS, COMPANION = "candidate", "twins", "companion"
#: The name of the single-task twins.
ALONE = "twins"


@dataclass(frozen=True)
class Unit:
    """One net: what is trained, on which rows, under which name.

    Attributes:
        arm: what it is part of, as the leaderboard names it.
        role: candidate, twins or companion.
        view: which rows and labels it sees.
        experiment: every choice but seed and the grid's settings.
        of: the candidates that it is compared with, by name; a candidate itself: none.
        rows: training rows of a single-task net, which no batch can exceed; None: not known yet.
    """

    arm: str
    role: str
    view: View
    experiment: Experiment
    of: tuple[str, ...] = ()
    rows: int | None = None

    @property
    def task(self) -> str | None:
        """The task that it is for; None: all of them."""
        return self.view.task

    @property
    def folder(self) -> str:
        """Where its Runs are, within the study."""
        of = [slug(self.of[0])] if self.role == COMPANION and len(self.of) == 1 else []
        return "/".join(["runs", slug(self.arm), *of, *([self.task] if self.task else [])])


@dataclass(frozen=True)
class Job:
    """One Run to be made."""

    unit: Unit
    seed: int
    split: int = 0
    setting: Mapping[str, Any] = field(default_factory=dict)
    #: Whether there are several divisions of the rows, so that its folder has to say which.
    is_resplit: bool = False

    @property
    def folder(self) -> str:
        """Of the Run, within the study."""
        parts = [self.unit.folder]
        if self.setting:
            parts.append(slug(setting_text(self.setting)))
        if self.is_resplit:
            parts.append(f"split-{self.split}")
        return "/".join([*parts, f"seed-{self.seed}"])

    @property
    def experiment(self) -> Experiment:
        """Of the Run; a net for one task keeps what it stops by, and its batches are no larger than its rows."""
        own = self.unit.experiment.train
        train = with_setting(own, self.setting)
        if self.unit.task is not None:
            stopping = replace(train.early_stopping, by=own.early_stopping.by, per_task=False)
            train = replace(train, early_stopping=stopping)
        if self.unit.rows is not None and train.batch_size is not None:
            train = replace(train, batch_size=min(train.batch_size, self.unit.rows))
        return replace(self.unit.experiment, seed=self.seed, train=train)

    def mark(self, study: str) -> str:
        """Says which Run of which study this is: a digest of both."""
        content = [study, self.folder, without_path(self.experiment.written())]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def with_setting(training: Training, setting: Mapping[str, Any]) -> Training:
    """Settings of training with one point of a grid in place.

    Raises:
        ConfigError: there is no such setting, or it cannot have this value.
    """
    if not setting:
        return training
    values = plain(training)
    return build(Training, {**values, **setting})


def settings_of_grid(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every point of a grid; one without any setting where there is none.

    Example:
        >>> settings_of_grid({"learning_rate": [0.1, 0.01]})
        [{'learning_rate': 0.1}, {'learning_rate': 0.01}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def check_grid(experiment: Experiment, grid: Mapping[str, Sequence[Any]]) -> None:
    """Refuses a grid of settings that training does not have, or values they cannot take.

    Raises:
        ConfigError: names the nearest.
    """
    known = set(Training.__dataclass_fields__)
    for name in grid:
        if name not in known:
            raise ConfigError(f"study.grid: {name!r} is no setting of train; {nearest(name, known)}")
        values = grid[name]
        if len(values) < 2 or any(value in values[:k] for k, value in enumerate(values)):
            raise ConfigError(f"study.grid.{name}: two different values or more are wanted, got {list(values)}")
    for setting in settings_of_grid(grid):
        with_setting(experiment.train, setting)


def candidate_units(candidates: Mapping[str, Experiment], data: StudyData) -> list[Unit]:
    """A unit for every candidate, its inputs named."""
    return [
        Unit(name, CANDIDATE, View("all"), with_inputs(experiment, data.sources))
        for name, experiment in candidates.items()
    ]


def twin_units(candidates: Sequence[Unit], data: StudyData) -> list[Unit]:
    """The single-task twins of all candidates; those that would be the same are trained once.

    A candidate's twin is its own experiment with one task: same encoder, head, preprocessing, rows, budget, early
    stopping; nothing is shared, balanced or scheduled. So candidates that differ in nothing else have the same twins.
    """
    groups: list[tuple[list[Experiment], list[str]]] = []
    for unit in candidates:
        twins = [twin_of(unit.experiment, task, data) for task in data.tasks]
        names = next((names for same, names in groups if same == twins), None)
        if names is None:
            groups.append((twins, names := []))
        names.append(unit.arm)
    found = []
    for twins, names in groups:
        arm = ALONE if len(groups) == 1 else f"{ALONE} of {names[0]}"
        found += [
            Unit(arm, TWINS, View("alone", task.name), twin, tuple(names), fewest_rows(task, data))
            for task, twin in zip(data.tasks, twins, strict=True)
        ]
    return found


def twin_of(experiment: Experiment, task: Task, data: StudyData) -> Experiment:
    """The same experiment with one task, on the rows that have a label of it."""
    (own,) = [found for found in experiment.tasks if found.name == task.name]
    rows = fewest_rows(task, data)
    largest = max(len(part.rows("train")) for part in data.splits[0].values())
    train = experiment.train
    stopping = replace(train.early_stopping, by="mean", per_task=False)
    resampled = restricted(experiment.data.resample, experiment.tasks, [own.name])
    alone = experiment.sharing.constructor.encoder_alone(experiment.sharing.settings, task.name)
    return replace(
        experiment,
        tasks=(replace(own, after=()),),
        data=replace(experiment.data, resample=resampled),
        encoder=experiment.encoder if alone is None else as_choice(alone, ENCODERS, "encoder"),
        sharing=Choice(SHARINGS["hard"]),
        regularizers=(),
        balancer=Choice(BALANCERS["sum"]),
        agenda=Choice(AGENDAS["joint"]),
        gradients=type(experiment.gradients)(),
        train=replace(train, early_stopping=stopping, batch_size=min(train.batch_size_for(largest), rows)),
    )


def fewest_rows(task: Task, data: StudyData) -> int:
    """How many training rows have a label of a task, in the division of the rows that has the fewest."""
    labelled, where = data.labelled(task), data.table_of(task.name)
    return min(int(labelled[split[where].rows("train")].sum()) for split in data.splits)


def check_labels(data: StudyData) -> None:
    """Refuses a task of which no training row, or no validation row, has a label: its twin could not be trained.

    Raises:
        SchemaError: names the task and the part.
    """
    for task in data.tasks:
        labelled, where = data.labelled(task), data.table_of(task.name)
        for part in ("train", "validation"):
            if not all(labelled[split[where].rows(part)].any() for split in data.splits):
                rows = "training" if part == "train" else part
                raise SchemaError(
                    f"{task.place}: none of the {rows} rows has a label of it, and a study trains and chooses a model "
                    "for each task; divide the rows otherwise, or take the task out"
                )


def placebo_units(chosen: Unit, data: StudyData) -> list[Unit]:
    """The chosen candidate once a task, with the labels of that task's partners permuted among rows.

    It has the candidate's regularisation and nothing to learn from the partners. It stops by the task's own skill, as
    the mean over tasks is mostly noise here.
    """
    found = []
    for task in data.tasks:
        stopping = replace(chosen.experiment.train.early_stopping, by=task.name, per_task=False)
        train = replace(chosen.experiment.train, early_stopping=stopping)
        experiment = replace(chosen.experiment, train=train)
        found.append(Unit("placebo", COMPANION, View("placebo", task.name), experiment, (chosen.arm,)))
    return found


def with_inputs(experiment: Experiment, sources: Mapping[str, Source]) -> Experiment:
    """The experiment with its input columns named: a single-task net must not read its partners' targets."""
    inputs = tuple(input_columns(experiment.data, sources))
    return replace(experiment, data=replace(experiment.data, inputs=inputs, ignore=()))
