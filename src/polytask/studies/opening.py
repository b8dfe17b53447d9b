"""The test rows of a study: read once, when all is trained and chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from polytask.data import encode_targets, fit_task, group_keys
from polytask.errors import RunError
from polytask.experiment import ALL
from polytask.ragged import as_padded
from polytask.runs import Run
from polytask.studies.bench import BaselineJob
from polytask.studies.data import POOLED, StudyData
from polytask.studies.evidence import Evidence
from polytask.studies.plan import CANDIDATE, Job
from polytask.studies.row_values import Judged
from polytask.studies.settings import StudySettings
from polytask.studies.verdict import reason_for_none
from polytask.tasks import Fitted, Task

#: Arm, task, division of the rows.
Place = tuple[str, str, int]


@dataclass
class Answers:
    """What all models say of the test rows.

    Attributes:
        judged: (task, split) -> the labelled test rows.
        usual: (arm, task, split) -> seed -> output for these rows, under the weights that are best for the mean.
        own_best: the same under the weights that are best for the task, for models of several.
    """

    judged: dict[tuple[str, int], Judged]
    usual: dict[Place, dict[int, Tensor]] = field(default_factory=dict)
    own_best: dict[Place, dict[int, Tensor]] = field(default_factory=dict)

    def add(self, job: Job, data: StudyData, folder: Path) -> None:
        """Opens the test part of one Run.

        Raises:
            RunError: the Run is damaged, or its predictions cannot be written.
        """
        sources, given = data.view(job.unit.view, job.split, job.experiment, "")
        run = Run(folder / job.folder, data={name: source.table for name, source in sources.items()})
        if not any(len(split.rows("test")) for split in given.splits.values()):
            return  # a twin without a test label
        tasks = [task.name for task in run.tasks]
        weights = ["mean", *(tasks if job.unit.role == CANDIDATE and len(tasks) > 1 else [])]
        outputs = run.test_outputs(weights)
        # The thresholds that each Run has tuned are its own: its outputs are moved to where the common ones are.
        for name, judged in self._judged_by(job, data):
            tuned = run.blueprint.fitted.get(name, judged.fitted)
            for found in outputs.values():
                if name in found:
                    found[name] = judged.task.recut(found[name], tuned, judged.fitted)
        arm = job.unit.arm
        for name, judged in self._judged_by(job, data):
            rows = given.splits[ALL if ALL in given.splits else data.table_of(name)].rows("test")
            if job.unit.view.kind == "pooled":
                output = _of_pooled(
                    outputs["mean"][POOLED], name, judged, run.blueprint.fitted[POOLED], data, job.split
                )
                self.usual.setdefault((arm, name, job.split), {})[job.seed] = output
                continue
            places = np.searchsorted(rows, judged.rows)
            self.usual.setdefault((arm, name, job.split), {})[job.seed] = outputs["mean"][name][places]
            if name in outputs:
                self.own_best.setdefault((arm, name, job.split), {})[job.seed] = outputs[name][name][places]

    def add_baseline(self, job: BaselineJob, data: StudyData, folder: Path) -> None:
        """Reads what a baseline said of the test rows that have a label.

        Raises:
            RunError: its file is missing or damaged.
        """
        judged = self.judged[job.task, job.split]
        path = folder / job.files[0]
        if not len(judged.rows):
            return
        where = data.table_of(job.task)
        rows = data.splits[job.split][where].rows("test")
        labelled = rows[data.labelled(judged.task)[rows]]
        try:
            output = load_file(path)["outputs"]
        except Exception as error:
            raise RunError(f"{path} is damaged ({error}); remove its folder, and it is fitted again") from error
        places = np.searchsorted(labelled, judged.rows)
        self.usual.setdefault((job.name, job.task, job.split), {})[job.seed] = output[places]

    def stacked(self, place: Place, seeds: Sequence[int], *, own_best: bool = False) -> Tensor:
        """Outputs `[seeds, rows, …]`; one that serves all seeds (a baseline without chance) is repeated."""
        found = (self.own_best if own_best else self.usual).get(place, {})
        return (
            torch.stack([found[seed if seed in found else min(found)] for seed in seeds]) if found else torch.empty(0)
        )

    def seeds(self, place: Place) -> list[int]:
        """The seeds whose Runs were made."""
        return sorted(self.usual.get(place, {}))

    def _judged_by(self, job: Job, data: StudyData) -> Iterator[tuple[str, Judged]]:
        """The tasks that a Run answers for: all, or the one that it is for."""
        for task in data.tasks:
            judged = self.judged[task.name, job.split]
            if job.unit.task in (None, task.name) and len(judged.rows):
                yield task.name, judged


def judged_rows(data: StudyData, group: str | None) -> dict[tuple[str, int], Judged]:
    """Every task's labelled test rows in every division of the rows.

    Args:
        data: of the study.
        group: a column whose groups of rows belong together.

    Raises:
        SchemaError: a group is missing, or a target cannot be read.
    """
    found = {}
    for number, splits in enumerate(data.splits):
        for task in data.tasks:
            where = data.table_of(task.name)
            table, split = data.tables[where], splits[where]
            fitted = fit_task(table, task, split.rows("train"))
            rows = split.rows("test")
            targets = encode_targets(table, [task], {task.name: fitted}, rows)
            present = as_padded(targets.present[task.name])
            kept = present.reshape(len(rows), -1).any(dim=1) if len(rows) else torch.zeros(0, dtype=torch.bool)
            held = rows[kept.numpy()]
            groups = None if group is None else group_keys(table, group, held)
            target = as_padded(targets.values[task.name])[kept]
            found[task.name, number] = Judged(task, fitted, held, target, present[kept], groups)
    return found


def check_groups(data: StudyData, group: str | None) -> None:
    """Refuses a test row without a group before anything is trained.

    Raises:
        SchemaError: names the first such row.
    """
    for splits in data.splits:
        for name, split in splits.items():
            if group is not None:
                group_keys(data.tables[name], group, split.rows("test"))


def _of_pooled(output: Tensor, name: str, judged: Judged, fitted: Fitted, data: StudyData, split: int) -> Tensor:
    """One task's share of a pooled model's output, in the task's own terms; the tables follow one another."""
    first = 0
    for task in data.tasks:
        rows = data.splits[split][data.table_of(task.name)].rows("test")
        if task.name == name:
            places = first + np.searchsorted(rows, judged.rows)
            return translated(output[places], judged.task, fitted, judged.fitted)
        first += len(rows)
    raise AssertionError(f"{name} is no task of this study")


