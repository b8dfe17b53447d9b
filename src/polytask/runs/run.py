"""A Run: the record of one training, as a folder; it predicts and is judged from there."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from polytask.data import Preprocessor, Schema, Split, Table, Targets, TensorTable, encode_targets
from polytask.errors import ConfigError, RunError, nearest
from polytask.model import Blueprint, Model, count_parameters
from polytask.runs.evaluation import Outputs, TaskScores, evaluating, judge, run_model
from polytask.runs.folder import RunFolder
from polytask.runs.opening import own_tables, record_opening
from polytask.tasks import Task

#: What `predict` and `evaluate` take: rows in any form that `Table.of` reads.
Rows = Any


class Run:
    """The record of one training.

    Args:
        path: its folder.
        data: the tables it was trained on, by name, where they are at hand; else they are read from where they were.

    Raises:
        RunError: the folder is none, is unfinished, damaged, or from a newer polytask.
    """

    def __init__(self, path: str | Path, *, data: Mapping[str, Table] | None = None) -> None:
        self.folder = RunFolder(path)
        if not self.folder.path.is_dir():
            raise RunError(f"{path}: there is no such Run folder")
        state = self.folder.state()
        if state != "finished":
            raise RunError(
                f"{path} is no finished Run (its state: {state}); start its command again, and it goes on where it was"
            )
        self.folder.verify("model.json", "schema.json", "metrics.json", "splits.parquet")
        self.blueprint = Blueprint.from_json(self.folder.read_json("model.json"))
        self._data = dict(data or {})
        self._models: dict[str, Model] = {}

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in order."""
        return self.blueprint.tasks

    @property
    def metrics(self) -> dict[str, Any]:
        """`{"validation": {task: scores}, "test": … once opened}`."""
        return self.folder.read_json("metrics.json")

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch, nested values flattened with dots."""
        text = (self.folder / "history.jsonl").read_text(encoding="utf-8")
        return pd.json_normalize([json.loads(line) for line in text.splitlines()])

    @property
    def schema(self) -> dict[str, Schema]:
        """The columns that each table had."""
        return {name: Schema.from_json(s) for name, s in self.folder.read_json("schema.json").items()}

    def split(self, table: str = "all") -> Split:
        """Which rows of a table were for training, validation, test."""
        frame = pd.read_parquet(self.folder / "splits.parquet")
        return Split.from_frame(frame[frame["table"] == table])

    def model(self, best_for: str = "mean") -> Model:
        """The trained model in evaluation mode, on the CPU.

        Args:
            best_for: `"mean"`: the weights that were best for the mean over tasks; a task's name: those best for it.
        """
        if best_for not in self._models:
            known = ["mean", *self.blueprint.fitted]
            if best_for not in known:
                raise ConfigError(f"best_for={best_for!r} is no task of this Run; {nearest(best_for, known)}")
            name = f"weights/{best_for}.safetensors"
            self.folder.verify(name)
            model = self.blueprint.build()
            model.load_state_dict(load_file(self.folder / name))
            self._models[best_for] = model.eval()
        return self._models[best_for]

    def predict(
        self,
        rows: Rows,
        *,
        probabilities: bool = False,
        tasks: Sequence[str] | None = None,
        best_for: str = "mean",
        batch_size: int = 4096,
    ) -> pd.DataFrame:
        """Predictions in the user's own terms, a column a task, in the rows' order (a DataFrame's index is kept).

        Args:
            rows: a DataFrame, Table, Arrow table or path; targets need not be there, other columns are not read.
            probabilities: add a column `task[class]` for every class of tasks that have classes.
            tasks: only these tasks; all where not given.
            best_for: which weights (see `model`).
            batch_size: rows at a time.

        Raises:
            SchemaError: an input column is missing or cannot be read; names it.
        """
        chosen = self._chosen(tasks)
        table = Table.of(rows)
        encoded = TensorTable(self._preprocessor().transform(table), Targets({}, {}, {}))
        model = self.model(best_for)
        with evaluating(model):
            outputs = run_model(model, encoded, chosen, batch_size=batch_size)
        index = rows.index if isinstance(rows, pd.DataFrame) else table.frame.index
        return self._frame(chosen, outputs, probabilities, index)

    def evaluate(
        self,
        rows: Rows | None = None,
        *,
        tasks: Sequence[str] | None = None,
        best_for: str = "mean",
        batch_size: int = 4096,
    ) -> dict[str, TaskScores]:
        """Every metric of every task, with skill (0: the best constant of the training rows, 1: perfect).

        Args:
            rows: labelled rows; None: the Run's own test part, which is opened by this (the time of the first opening
                is recorded in metrics.json, its predictions in predictions/test.parquet).
            tasks: only these tasks.
            best_for: which weights (see `model`).
            batch_size: rows at a time.

        Raises:
            RunError: the Run's own data are no longer where they were, or have changed.
            SchemaError: an input or target column is missing or cannot be read.
        """
        chosen = self._chosen(tasks)
        if rows is None:
            return self._open_test(chosen, best_for, batch_size)
        table = Table.of(rows)
        outputs, encoded = self._outputs(table, None, chosen, best_for, batch_size)
        return judge(chosen, self.blueprint.fitted, outputs, encoded)

    def summary(self) -> str:
        """Tasks, skills, and parameters shared and owned, as text."""
        model = self.model()
        validation = self.metrics["validation"]
        shared, total = count_parameters(model.shared_parameters()), count_parameters(model.parameters())
        lines = [
            f"Run {self.path}",
            f"{total:,} parameters, {shared:,} shared by at least two tasks",
            f"{'task':<24} {'kind':<15} {'own parameters':>15}  validation",
        ]
        for task in self.tasks:
            metric = task.primary_metric(self.blueprint.fitted[task.name]).name
            scores = validation[task.name]
            value = "not judged" if scores[metric] is None else f"{metric} {scores[metric]:.4g}"
            own = count_parameters(model.task_parameters(task.name))
            lines.append(f"{task.name:<24} {task.kind:<15} {own:>15,}  {value}")
        return "\n".join(lines)

    def cite(self) -> str:
        """BibTeX of the methods this Run used."""
        return (self.folder / "citations.bib").read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, tasks={[task.name for task in self.tasks]})"

    def _chosen(self, names: Sequence[str] | None) -> list[Task]:
        known = {task.name: task for task in self.tasks}
        if names is None:
            return list(self.tasks)
        if isinstance(names, str) or not names:
            raise ConfigError(f"tasks: a list of this Run's tasks is wanted ({', '.join(known)}), got {names!r}")
        for name in names:
            if name not in known:
                raise ConfigError(f"{name!r} is no task of this Run; {nearest(name, known)}")
        return [known[name] for name in names]

    def _preprocessor(self) -> Preprocessor:
        self.folder.verify("preprocessing/preprocessing.json", "preprocessing/preprocessing.safetensors")
        return Preprocessor.load(self.folder / "preprocessing")

    def _outputs(
        self, table: Table, rows: Any, tasks: Sequence[Task], best_for: str, batch_size: int
    ) -> tuple[Outputs, TensorTable]:
        rows = np.arange(table.num_rows) if rows is None else rows
        targets = encode_targets(table, tasks, self.blueprint.fitted, rows)
        encoded = TensorTable(self._preprocessor().transform(table, rows), targets)
        model = self.model(best_for)
        with evaluating(model):
            return run_model(model, encoded, tasks, batch_size=batch_size), encoded

    def _frame(self, tasks: Sequence[Task], outputs: Outputs, probabilities: bool, index: Any) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for task in tasks:
            fitted = self.blueprint.fitted[task.name]
            columns |= task.decode(outputs.values[task.name], fitted)
            if probabilities:
                columns |= task.probabilities(outputs.values[task.name], fitted)
        return pd.DataFrame(columns, index=index)

    def _open_test(self, tasks: list[Task], best_for: str, batch_size: int) -> dict[str, TaskScores]:
        scores: dict[str, TaskScores] = {}
        frames = []
        for name, (table, members) in own_tables(self.folder, self._data).items():
            here = [task for task in tasks if task.name in members]
            rows = self.split(name).rows("test")
            if not here:
                continue
            if not len(rows):
                raise RunError(f"this Run has no test rows ({name}); give rows to evaluate, or split with a test part")
            outputs, encoded = self._outputs(table, rows, here, best_for, batch_size)
            scores |= judge(here, self.blueprint.fitted, outputs, encoded)
            frame = self._frame(here, outputs, True, pd.Index(rows, name="row"))
            frames.append(frame.reset_index().assign(table=name))
        is_whole = len(tasks) == len(self.tasks) and best_for == "mean"
        record_opening(self.folder, scores if is_whole else None, pd.concat(frames))
        return scores


def load(folder: str | Path, *, data: Rows | None = None) -> Run:
    """A finished Run from its folder.

    Args:
        folder: of the Run.
        data: the table (or `{task: table}`) it was trained on, where that was in memory; needed only to open its
            own test part.

    Raises:
        RunError: the folder is none, is unfinished, damaged, or from a newer polytask.
    """
    if data is None:
        return Run(folder)
    tables = data if isinstance(data, Mapping) else {"all": data}
    return Run(folder, data={name: Table.of(table) for name, table in tables.items()})
