"""The rows that preprocessing, tasks and lint of a streamed table learn from: a sample, and no class without a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from polytask.data.cells import key_of
from polytask.data.parts import TEST, TRAIN, VALIDATION, Split
from polytask.data.stream.streamed_table import StreamedTable
from polytask.data.table import Table
from polytask.data.target_cells import label_columns, target_cells
from polytask.errors import SchemaError
from polytask.tasks import Task

#: Columns of these kinds are large in memory: their rows are fitted on fewer.
LARGE_KINDS, MOST_LARGE = ("image", "audio", "video"), 2_000
#: Of validation and test together the lint sees at most this share of what is drawn of training, each.
JUDGED_SHARE = 4
#: A task with fewer labels than this in the sample gets more of its own.
ENOUGH_LABELS = 1_000
#: Kinds of tasks whose classes are learnt from the rows.
WITH_CLASSES = ("classification", "ordinal", "multilabel", "tagging")


@dataclass(frozen=True)
class FittingRows:
    """Rows of a streamed table in memory.

    Attributes:
        table: the rows, with the columns that are needed.
        split: the part of each; dropped are those that were drawn for tasks alone.
        task_rows: by task, the rows it learns from.
        added: by task, how many of these were drawn for it alone.
        num_training: training rows that were drawn.
        is_whole: whether these are all training rows.
    """

    table: Table
    split: Split
    task_rows: Mapping[str, np.ndarray]
    added: Mapping[str, int] = field(default_factory=dict)
    num_training: int = 0
    is_whole: bool = False

    @property
    def split_of_tasks(self) -> Split:
        """The same with those that were drawn for tasks alone among the training rows: what the lint looks at."""
        return Split(np.where(self.split.parts < 0, TRAIN, self.split.parts).astype(np.int8))

    def record(self) -> dict[str, Any]:
        """What a Run writes down of it."""
        return {"fitted_on": self.num_training, "is_whole": self.is_whole, "added": dict(self.added)}


def draw_fitting_rows(
    table: StreamedTable,
    tasks: Sequence[Task],
    split: Split,
    inputs: Sequence[str],
    fit_rows: int,
    seed: int,
    also: Sequence[str] = (),
) -> FittingRows:
    """Draws rows of every part, and for each task rows of the classes and labels that the sample lacks.

    Args:
        table: the rows.
        tasks: that learn from them.
        split: of the table.
        inputs: the input columns.
        fit_rows: training rows to draw.
        seed: of the draw.
        also: other columns that are wanted of these rows.

    Raises:
        SchemaError: a similarity task, whose identities are compared over all rows.
    """
    for task in tasks:
        if task.kind == "similarity":
            raise SchemaError(
                f"task {task.name!r}: a similarity task compares identities over all rows, which streamed rows "
                "cannot: train it without stream"
            )
    generator = np.random.default_rng(seed)
    most = min(fit_rows, MOST_LARGE) if any(table.kinds[name] in LARGE_KINDS for name in inputs) else fit_rows
    drawn = {TRAIN: _drawn(split, TRAIN, most, generator)}
    for part in (VALIDATION, TEST):
        drawn[part] = _drawn(split, part, max(1, most // JUDGED_SHARE), generator)
    training = drawn[TRAIN]
    more = _more_rows(table, tasks, split, training, generator)
    rows = np.unique(np.concatenate([*drawn.values(), *more.values()]))
    parts = np.full(len(rows), -1, dtype=np.int8)
    for part, of_part in drawn.items():
        parts[np.searchsorted(rows, of_part)] = part
    needed = [column for task in tasks for column in (*label_columns(task), *task.weight_columns)]
    return FittingRows(
        table=table.take([*inputs, *needed, *also], rows),
        split=Split(parts),
        task_rows={
            task.name: np.searchsorted(rows, np.unique(np.concatenate([training, more[task.name]]))) for task in tasks
        },
        added={name: len(found) for name, found in more.items() if len(found)},
        num_training=len(training),
        is_whole=len(training) == int((split.parts == TRAIN).sum()),
    )


def _drawn(split: Split, part: int, most: int, generator: np.random.Generator) -> np.ndarray:
    rows = split.rows(part)
    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False, shuffle=False))


def _more_rows(
    table: StreamedTable, tasks: Sequence[Task], split: Split, training: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """By task, training rows beside those that were drawn: rare labels, and one row for every class not yet seen."""
    more: dict[str, np.ndarray] = {}
    is_training = split.parts == TRAIN
    if len(training) == int(is_training.sum()):
        return {task.name: training[:0] for task in tasks}
    for name, present in table.has_labels(tasks).items():
        lacking = max(0, ENOUGH_LABELS - int(present[training].sum()))
        labelled = np.flatnonzero(present & is_training) if lacking else training[:0]
        labelled = np.setdiff1d(labelled, training, assume_unique=True)
        more[name] = labelled if len(labelled) <= lacking else generator.choice(labelled, lacking, replace=False)
    of_classes = [task for task in tasks if task.kind in WITH_CLASSES]
    for name, rows in _rows_of_new_classes(table, of_classes, is_training, training, more).items():
        more[name] = np.append(more[name], np.array(rows, dtype=np.int64))
    return {name: np.unique(rows) for name, rows in more.items()}


def _rows_of_new_classes(
    table: StreamedTable,
    tasks: Sequence[Task],
    is_training: np.ndarray,
    training: np.ndarray,
    more: Mapping[str, np.ndarray],
) -> dict[str, list[int]]:
    """By task, the first row of every class that none of its drawn rows has; target columns are read, and once."""
    seen = {task.name: set[str]() for task in tasks}
    first = {task.name: dict[str, int]() for task in tasks}
    drawn = {task.name: np.union1d(training, more[task.name]) for task in tasks}
    reader = table.reader([column for task in tasks for column in label_columns(task)], as_codes=True)
    for piece in table.pieces() if tasks else ():
        here = np.flatnonzero(is_training[piece.first : piece.first + piece.rows])
        if not len(here):
            continue
        read = table.table_of(reader.read(piece))
        for task in tasks:
            rows = drawn[task.name]
            low, high = np.searchsorted(rows, [piece.first, piece.first + piece.rows])
            seen[task.name] |= set(_first_places(read, task, rows[low:high] - piece.first))
            for key, place in _first_places(read, task, here).items():
                first[task.name].setdefault(key, piece.first + place)
    reader.close()
    return {name: [row for key, row in rows.items() if key not in seen[name]] for name, rows in first.items()}


def _first_places(table: Table, task: Task, rows: np.ndarray) -> dict[str, int]:
    """Every class among these rows, as text, and its first row."""
    values, present = target_cells(table, task)
    if values.ndim > 1:
        return {}  # of several columns, each is a yes or no
    rows = rows[present[rows]]
    cells = values[rows]
    if len(cells) and isinstance(cells[0], (list, tuple, np.ndarray)):
        lengths = [len(cell) for cell in cells]
        rows, cells = np.repeat(rows, lengths), np.array([label for cell in cells for label in cell], dtype=object)
    is_there = ~pd.isna(cells)  # of lists, an item may be missing
    rows, cells = rows[is_there], cells[is_there]
    codes, levels = pd.factorize(cells)  # numbered as they first come
    places = rows[np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())]
    found: dict[str, int] = {}
    for place, level in zip(places.tolist(), levels, strict=True):
        found.setdefault(key_of(level), place)
    return found