def translated(output: Tensor, task: Task, theirs: Fitted, ours: Fitted) -> Tensor:
    """An output in units and classes of one fit of a task, in those of another.

    Raises:
        RunError: the classes differ.
    """
    if "sd" in ours:
        return (output * theirs["sd"] + theirs["mean"] - ours["mean"]) / ours["sd"]
    for key in ("classes", "labels"):
        if theirs.get(key) != ours.get(key):
            raise RunError(
                f"the pooled model knows other {key} than task {task.name!r} ({theirs.get(key)} and {ours.get(key)}); "
                "leave pooled out of study.companions"
            )
    return output


def foreseen(data: StudyData, group: str | None, settings: StudySettings) -> list[str]:
    """Which tasks will have no verdict, and why, as far as labels, groups and seeds say it before anything is trained.

    Raises:
        SchemaError: a group is missing, or a target cannot be read.
    """
    reasons: dict[str, list[str]] = {}
    found = judged_rows(data, group)
    for task in data.tasks:
        judged = [found[task.name, split] for split in range(len(data.splits))]
        reason = reason_for_none(expected(judged, settings.seeds))
        if reason:
            reasons.setdefault(reason, []).append(task.name)
    return [f"no verdict will be given on {', '.join(names)}: {reason}" for reason, names in reasons.items()]


def expected(judged: Sequence[Judged], seeds: int) -> Evidence:
    """Evidence of what is known before the models are: numbers of repeats, rows, groups and classes."""
    rows = np.unique(np.concatenate([one.rows for one in judged]))
    clusters = [one.clusters for one in judged if one.clusters is not None]
    fewest = [number for one in judged if (number := one.counts["fewest"]) is not None]
    classes = [number for one in judged if (number := one.counts["classes"]) is not None]
    is_resplit = len(judged) > 1
    return Evidence(
        difference=0.0,
        parts=(),
        seeds=len(judged) if is_resplit else seeds,
        rows=len(rows),
        groups=len(np.unique(np.concatenate(clusters))) if clusters else None,
        classes=max(classes) if classes else None,
        fewest=max(fewest) if fewest else None,
        repeats="split" if is_resplit else "seed",
    )
