"""The tables of sharing_findings.py: parts of the sets of real_data.py, and pairs of Fashion-MNIST; fixed rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import interpolate

import polytask as pt
from real_data import SPLIT, Problem, labels
from real_data import census as read_census
from real_data import kuairand as read_kuairand

#: Levels of `education` that are a college degree.
COLLEGE = ("Bachelors", "Masters", "Prof school", "Doctorate")
#: Part of a split -> how many of its rows are kept; parts that are not named are kept whole.
Kept = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a study is asked about.

    Attributes:
        table: its rows, with the column `split`.
        tasks: to be learnt.
        settings: of `pt.study`, beyond those that all have in common.
        trees: who shares each stage under `branching`; none where there are but two tasks.
    """

    table: pd.DataFrame
    tasks: list[pt.tasks.Task]
    settings: dict[str, Any] = field(default_factory=dict)
    trees: list[list[list[str]]] | None = None


def sampled(table: pd.DataFrame, columns: list[str], kept: Kept) -> pd.DataFrame:
    """As many rows of each part as asked, drawn with seed 0 by the labels of all tasks together, in their old order."""
    found = []
    for part, rows in table.groupby(SPLIT, sort=True):
        share = min(1.0, kept.get(str(part), len(rows)) / len(rows))
        alike = rows.groupby([rows[column] for column in columns], dropna=False, sort=True)
        found.append(alike.sample(frac=share, random_state=0) if share < 1 else rows)
    return pd.concat(found).sort_index().reset_index(drop=True)


def of_problem(problem: Problem, kept: Kept, **settings: Any) -> Material:
    """A set of real_data.py with its first split, and fewer rows."""
    table = problem.table.assign(**{SPLIT: problem.folds[0]})
    columns = [column for task in problem.tasks for column in task.columns]
    return Material(table=sampled(table, columns, kept), tasks=problem.tasks, settings={**problem.settings, **settings})


def census(data: Path, kept: Kept) -> Material:
    """Income over 50,000 $, never married."""
    return of_problem(read_census(data), kept)


def census_with_college(data: Path, kept: Kept) -> Material:
    """The same and a college degree; education is no input then."""
    problem = read_census(data)
    college = problem.table["education"].str.strip().str.startswith(COLLEGE)
    table = problem.table.assign(college=college.astype(int), **{SPLIT: problem.folds[0]})
    tasks = [*problem.tasks, pt.Classification("college")]
    return Material(
        table=sampled(table, [column for task in tasks for column in task.columns], kept),
        tasks=tasks,
        settings={**problem.settings, "ignore": [*problem.settings["ignore"], "education"]},
        trees=[[["income", "never_married", "college"]], [["income", "college"], ["never_married"]]],
    )


def kuairand(data: Path, kept: Kept) -> Material:
    """Seven reactions to a short video, split by time; test rows of a user belong together."""
    found = of_problem(read_kuairand(data), kept, group="user_id")
    names = [task.name for task in found.tasks]
    watched = ["is_click", "long_view"]
    trees = [[names], [watched, [name for name in names if name not in watched]]]
    return Material(table=found.table, tasks=found.tasks, settings=found.settings, trees=trees)


def fashion_pairs(data: Path, kept: Kept) -> Material:
    """Two garments in one picture, as in Multi-Fashion: at the upper left and, eight pixels off, at the lower right."""
    stored = np.load(data / "fashion_mnist" / "fashion_mnist.npz")
    pictures = np.concatenate([stored["x_train"], stored["x_test"]])
    classes = np.concatenate([stored["y_train"], stored["y_test"]])
    ends = np.array([50_000, 60_000, 70_000])
    generator = np.random.default_rng(0)
    first, second = [], []
    for part, start, end in zip(("train", "valid", "test"), (0, *ends[:-1]), ends, strict=True):
        own = generator.permutation(np.arange(start, end))[: kept.get(part)]
        first.append(own)
        second.append(generator.permutation(own))
    left, right = np.concatenate(first), np.concatenate(second)
    parts = np.split(np.arange(len(left)), np.cumsum([len(own) for own in first])[:-1])
    table = pd.DataFrame({"picture": list(overlaid(pictures[left], pictures[right]))})
    table = table.assign(left=classes[left], right=classes[right], **{SPLIT: labels(len(table), *parts)})
    return Material(table=table, tasks=[pt.Classification("left"), pt.Classification("right")])


def overlaid(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs of pictures `[pairs, 28, 28]` on a canvas of 36 × 36, the brighter pixel in front, back to 28 × 28."""
    canvas = np.zeros((len(first), 36, 36), dtype=np.uint8)
    canvas[:, :28, :28] = first
    canvas[:, 8:, 8:] = np.maximum(canvas[:, 8:, 8:], second)
    small = interpolate(torch.from_numpy(canvas)[:, None].float(), size=(28, 28), mode="bilinear", align_corners=False)
    found: np.ndarray = small[:, 0].round().to(torch.uint8).numpy()
    return found
