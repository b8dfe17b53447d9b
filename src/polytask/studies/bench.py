"""What a worker does: train one Run of a study, or fit one baseline."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from polytask.data import encode_targets, fit_task
from polytask.experiment import CATALOGUES, Experiment, run, without_path
from polytask.ragged import as_padded
from polytask.regularizers import REGULARIZERS
from polytask.runs import RunFolder
from polytask.studies.baselines import Rows, fit_baseline
from polytask.studies.data import StudyData, View
from polytask.studies.energy import Meter
from polytask.studies.folder import study_folder
from polytask.studies.plan import Job
from polytask.tasks import TASKS
from polytask.train import Progress

#: What users may add members to.
EXTENSIBLE: dict[str, dict[str, type[Any]]] = {**CATALOGUES, "task": TASKS, "regularizer": REGULARIZERS}


class Telling(Progress):
    """Passes every epoch on: its number, how many there may be, its score."""

    def __init__(self, tell: Callable[[int, int, float], None]) -> None:
        self._tell = tell

    def start(self, session: Any) -> None:
        """Remembers how many epochs there may be."""
        self._epochs = session.settings.epochs

    def step(self, session: Any) -> None:
        """Nothing: an epoch is soon enough."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Tells of it."""
        self._tell(record["epoch"], self._epochs, record["score"])

    def close(self) -> None:
        """Nothing: the job's end is told by whoever gave it."""


@dataclass(frozen=True)
class BaselineJob:
    """One baseline of one task to be fitted.

    Attributes:
        name: of the baseline.
        task: that it is for.
        seed: of what it draws.
        split: number of the division of the rows.
        experiment: whose inputs and preprocessing it has.
    """

    name: str
    task: str
    seed: int
    split: int
    experiment: Experiment

    @property
    def folder(self) -> str:
        """Where its outputs are, within the study."""
        return f"baselines/{self.name}/{self.task}/{self.inputs}/split-{self.split}/seed-{self.seed}"

    @property
    def inputs(self) -> str:
        """A digest of inputs and preprocessing: they are the chosen candidate's."""
        written = json.dumps(without_path(self.experiment.written())["data"], sort_keys=True, default=str)
        return hashlib.sha256(written.encode()).hexdigest()[:8]

    @property
    def files(self) -> tuple[str, str]:
        """Its outputs, and what is said of them; the second is written last."""
        return f"{self.folder}/outputs.safetensors", f"{self.folder}/baseline.json"


@dataclass
class Bench:
    """A place to work: the rows, the folder, and how many threads there are.

    Attributes:
        data: of the study.
        path: of the study's folder.
        digest: of the study.
        threads: torch's, where an experiment does not say.
        meters_energy: whether the machine's energy is this worker's alone.
        additions: catalogue -> members that a user added.
    """

    data: StudyData
    path: Path
    digest: str
    threads: int | None = None
    meters_energy: bool = False
    additions: dict[str, dict[str, type]] = field(default_factory=dict)

    def enter(self) -> None:
        """Makes another process like the one that asks: users' own methods, threads."""
        for catalogue, added in self.additions.items():
            EXTENSIBLE[catalogue].update(added)
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def do(self, job: Job | BaselineJob, progress: Progress) -> dict[str, Any]:
        """Does one job, whole; what it made is in the folder, what it cost is returned.

        Raises:
            PolytaskError: data or settings do not fit, or a loss is not finite.
        """
        began, meter = time.monotonic(), Meter(enabled=self.meters_energy)
        if isinstance(job, BaselineJob):
            self._fit(job)
        else:
            self._train(job, progress)
        return {"folder": job.folder, "wall_seconds": round(time.monotonic() - began, 3), "joules": meter.joules()}

    def _train(self, job: Job, progress: Progress) -> None:
        unit = job.unit
        data, given = self.data.view(unit.view, job.split, job.experiment, job.mark(self.digest))
        run(job.experiment, data=data, folder=self.path / job.folder, progress=progress, given=given)

    def _fit(self, job: BaselineJob) -> None:
        data = self.data
        task = next(task for task in data.tasks if task.name == job.task)
        where = data.table_of(task.name)
        table, split = data.tables[where], data.splits[job.split][where]
        _, given = data.view(View("alone", task.name), job.split, job.experiment, "")
        fitted = fit_task(table, task, split.rows("train"))
        parts = {}
        for part in ("train", "validation", "test"):
            rows = given.splits[where].rows(part)
            if not len(rows):
                continue
            targets = encode_targets(table, [task], {task.name: fitted}, rows)
            inputs = given.preprocessor.transform(table, rows, absent=given.preprocessor.lacking(table))
            parts[part] = Rows(inputs, as_padded(targets.values[task.name]), as_padded(targets.present[task.name]))
        found = fit_baseline(job.name, task, fitted, parts["train"], parts["validation"], job.seed)
        folder = study_folder(self.path)
        outputs, record = job.files
        if "test" in parts:
            folder.write(outputs, save({"outputs": found.outputs(parts["test"].inputs).float().contiguous()}))
        folder.write_json(record, _said_of(found))


def _said_of(found: Any) -> dict[str, Any]:
    return {
        "setting": found.setting,
        "validation_skill": None if found.validation_skill != found.validation_skill else found.validation_skill,
        "seconds": round(found.seconds, 3),
        "is_deterministic": found.is_deterministic,
    }


def additions() -> dict[str, dict[str, type]]:
    """Members that a user added to the catalogues, for other processes to add too."""
    return {
        catalogue: {n: cls for n, cls in members.items() if not cls.__module__.startswith(("polytask.", "torch."))}
        for catalogue, members in EXTENSIBLE.items()
    }


def defined_in_script() -> str | None:
    """The name of an added class that only this process has, so that no other could load it; None: all can."""
    for added in additions().values():
        for cls in added.values():
            if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
                return cls.__name__
    return None


def read_baseline(folder: RunFolder, job: BaselineJob) -> dict[str, Any] | None:
    """What is said of a baseline that was fitted; None where it was not yet.

    Raises:
        RunError: the file is damaged.
    """
    name = job.files[1]
    return folder.read_json(name) if (folder / name).is_file() else None


def threads_for(jobs: int) -> int:
    """Threads a worker gets of the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(jobs, 1))
