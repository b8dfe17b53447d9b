"""Tasks whose labels say the same, or exclude each other, or hold too few of a class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd

from polytask.data.association import aucs, correlation, cramers_v
from polytask.data.finding import Finding
from polytask.data.table import Table
from polytask.data.target_cells import target_cells
from polytask.data.targets import encode_targets, fit_task
from polytask.errors import SchemaError
from polytask.ragged import as_padded
from polytask.tasks import Task

#: Tasks whose labels go together above this are one task twice.
SAME = 0.95
#: On fewer common rows nothing is said of two tasks.
COMMON = 30
#: Of more tasks than this, the first ones are compared with each other.
MOST_TASKS = 60
#: Yes/no tasks exclude each other where this many common yes were expected and at most this share of them came.
EXPECTED, NEVER = 10, 0.001
#: A class is rare below this share of the training labels, or with fewer rows than this and less than half of an even
#: share: of a small table's classes, those that are alike are not.
RARE_SHARE, RARE_ROWS, RARE_OF_EVEN = 0.01, 30, 0.5
#: Names in a sentence.
MOST_NAMES = 5


@dataclass(frozen=True)
class Labels:
    """The labels of one task in some rows.

    Attributes:
        task: its name.
        columns: of its targets.
        values: codes of classes, or numbers, `[rows]`; whatever where not present.
        present: `[rows]`.
        classes: as they are written; None for numbers.
    """

    task: str
    columns: tuple[str, ...]
    values: np.ndarray
    present: np.ndarray
    classes: tuple[str, ...] | None


def labels_of_tasks(table: Table, tasks: Sequence[Task], rows: np.ndarray) -> list[Labels]:
    """The tasks of one number or class a row; those that cannot be read say so themselves, later."""
    found = []
    for task in tasks:
        if len(task.columns) > 1 or task.kind not in ("regression", "classification", "ordinal"):
            continue
        try:
            if task.kind == "regression":
                values, present = (cells[rows] for cells in target_cells(table, task))
                numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
                found.append(Labels(task.name, tuple(task.columns), numbers, present & np.isfinite(numbers), None))
            else:
                fitted = {task.name: fit_task(table, task, rows)}
                targets = encode_targets(table, [task], fitted, rows)
                codes, known = as_padded(targets.values[task.name]), as_padded(targets.present[task.name])
                if codes.ndim == 1:
                    classes = tuple(str(name) for name in fitted[task.name]["classes"])
                    found.append(
                        Labels(task.name, tuple(task.columns), codes.numpy().astype(int), known.numpy(), classes)
                    )
        except (SchemaError, TypeError, ValueError):
            continue
    return found


def related(table: Table, tasks: Sequence[Task], rows: np.ndarray) -> list[Finding]:
    """Warns of redundant and exclusive tasks and of rare classes, on these training rows."""
    labels = labels_of_tasks(table, tasks, rows)
    return [*redundant(labels), *_exclusive(labels), *_rare(labels)]


def likeness(first: Labels, second: Labels) -> tuple[float, str, int]:
    """How well the labels of two tasks go together on common rows: the number, what it is, how many rows."""
    common = first.present & second.present
    rows = int(common.sum())
    a, b = first.values[common], second.values[common]
    if rows < COMMON:
        return 0.0, "", rows
    if first.classes is None and second.classes is None:
        return correlation(a, b), "|r|", rows
    if first.classes is not None and second.classes is not None:
        return cramers_v(a, b), "Cramér's V", rows
    of_class, numbers = (first, b) if first.classes is not None else (second, a)
    if len(of_class.classes or ()) != 2:
        return 0.0, "", rows
    codes = a if of_class is first else b
    return float(aucs(numbers, (codes == 1)[:, None])[0]), "AUC", rows


def redundant(labels: Sequence[Labels], others: Sequence[Labels] | None = None) -> Iterator[Finding]:
    """One finding for each set of tasks whose labels go together.

    Args:
        labels: of some tasks.
        others: of other tasks in the same rows, to compare the first with; with each other where not given.
    """
    pairs = []
    labels = labels[:MOST_TASKS]
    for first, second in combinations(labels, 2) if others is None else product(labels, others[:MOST_TASKS]):
        value, measure, rows = likeness(first, second)
        if value > SAME:
            pairs.append((first.task, second.task, value, measure, rows))
    for names in _joined([(a, b) for a, b, *_ in pairs]):
        a, b, value, measure, rows = max((pair for pair in pairs if pair[0] in names), key=lambda pair: pair[2])
        yield Finding(
            "redundant-tasks",
            None,
            None,
            f"tasks {_listed(names)} have nearly the same labels: {measure} {value:.3f} of {a!r} and {b!r} on {rows} "
            "common training rows",
            "merge them or drop one: what is labelled twice counts twice and teaches nothing new",
        )


def _exclusive(labels: Sequence[Labels]) -> Iterator[Finding]:
    binary = [one for one in labels if one.classes is not None and len(one.classes) == 2][:MOST_TASKS]
    expected: dict[frozenset[str], float] = {}
    for first, second in combinations(binary, 2):
        common = first.present & second.present
        if not common.any():
            continue
        a, b = first.values[common] == 1, second.values[common] == 1
        wanted = float(a.mean() * b.mean() * len(a))
        if wanted >= EXPECTED and int((a & b).sum()) <= NEVER * wanted:
            expected[frozenset((first.task, second.task))] = wanted
    columns = {one.task: one.columns[0] for one in binary}
    for names in _cliques(list(columns), set(expected)):
        fewest = min(expected[frozenset(pair)] for pair in combinations(names, 2))
        listed = ", ".join(columns[name] for name in names)
        yield Finding(
            "exclusive-tasks",
            None,
            None,
            f"tasks {_listed(names)} are never {'both' if len(names) == 2 else 'two of them'} true in a training row, "
            f"though {fewest:.0f} rows or more would be if they were independent",
            f"make them one task: Classification(columns=[{listed}]), one softmax in place of {len(names)} sigmoids",
        )


def _rare(labels: Sequence[Labels]) -> Iterator[Finding]:
    found = []
    for one in labels:
        codes = one.values[one.present]
        if one.classes is None or len(codes) < RARE_ROWS:  # few-labels has said it
            continue
        counts = np.bincount(codes, minlength=len(one.classes))
        rarest = int(counts.argmin())
        share, even = counts[rarest] / len(codes), 1 / len(one.classes)
        if share < RARE_SHARE or (counts[rarest] < RARE_ROWS and share < RARE_OF_EVEN * even):
            found.append(
                (int(counts[rarest]), f"{one.task} = {one.classes[rarest]} ({counts[rarest]} of {len(codes)})")
            )
    if found:
        shown = ", ".join(text for _, text in sorted(found)[:MOST_NAMES])
        more = f", … {len(found) - MOST_NAMES} tasks more" if len(found) > MOST_NAMES else ""
        yield Finding(
            "rare-class",
            None,
            None,
            f"rare classes in training: {shown}{more}",
            "weigh them (class_weight: balanced), resample (resample: oversample), judge by average precision or "
            "balanced accuracy, or merge them with others",
        )


def _joined(pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Sets of names that pairs join, in order of appearance."""
    sets: list[list[str]] = []
    for pair in pairs:
        near = [names for names in sets if pair[0] in names or pair[1] in names]
        sets = [names for names in sets if names not in near]
        sets.append(list(dict.fromkeys([name for names in near for name in names] + list(pair))))
    return sets


def _cliques(names: Sequence[str], pairs: set[frozenset[str]]) -> Iterator[list[str]]:
    """Disjoint sets of names of which every two are a pair; the largest that are found from each name first."""
    left = list(names)
    while True:
        best: list[str] = []
        for start in left:
            found = [start]
            for name in left:
                if name not in found and all(frozenset((name, member)) in pairs for member in found):
                    found.append(name)
            best = found if len(found) > len(best) else best
        if len(best) < 2:
            return
        left = [name for name in left if name not in best]
        yield [name for name in names if name in best]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_NAMES])
    return shown + (f", … {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
