"""A Run: the record of one training, as a folder; it predicts and is judged from there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from polytask.data import (
    JudgedExamples,
    PieceEncoder,
    Preprocessor,
    Schema,
    Split,
    StreamedTable,
    Table,
    encode_new_rows,
    encode_streamed,
    encode_targets,
    encoded_parts,
    open_rows,
    read_splits,
)
from polytask.errors import ConfigError, RunError, nearest
from polytask.model import Blueprint, Model
from polytask.runs.asked import check_answerable, check_windows, tables_of, tasks_of
from polytask.runs.by_value import Values, in_memory, predict_by_value, split_by_value
from polytask.runs.device import pick_device
from polytask.runs.evaluation import TaskScores, judge, left_out, outputs_of, predictions
from polytask.runs.folder import RunFolder
from polytask.runs.graph import ModelGraph
from polytask.runs.opening import own_tables
from polytask.runs.overview import overview, warned
from polytask.runs.test_part import open_test
from polytask.runs.trace import graph_of
from polytask.tasks import Task

#: What `predict` and `evaluate` take: rows in any form that `open_rows` opens.
Rows = Any


class Run:
    """The record of one training.

    Args:
        path: its folder.
        data: the tables it was trained on, by name, where they are at hand; else they are read from where they were.

    Raises:
        RunError: the folder is none, is unfinished, damaged, or from a newer polytask.
    """

    def __init__(self, path: str | Path, *, data: Mapping[str, Table | StreamedTable] | None = None) -> None:
        self.folder = RunFolder(path)
        if not self.folder.path.is_dir():
            raise RunError(f"{path}: there is no such Run folder{self.folder.neighbours()}")
        state = self.folder.state()
        if state == "empty" and (self.folder / "study.json").exists():
            raise RunError(f"{path} is a study, not a Run; its Runs are under {self.folder / 'runs'}")
        if state == "empty":
            raise RunError(f"{path} is no Run folder: it has no run.json{self.folder.neighbours()}")
        if state != "finished":
            raise RunError(
                f"{path} is no finished Run (its state: {state}); start its command again, and it goes on where it was"
            )
        self.folder.verify("model.json", "schema.json", "metrics.json", "splits.parquet")
        self.blueprint = Blueprint.from_json(self.folder.read_json("model.json"))
        self._data = dict(data or {})
        self._models: dict[tuple[str, str], Model] = {}

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

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What the lint warned of before training."""
        return self.folder.read_json("lint.json")

    def split(self, table: str = "all") -> Split:
        """Which rows of a table were for training, validation, test.

        Args:
            table: "all" where all tasks have one table in common, else the name of a task.

        Raises:
            ConfigError: no such table.
        """
        known = read_splits(self.folder / "splits.parquet")
        if table not in known:
            raise ConfigError(f"this Run has no table {table!r}; {nearest(table, known)}")
        return known[table]

    @cached_property
    def values(self) -> Values:
        """The values of a column that have tasks of their own, where the experiment says `by`."""
        return Values.of(self.folder.read_json("run.json")["tables"])

    def model(self, best_for: str = "mean", device: str = "cpu") -> Model:
        """The trained model in evaluation mode.

        Args:
            best_for: `"mean"`: the weights that were best for the mean over tasks; a task's name: those best for it.
            device: where it is to run, in torch's words; `"auto"`: CUDA, then MPS, then CPU.

        Raises:
            ConfigError: no such task or device.
        """
        known = ["mean", *self.blueprint.fitted]
        if best_for not in known:
            raise ConfigError(f"best_for={best_for!r} is no task of this Run; {nearest(best_for, known)}")
        place = pick_device(device)
        key = best_for, str(place)
        if key not in self._models:
            name = f"weights/{best_for}.safetensors"
            self.folder.verify(name)
            model = self.blueprint.build()
            model.load_state_dict(load_file(self.folder / name))
            self._models[key] = model.eval().to(place)
        return self._models[key]

    def predict(
        self,
        rows: Rows,
        *,
        probabilities: bool = False,
        tasks: Sequence[str] | None = None,
        best_for: str = "mean",
        device: str = "cpu",
        batch_size: int = 4096,
        preference: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Predictions in the user's own terms, a column a task, in the rows' order (a DataFrame's index is kept).

        Where each value of a column has tasks of its own (`by`) and the rows have that column, every row is answered
        by its own value's task, under the written name.

        Args:
            rows: a DataFrame, Table, Arrow table, or a path of whatever `pt.read` reads (in the format and with the
                columns that this Run's data were read with); targets need not be there, other columns are not read.
            probabilities: add a column `task[class]` for every class of tasks that have classes.
            tasks: only these tasks; all where not given.
            best_for: which weights (see `model`).
            device: where it runs (see `model`).
            batch_size: rows at a time.
            preference: task -> how much it matters, for every task, where the sharing is `preference_conditioned`.

        Raises:
            SchemaError: an input column is missing or cannot be read; names it.
            ValueError: a preference that cannot be, or for another sharing.
        """
        found = self.predict_by_parts(
            rows,
            probabilities=probabilities,
            tasks=tasks,
            best_for=best_for,
            device=device,
            batch_size=batch_size,
            preference=preference,
        )
        return pd.concat(found)

    def predict_by_parts(
        self,
        rows: Rows,
        *,
        probabilities: bool = False,
        tasks: Sequence[str] | None = None,
        best_for: str = "mean",
        device: str = "cpu",
        batch_size: int = 4096,
        preference: Mapping[str, float] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """What `predict` gives, part by part: of long Parquet files neither rows nor predictions are in memory at once.

        Where each value of a column has tasks of its own (`by`), rows are read whole.

        Args:
            rows: see `predict`; a Parquet file of more rows than are read at once is streamed.
            probabilities: see `predict`.
            tasks: see `predict`.
            best_for: see `predict`.
            device: see `predict`.
            batch_size: see `predict`.
            preference: see `predict`.

        Returns:
            The parts, in the rows' order; one for all where the rows are in memory.

        Raises:
            SchemaError: see `predict`.
            ValueError: see `predict`.
        """
        table = open_rows(rows, self._origin)
        own = self.values.asked(table, tasks)
        if own is not None:
            more: dict[str, Any] = {"best_for": best_for, "device": device, "batch_size": batch_size}
            more |= {"probabilities": probabilities, "preference": preference}
            frame = predict_by_value(self, in_memory(table), own, more)
            yield frame.set_axis(rows.index) if isinstance(rows, pd.DataFrame) else frame
            return
        chosen = tasks_of(self.tasks, tasks)
        self._check_answerable(table, chosen, is_judged=False)
        model = self.model(best_for, device)
        if preference is not None:
            model = deepcopy(model)  # the next prediction is under the preference of training's end again
            model.sharing.prefer(preference)
        index = rows.index if isinstance(rows, pd.DataFrame) else pd.RangeIndex(table.num_rows)
        encoder, place, first = self._preprocessor(), pick_device(device), 0
        for encoded in encoded_parts(table, encoder, place, absent=self._absent(chosen)):
            outputs = outputs_of(model, encoded, chosen, batch_size)
            here = index[first : first + encoded.num_rows]
            yield predictions(chosen, self.blueprint.fitted, outputs, probabilities=probabilities, index=here)
            first += encoded.num_rows

    def evaluate(
        self,
        rows: Rows | None = None,
        *,
        tasks: Sequence[str] | None = None,
        best_for: str = "mean",
        device: str = "cpu",
        batch_size: int = 4096,
    ) -> dict[str, TaskScores]:
        """Every metric of every task, with skill (0: the best constant of the training rows, 1: perfect).

        Labels of classes that training never had cannot be judged; `left_out` says how many there are.

        Args:
            rows: labelled rows, or `{task: rows}`; where each value of a column has tasks of its own (`by`), rows with
                that column judge the tasks of their own values; None: the Run's own test part, which is opened by this
                (the time of the first opening is recorded in metrics.json, its predictions in
                predictions/test.parquet).
            tasks: only these tasks; where not given, all, or those that rows are given for.
            best_for: which weights (see `model`).
            device: where it runs (see `model`).
            batch_size: rows at a time.

        Raises:
            RunError: the Run's own data are no longer where they were, or have changed.
            SchemaError: an input or target column is missing or cannot be read.
            ConfigError: no such task, or one without rows.
        """
        names = list(rows) if tasks is None and isinstance(rows, Mapping) else tasks
        chosen = tasks_of(self.tasks, self.values.made(names))
        if rows is None:
            return open_test(self, chosen, [best_for], device=device, batch_size=batch_size).scores
        scores: dict[str, TaskScores] = {}
        for table, here in self._judged(rows, chosen):
            self._check_answerable(table, here, is_judged=True)
            encoded = self.encoded(table, here, device=device)
            outputs = outputs_of(self.model(best_for, device), encoded, here, batch_size)
            scores |= judge(here, self.blueprint.fitted, outputs, encoded)
            for name, count in left_out(table, here, encoded).items():
                scores[name]["left_out"] = count
        return scores

    def test_outputs(
        self, best_for: Sequence[str] = ("mean",), *, device: str = "cpu", batch_size: int = 4096
    ) -> dict[str, dict[str, Tensor]]:
        """What the model's heads give for the Run's own test rows, which are opened by this as by `evaluate`.

        Args:
            best_for: which weights, several (see `model`); under those best for a task only that task is asked.
            device: where it runs (see `model`).
            batch_size: rows at a time.

        Returns:
            Weights' name -> task -> output `[rows, …]`, in the order of `split(table).rows("test")`.

        Raises:
            RunError: the Run's own data are no longer where they were, or have changed.
        """
        return open_test(self, list(self.tasks), best_for, device=device, batch_size=batch_size).outputs

    def encoded(
        self,
        table: Table | StreamedTable,
        tasks: Sequence[Task],
        rows: np.ndarray | None = None,
        *,
        device: str = "cpu",
    ) -> JudgedExamples:
        """Rows of a table as the model reads them, with the targets of these tasks.

        Args:
            table: with the input columns, and the targets of these tasks.
            tasks: of this Run.
            rows: positions in the table; all where not given.
            device: where they are wanted.

        Raises:
            SchemaError: an input or target column is missing or cannot be read.
        """
        if isinstance(table, StreamedTable):
            encoder = PieceEncoder(table, self._preprocessor(), tasks, self.blueprint.fitted, self._absent(tasks))
            return encode_streamed(encoder, rows, pick_device(device))
        chosen = np.arange(table.num_rows) if rows is None else rows
        targets = encode_targets(table, tasks, self.blueprint.fitted, chosen)
        place, absent = pick_device(device), self._absent(tasks)
        return encode_new_rows(self._preprocessor(), table, chosen, targets, device=place, absent=absent)

    def tables(self) -> dict[str, tuple[Table | StreamedTable, list[str]]]:
        """The tables this Run was trained on, each with the names of its tasks.

        Raises:
            RunError: a table was in memory, is no longer where it was, or has changed.
        """
        return own_tables(self.folder, self._data)

    def summary(self) -> str:
        """Tasks, skills, and parameters shared and owned, as text."""
        head, validation = self.folder.read_json("run.json"), self.metrics["validation"]
        text = overview(self.model(), self.blueprint, head, validation)
        return f"Run {self.path}\n{text}{warned(len(self.findings))}"

    def graph(self, best_for: str = "mean") -> ModelGraph:
        """The model as a graph: its parts, what flows where, and the tasks whose gradients reach each of them.

        Args:
            best_for: which weights (see `model`).
        """
        return graph_of(self.blueprint, self.model(best_for).state_dict())

    def cite(self) -> str:
        """BibTeX of the methods this Run used."""
        return (self.folder / "citations.bib").read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, tasks={[task.name for task in self.tasks]})"

    def _absent(self, tasks: Sequence[Task]) -> set[str]:
        """The input columns that none of these tasks' own tables had: new rows need not have them either."""
        asked = {task.name for task in tasks}
        own = [columns for columns, names in self._columns if asked & names]
        return set().union(*(columns for columns, _ in self._columns)) - set().union(*own)

    def _check_answerable(self, table: Table | StreamedTable, tasks: Sequence[Task], *, is_judged: bool) -> None:
        """Refuses a series that is not cut into windows, and rows that only some of the tasks can be asked of."""
        if self._origin is None and len(tasks) < 2:
            return
        read = self._preprocessor().columns
        if self._origin is not None and "history" in read:
            notes = self.folder.read_json("run.json").get("notes", ())
            check_windows(table.columns, self._origin["steps"].get("windows"), notes)
        if len(tasks) > 1:
            inputs = {task.name: [name for name in read if name not in self._absent([task])] for task in tasks}
            check_answerable(table.columns, tasks, inputs, is_judged=is_judged)

    @cached_property
    def _origin(self) -> Mapping[str, Any] | None:
        """How the first table was made that was not simply read (see `Table.origin`)."""
        records = self.folder.read_json("run.json")["tables"].values()
        return next((record["origin"] for record in records if "origin" in record), None)

    @cached_property
    def _columns(self) -> list[tuple[set[str], set[str]]]:
        """Of every table its columns, and the names of its tasks."""
        schema, records = self.schema, self.folder.read_json("run.json")["tables"]
        return [({c.name for c in schema[name].columns}, set(record["tasks"])) for name, record in records.items()]

    def _judged(self, rows: Rows, tasks: Sequence[Task]) -> list[tuple[Table | StreamedTable, list[Task]]]:
        """The tables that tasks are judged on; rows that say whose they are go to the tasks of their own value."""
        given = tables_of(rows, tasks, self._origin)
        column = self.values.column
        if column is None or isinstance(rows, Mapping) or column not in given[0][0].columns:
            return given
        return [*split_by_value(self.values, in_memory(given[0][0]), tasks)]

    def _preprocessor(self) -> Preprocessor:
        self.folder.verify("preprocessing/preprocessing.json", "preprocessing/preprocessing.safetensors")
        return Preprocessor.load(self.folder / "preprocessing")
