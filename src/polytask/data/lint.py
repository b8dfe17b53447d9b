"""A look at table, tasks and split before training: what would make its results worthless or misleading."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from polytask.data.cells import key_of
from polytask.data.leaks import Leak, find_leaks
from polytask.data.parts import PARTS, TRAIN, Split
from polytask.data.table import Table, hash_rows
from polytask.data.targets import target_cells
from polytask.tasks import Task

#: Leaks are looked for on at most this many training rows.
SAMPLE = 20_000
#: A task with fewer training labels than this is warned of.
FEW_LABELS = 30
#: Repeated rows are warned of above this share of a part.
REPEATED = 0.01


@dataclass(frozen=True)
class Finding:
    """One warning.

    Attributes:
        what: leak, missing-leak, duplicates, constant-target, class-missing or few-labels.
        column: it is about, if one.
        task: it is about, if one.
        text: a sentence with the numbers.
        remedy: what to do.
    """

    what: str
    column: str | None
    task: str | None
    text: str
    remedy: str

    def to_dict(self) -> dict[str, str | None]:
        """As JSON writes it."""
        return asdict(self)


def lint(table: Table, tasks: Sequence[Task], split: Split, inputs: Sequence[str]) -> list[Finding]:
    """Warns of what an honest result would not have; never changes anything.

    - *leak*: on the training rows (20,000 drawn, if more) one input alone predicts a target with an AUC (each
      class against the rest) or R² above 0.97: numbers and dates by their order, categories and numbers of
      few values by out-of-fold means.
    - *missing-leak*: the same of where an input is missing, for a target's value, or for where the target is
      missing.
    - *duplicates*: more than 1 % of the validation or test rows have the inputs of a training row.
    - *constant-target*: a target with one value in training. *class-missing*: a class of validation or test
      that no training row has. *few-labels*: under 30 training labels.

    Raises:
        SchemaError: a cell that cannot be read; names column and row.
    """
    findings: list[Finding] = []
    for task in tasks:
        findings += _of_targets(table, task, split)
    train = split.rows(TRAIN)
    if len(train) > SAMPLE:
        train = np.sort(np.random.default_rng(0).choice(train, SAMPLE, replace=False))
    leaks = find_leaks(table, tasks, train, inputs) if len(train) else []
    findings += [_of_leak(leak) for leak in sorted(leaks, key=lambda leak: -leak.value)]
    return findings + list(_repeated(table, split, inputs))


def _of_leak(leak: Leak) -> Finding:
    label = f" (class {leak.label!r})" if leak.label else ""
    how = f"{leak.measure} {leak.value:.3f} on training rows"
    remedy = f"if {leak.column!r} is not known when you predict, ignore it: ignore: [{leak.column}]"
    if leak.by == "value":
        text = f"column {leak.column!r} alone predicts task {leak.task!r}{label}: {how}"
        return Finding("leak", leak.column, leak.task, text, remedy)
    about = (
        f"the value of task {leak.task!r}{label}" if leak.by == "missing" else f"whether task {leak.task!r} has a label"
    )
    text = f"whether column {leak.column!r} is missing tells {about}: {how}"
    return Finding("missing-leak", leak.column, leak.task, text, remedy)


def _of_targets(table: Table, task: Task, split: Split) -> Iterator[Finding]:
    values, present = target_cells(table, task)
    values = values if values.ndim == 2 else values[:, None]
    present = present if present.ndim == 2 else present[:, None]
    in_train = split.parts == TRAIN
    for k, column in enumerate(task.columns):
        labelled = in_train & present[:, k]
        count = int(labelled.sum())
        if count < FEW_LABELS:
            yield Finding(
                "few-labels",
                column,
                task.name,
                f"task {task.name!r} has {count} training labels in column {column!r}, fewer than {FEW_LABELS}",
                "label more rows, give a smaller share to validation and test, or leave the task out",
            )
        yield from _of_classes(task, column, values[:, k], present[:, k], labelled, split)


def _of_classes(
    task: Task, column: str, values: np.ndarray, present: np.ndarray, labelled: np.ndarray, split: Split
) -> Iterator[Finding]:
    known = _labels(values[labelled])
    if len(known) == 1 and not isinstance(values[labelled][0], (list, tuple, np.ndarray)):
        yield Finding(
            "constant-target",
            column,
            task.name,
            f"task {task.name!r}: column {column!r} is {next(iter(known))} in all {int(labelled.sum())} "
            "training labels",
            "leave the task out, or split so that training has other values",
        )
    if task.kind not in ("classification", "ordinal", "multilabel") or not known:
        return
    for name in ("validation", "test"):
        cells = values[present & (split.parts == PARTS[name])]
        new = _labels(cells) - known
        if new:
            shown = ", ".join(sorted(new)[:5]) + (f" … ({len(new)} in all)" if len(new) > 5 else "")
            yield Finding(
                "class-missing",
                column,
                task.name,
                f"task {task.name!r}: the {name} rows have classes of column {column!r} that no training "
                f"row has: {shown}",
                "add training rows of these classes, merge them with others, or make their cells empty",
            )


def _labels(cells: np.ndarray) -> set[str]:
    try:
        return {key_of(cell) for cell in pd.unique(cells)}
    except TypeError:
        return {key_of(label) for cell in cells for label in cell}


def _repeated(table: Table, split: Split, inputs: Sequence[str]) -> Iterator[Finding]:
    hashes = hash_rows(table, inputs)
    train = hashes[split.parts == TRAIN]
    for name in ("validation", "test"):
        rows = hashes[split.parts == PARTS[name]]
        count = int(np.isin(rows, train).sum())
        if count > REPEATED * len(rows):
            text = (
                f"{count} of {len(rows)} {name} rows ({count / len(rows):.1%}) have the same inputs as a training row"
            )
            remedy = "if they are the same examples, drop repeats or split by_group; coarse inputs repeat by nature"
            yield Finding("duplicates", None, None, text, remedy)
