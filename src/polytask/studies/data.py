"""The rows of a study, and what each of its Runs sees of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from polytask.config import plain
from polytask.data import DROPPED, Finding, Preprocessor, Split, Table, located, row_has_label
from polytask.errors import ConfigError
from polytask.experiment import ALL, Experiment, Given, Source, fit_preprocessor
from polytask.model import seed_of
from polytask.studies.names import unused
from polytask.studies.permuted import permuted
from polytask.tasks import Task

#: The name of the one task of a pooled model.
POOLED = "pooled"


@dataclass(frozen=True)
class View:
    """Which rows and labels a Run sees.

    Attributes:
        kind: all: every row; alone: the rows that have a label of one task; placebo: every row, with the labels of that
            task's partners permuted; pooled: the rows of all tasks' tables under one another, as one task.
        task: the one that "alone" and "placebo" speak of.
    """

    kind: Literal["all", "alone", "placebo", "pooled"] = "all"
    task: str | None = None


@dataclass
class StudyData:
    """Tables, their splits, and what is made of them once.

    Attributes:
        tables: `{"all": table}`, or one table a task.
        tasks: of the study.
        splits: one a division of the rows: table -> split.
        findings: of the lint.
        of: task -> the table that has its rows, where several tasks have one of several tables.
    """

    tables: dict[str, Table]
    tasks: tuple[Task, ...]
    splits: list[dict[str, Split]]
    findings: list[Finding]
    of: dict[str, str] = field(default_factory=dict)
    _preprocessors: dict[Any, Preprocessor] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs; it fits the preprocessing itself."""
        return {**vars(self), "_preprocessors": {}}

    @property
    def sources(self) -> dict[str, Source]:
        """The tables with their tasks, as `experiment` knows them."""
        return self._sources(self.tables, self.tasks)

    def _sources(self, tables: Mapping[str, Table], tasks: Sequence[Task]) -> dict[str, Source]:
        """These tables, each with those of these tasks whose rows it has."""
        found = {}
        for name, table in tables.items():
            here = tuple(task for task in tasks if name == ALL or self.table_of(task.name) == name)
            if here:
                found[name] = Source(table, here)
        return found

    def table_of(self, task: str) -> str:
        """The name of the table that holds a task's rows."""
        return ALL if ALL in self.tables else self.of.get(task, task)

    def view(self, view: View, split: int, experiment: Experiment, mark: str) -> tuple[dict[str, Source], Given]:
        """The data of one Run, as `run` takes them, and what it is given.

        Args:
            view: which rows and labels.
            split: number of the division of the rows.
            experiment: of the Run, its inputs named.
            mark: of the Run.
        """
        tables, splits = self.tables, self.splits[split]
        if view.kind == "pooled":
            tables, splits = self._pooled(experiment, split)
        elif view.kind == "placebo":
            tables = self._permuted(view.task or "", split, experiment.seed)
        elif view.kind == "alone":
            tables, splits = self._alone(view.task or "", split)
        pooled = tables if view.kind == "pooled" else None
        preprocessor = self._preprocessor(
            experiment, split, pooled, splits, view.task if view.kind == "alone" else None
        )
        names = {task.name for task in experiment.tasks}
        findings = [f for f in self.findings if f.task is None or f.task in names]
        return self._sources(tables, experiment.tasks), Given(
            splits=splits, preprocessor=preprocessor, findings=findings, mark=mark
        )

    def labelled(self, task: Task) -> np.ndarray:
        """Which rows of a task's table have a label of it."""
        return row_has_label(self.tables[self.table_of(task.name)], task)

    def _alone(self, name: str, split: int) -> tuple[dict[str, Table], dict[str, Split]]:
        """The task's table; rows without a label of it are dropped."""
        where = self.table_of(name)
        task = next(task for task in self.tasks if task.name == name)
        parts = np.where(self.labelled(task), self.splits[split][where].parts, DROPPED).astype(np.int8)
        return {where: self.tables[where]}, {where: Split(parts)}

    def _permuted(self, name: str, split: int, seed: int) -> dict[str, Table]:
        """All tables; the partners' labels change rows within training and validation, all of a row together."""
        found = dict(self.tables)
        for where, table in self.tables.items():
            here = [task for task in self.tasks if self.table_of(task.name) == where]
            generator = np.random.default_rng(seed_of(seed, "placebo", name, where))
            found[where] = permuted(table, here, name, self.splits[split][where], generator)
        return found

    def _pooled(self, experiment: Experiment, split: int) -> tuple[dict[str, Table], dict[str, Split]]:
        """One table of all tasks' rows: the inputs, the task's name as one more, and one column of targets."""
        (task,) = experiment.tasks
        inputs = list(experiment.data.inputs or ())
        of_task, target = inputs[-1], task.columns[0]
        frames, kinds = [], {of_task: "category"}
        for own in self.tasks:
            table = self.tables[self.table_of(own.name)]
            frame = located(table, inputs[:-1]).frame[inputs[:-1]]
            targets = table.frame[own.columns[0]].rename(target)
            frames.append(pd.concat([frame, targets], axis=1).assign(**{of_task: own.name}))
            kinds |= {name: table.kind(name) for name in inputs[:-1]}
        parts = np.concatenate([self.splits[split][self.table_of(own.name)].parts for own in self.tasks])
        return {ALL: Table(pd.concat(frames, ignore_index=True), kinds=kinds)}, {ALL: Split(parts)}

    def _preprocessor(
        self,
        experiment: Experiment,
        split: int,
        pooled: Mapping[str, Table] | None,
        splits: Mapping[str, Split],
        alone: str | None,
    ) -> Preprocessor:
        """Fitted on the study's training rows, whichever of them the Run trains on; once for all Runs alike.

        Where columns are selected, a net for one task has those that say most of this task.
        """
        settings = experiment.data
        tasks = [alone] if alone is not None and settings.preprocess.select is not None else None
        prepared = json.dumps(plain(settings.preprocess), sort_keys=True)
        key = (split, settings.inputs, prepared, pooled is not None, alone if tasks else None)
        if key not in self._preprocessors:
            sources = self.sources if pooled is None else {ALL: Source(pooled[ALL], experiment.tasks)}
            of = self.splits[split] if pooled is None else splits
            self._preprocessors[key] = fit_preprocessor(settings, sources, of, list(settings.inputs or ()), tasks)
        return self._preprocessors[key]


def pooled_experiment(experiment: Experiment, tasks: Sequence[Task], tables: Mapping[str, Table]) -> Experiment:
    """One single-task model on all tasks' rows, with the task's name as an input.

    Raises:
        ConfigError: the tasks share one table, or are not of one kind with the same settings.
    """
    if ALL in tables:
        raise ConfigError("study.companions: pooled wants a table for each task; these tasks share their rows")
    first = replace(tasks[0], name=POOLED, column=None, weight=None, after=())
    for task in tasks:
        is_limited = bool(task.mask or task.where or task.aligned_with)
        same = replace(task, name=POOLED, column=None, weight=None, after=())
        if same != first or len(task.columns) > 1 or is_limited:
            raise ConfigError(
                "study.companions: pooled wants tasks of one kind with the same settings and one column each, "
                f"without mask or where; {tasks[0].name!r} and {task.name!r} differ"
            )
    taken = [*(experiment.data.inputs or ())]
    of_task = unused("task", taken)
    target = unused("target", [*taken, of_task])
    data = replace(experiment.data, inputs=(*taken, of_task), resample=None)
    return replace(experiment, tasks=(replace(first, column=target),), data=data)
