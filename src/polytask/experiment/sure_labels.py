"""The labels that a Run is sure of, for rows that its split does not hold out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polytask.config import build
from polytask.data import Preprocessor, SplitSettings, Table, held_out_parts, rows_where, settings_by_table
from polytask.errors import ConfigError, RunError, nearest
from polytask.runs import Run
from polytask.tasks import Classification, Fitted, Multilabel, Ordinal, Task
from polytask.yaml_file import read_yaml

#: The kinds of task whose predictions say how sure they are.
KINDS = (Classification, Ordinal, Multilabel)
#: How an error ends where no label can be borrowed.
WHAT_CAN = "classification, ordinal and multilabel tasks with labels in cells of their own can lend them"


@dataclass(frozen=True)
class Labels:
    """Labels of one task for rows that have none.

    Attributes:
        values: as the task's columns hold them: objects `[rows]`, or `[rows, labels]`.
        is_sure: of the same shape: whether the label is borrowed.
    """

    values: np.ndarray
    is_sure: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The rows with a borrowed label, bool `[rows]`."""
        return np.logical_or.reduce(self.is_sure.reshape(len(self.is_sure), -1), axis=1)


def borrowing_tasks(run: Run, names: Sequence[str] | None) -> list[Task]:
    """The tasks of a Run whose labels can be borrowed, or those of them that are asked for.

    Raises:
        ConfigError: none, or one that is asked for does not say how sure it is.
    """
    known = {task.name: task for task in run.tasks}
    if isinstance(names, str):
        raise ConfigError(f"pseudo_label: tasks: a list is wanted, got {names!r}; write [{names!r}]")
    for name in names or ():
        if name not in known:
            raise ConfigError(f"pseudo_label: {name!r} is no task of this Run; {nearest(name, known)}")
    asked = list(known.values()) if names is None else [known[name] for name in names]
    able: list[Task] = [task for task in asked if why_not(task) is None]
    if able and (names is None or len(able) == len(asked)):
        return able
    task = next((task for task in asked if task not in able), None)
    what = "tasks is empty" if task is None else f"task {task.name!r} ({task.kind}) {why_not(task)}"
    raise ConfigError(f"pseudo_label: {what}; {WHAT_CAN}")


def why_not(task: Task) -> str | None:
    """Why no label of a task can be borrowed, as a sentence goes on after its name; None: it can."""
    if not isinstance(task, KINDS):
        return "does not say how sure it is"
    if isinstance(task, Classification) and task.criterion == "nnpu":
        return "learns from unlabelled rows as they are (criterion nnpu), with no label missing"
    if task.mask_columns:
        return "has a mask, which says that borrowed cells are no labels: leave the masked cells empty instead"
    if len(task.weight_columns) > 1:
        return "has a column of weights for each label, and a row's borrowed labels share one: give it one column"
    return None


def is_by_cell(task: Task) -> bool:
    """Whether each of a task's columns holds a label of its own."""
    return isinstance(task, Multilabel) and len(task.columns) > 1


def missing_cells(table: Table, task: Task, there: np.ndarray, *, share_weight: bool) -> np.ndarray:
    """The cells that may be filled: those that are missing, in rows where the task's labels count.

    Args:
        table: the rows.
        task: whose cells.
        there: those that are labels, `[rows]` or `[rows, labels]`.
        share_weight: whether a row's given and borrowed labels may weigh the same; otherwise a row with some of the
            labels borrows no others.
    """
    missing = ~(there if share_weight else spread(there))
    if not set(task.where or ()) <= set(table.columns):
        return np.zeros_like(missing)
    holds = rows_where(table, task)
    return missing & (holds if missing.ndim == 1 else holds[:, None])


