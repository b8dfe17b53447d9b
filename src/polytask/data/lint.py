"""A look at table, tasks and split before training: what would make its results worthless or misleading."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from polytask.data.cells import key_of
from polytask.data.finding import Finding
from polytask.data.leaks import Leak, find_leaks
from polytask.data.parts import PARTS, TRAIN, Split
from polytask.data.related_targets import related
from polytask.data.table import Table, hash_rows
from polytask.data.target_cells import target_cells
from polytask.tasks import Task

#: Leaks are looked for on at most this many training rows.
SAMPLE = 20_000
#: A task with fewer training labels than this is warned of.
FEW_LABELS = 30
#: Share of words in a category of numbers up to which they are strays.
STRAY = 0.1
#: Repeated rows are warned of above this share of a part.
REPEATED = 0.01


def is_few_labels(count: int) -> bool:
    """Whether so few training labels are warned of."""
    return count < FEW_LABELS


def lint(table: Table, tasks: Sequence[Task], split: Split, inputs: Sequence[str]) -> list[Finding]:
    """Warns of what an honest result would not have; never changes anything.

    - *leak*: on the training rows (20,000 drawn, if more) one input alone predicts a target with an AUC (each
      class against the rest) or R² above 0.97: numbers and dates by their order, categories and numbers of
      few values by out-of-fold means.
    - *missing-leak*: the same of where an input is missing, for a target's value, or for where the target is
      missing; not where merging tables made it so.
    - *duplicates*: more than 1 % of the validation or test rows have the inputs of a training row.
    - *stray-word*: a category of which nearly all cells are numbers: a word among them made it one.
    - *constant-target*: a target with one value in training. *class-missing*: a class of validation or test
      that no training row has. *few-labels*: under 30 training labels. *one-value*: the labels of validation or
      test are all alike (or none), so that they cannot tell a skill.
    - *rare-class*: a class or label with under 1 % of the training labels, or under 30 and half of an even share.
    - *redundant-tasks*: tasks whose training labels go together above 0.95 on their common rows: |r| of two numbers,
      Cramér's V of two sets of classes, AUC of a number for a class of two.
    - *exclusive-tasks*: yes/no tasks that are never yes together, though 10 common rows or more were expected if they
      were independent (at most 0.1 % of that is taken for never).
    - *empty-text*: cells of a text that hold nothing but blanks.

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
    findings += related(table, tasks, train) if len(train) else []
    cells = [*_stray_words(table, inputs), *_empty_texts(table, inputs)]
    return findings + cells + list(_repeated(table, split, inputs))


def _stray_words(table: Table, inputs: Sequence[str]) -> Iterator[Finding]:
    for name in inputs:
        if table.kind(name) != "category" or name in table.overrides:
            continue
        cells = table.frame[name]
        present = table.mask(name)
        words = present & pd.to_numeric(cells.astype(object), errors="coerce").isna().to_numpy()
        num_words, num_cells = int(words.sum()), int(present.sum())
        if 0 < num_words <= STRAY * num_cells:
            row = int(words.argmax())
            text = (
                f"column {name!r} is read as a category, but {num_cells - num_words} of its {num_cells} cells are "
                f"numbers; row {row} says {str(cells.iloc[row])!r}"
            )
            yield Finding("stray-word", name, None, text, f"empty such cells, or say so: kinds: {{{name}: category}}")


def _empty_texts(table: Table, inputs: Sequence[str]) -> Iterator[Finding]:
    for name in inputs:
        if table.kind(name) != "text":
            continue
        cells, present = table.values(name), table.mask(name)
        blank = [row for row in np.flatnonzero(present) if isinstance(cells[row], str) and not cells[row].strip()]
        if blank:
            text = (
                f"{len(blank)} of {int(present.sum())} texts in column {name!r} are empty, the first in row {blank[0]}"
            )
            yield Finding("empty-text", name, None, text, "empty the cells, which are then missing, or fill them in")


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
    for k, column in enumerate(task.columns[: values.shape[1]]):
        labelled = in_train & present[:, k]
        count = int(labelled.sum())
        if is_few_labels(count):
            yield Finding(
                "few-labels",
                column,
                task.name,
                f"task {task.name!r} has {count} training labels in column {column!r}, fewer than {FEW_LABELS}",
                "label more rows, give a smaller share to validation and test, or leave the task out",
            )
        yield from _of_classes(task, column, values[:, k], present[:, k], labelled, split)
        for name in ("validation", "test"):
            if (split.parts == PARTS[name]).any():
                yield from _of_judged(task, column, values[present[:, k] & (split.parts == PARTS[name]), k], name)


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


def _of_judged(task: Task, column: str, cells: np.ndarray, part: str) -> Iterator[Finding]:
    if len(cells) == 0:
        about = f"no {part} row has a label in column {column!r}"
    elif isinstance(cells[0], (list, tuple, np.ndarray)) or len(pd.unique(cells)) > 1:
        return
    elif len(cells) == 1:
        about = f"the only {part} label of column {column!r} is {key_of(cells[0])}"
    else:
        about = f"all {len(cells)} {part} labels of column {column!r} are {key_of(cells[0])}"
    left_out = "; the mean leaves an undefined skill out" if part == "validation" else ""
    yield Finding(
        "one-value",
        column,
        task.name,
        f"task {task.name!r}: {about}, so that its skill on them is undefined or says nothing{left_out}",
        f"give {part} a larger share of the rows, or split so that it has other values",
    )


def _labels(cells: np.ndarray) -> set[str]:
    try:
        return {key_of(cell) for cell in pd.unique(cells)}
    except TypeError:
        return {key_of(label) for cell in cells for label in cell}


def _repeated(table: Table, split: Split, inputs: Sequence[str]) -> Iterator[Finding]:
    hashes = hash_rows(table, inputs)
    yield from repeats(hashes, split, hashes[split.parts == TRAIN], "", "a training row")


def repeats(hashes: np.ndarray, split: Split, train: np.ndarray, of_table: str, whose: str) -> Iterator[Finding]:
    """Warns of validation and test rows whose hash is among the training rows'."""
    for name in ("validation", "test"):
        rows = hashes[split.parts == PARTS[name]]
        count = int(np.isin(rows, train).sum())
        if count > REPEATED * len(rows):
            share = f"{count} of {len(rows)} {name} rows{of_table} ({count / len(rows):.1%})"
            text = f"{share} have the same inputs as {whose}"
            remedy = "if they are the same examples, drop repeats or split by_group; coarse inputs repeat by nature"
            yield Finding("duplicates", None, None, text, remedy)