def parts_under(run: Run, table: Table) -> np.ndarray:
    """The part of every row under the splits of a Run's own tables: 0 train, 1 validation, 2 test.

    Raises:
        RunError: they are no longer at hand.
    """
    data = read_yaml(run.folder / "config.yaml")[0].get("data") or {}
    try:
        tables = run.tables()
    except RunError as error:
        raise RunError(
            "pseudo_label: the Run's own rows are wanted, so that none that it holds out gets a label: "
            f"pt.load({str(run.path)!r}, data=table) ({error})"
        ) from error
    own = {name: (of_run, run.split(name)) for name, (of_run, _) in tables.items() if isinstance(of_run, Table)}
    for setting, is_so in {"stream": len(own) < len(tables), "by": data.get("by") is not None}.items():
        if is_so:
            raise ConfigError(
                f"pseudo_label: this Run was trained with data.{setting}, under which the rows that it holds out "
                f"cannot be told from others; borrow from one that was trained without {setting}"
            )
    settings = build(SplitSettings, data.get("split") or {})
    of_tables = {name: build(SplitSettings, one or {}) for name, one in (data.get("splits") or {}).items()}
    inputs = list(Preprocessor.load(run.folder / "preprocessing").columns)
    return held_out_parts(table, own, inputs, settings_by_table(own, settings, of_tables), data.get("key"))


def borrow(
    run: Run,
    table: Table,
    tasks: Sequence[Task],
    may: np.ndarray,
    missing: Mapping[str, np.ndarray],
    confidence: float,
) -> dict[str, Labels]:
    """Labels for the rows of a table, by task, where the Run is sure.

    Args:
        run: what predicts.
        table: with the inputs.
        tasks: whose labels are wanted.
        may: the rows that may have one, bool `[rows]`.
        missing: by task, the cells that may be filled, `[rows]` or `[rows, labels]`.
        confidence: the least probability.
    """
    found = {}
    for task in tasks:
        cells = missing[task.name]
        rows = np.flatnonzero(may & cells.reshape(table.num_rows, -1).any(axis=1))
        labels = Labels(np.full(cells.shape, None, dtype=object), np.zeros(cells.shape, dtype=bool))
        if len(rows):
            frame = run.predict(table.take(rows), probabilities=True, tasks=[task.name])
            sure = sure_labels(task, run.blueprint.fitted[task.name], frame, confidence)
            labels.values[rows] = sure.values
            labels.is_sure[rows] = sure.is_sure & cells[rows]
        found[task.name] = labels
    return found


def sure_labels(task: Task, fitted: Fitted, predicted: pd.DataFrame, confidence: float) -> Labels:
    """The labels that these probabilities speak for, and whether they are sure."""
    names: Any = fitted["labels"] if isinstance(task, Multilabel) else fitted["classes"]
    probabilities = predicted[[f"{task.name}[{name}]" for name in names]].to_numpy(dtype=np.float64)
    values = np.empty(len(predicted), dtype=object)
    if not isinstance(task, Multilabel):
        values[:] = [names[k] for k in probabilities.argmax(axis=1)]
        return Labels(values, probabilities.max(axis=1) >= confidence)
    is_sure = np.maximum(probabilities, 1 - probabilities) >= confidence
    if is_by_cell(task):
        return Labels((probabilities > 0.5).astype(int).astype(object), is_sure)
    values[:] = [[names[k] for k in np.flatnonzero(row > 0.5)] for row in probabilities]
    return Labels(values, is_sure.all(axis=1))


def fill(frame: pd.DataFrame, task: Task, labels: Labels) -> None:
    """Writes borrowed labels into the columns of a task."""
    for place, column in enumerate(task.columns):
        values, is_sure = (x if x.ndim == 1 else x[:, place] for x in (labels.values, labels.is_sure))
        if isinstance(task, Classification) and task.is_exclusive:
            values = np.array([int(value == column) for value in values], dtype=object)
        if not is_sure.any():
            continue
        cells = frame[column].astype(object).to_numpy(copy=True)
        cells[is_sure] = values[is_sure]
        frame[column] = pd.Series(cells, index=frame.index, dtype=object).infer_objects()


def spread(there: np.ndarray) -> np.ndarray:
    """All cells of the rows in which some are there."""
    return there | there.any(axis=1, keepdims=True) if there.ndim == 2 else there


def count(number: int, of: int) -> str:
    """How many labels are borrowed for rows to learn from, as a sentence says it."""
    return f"{number:,} of {of:,} labels that are missing in rows to learn from are borrowed"
