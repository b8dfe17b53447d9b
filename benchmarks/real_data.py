"""What does one shared model reach on real tables, beside published single-task baselines of the same splits?

Census (two tasks), Mulan enb and wq (2 and 14 targets, five folds), KuaiRand (seven tasks), Tox21 (twelve, labels
missing); three seeds of the model on one fixed split. `hard` is one shared trunk, `independent` one net a task with the
same settings: our own single-task yardstick. Each is judged with the weights best for the mean over tasks, and with
those best for each task on its own. Settings were chosen on validation rows alone; `TRIED` says among which.

    python benchmarks/real_data.py [--data folder] [--sets census kuairand] [--seeds 3] [--threads 1]
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import KFold

import polytask as pt

ROOT = Path(__file__).resolve().parent.parent
SHARINGS = ("hard", "independent")
#: Column of the given split.
SPLIT = "split"

TRIED = "the library's defaults"

#: Single-task results on the same splits: (value, sd over seeds, method). Source: BASELINES.
BASELINES: dict[tuple[str, str], list[tuple[float, float, str]]] = {
    ("census", "income"): [(0.9461, 0.0004, "LightGBM"), (0.9362, 0.0005, "MLP")],
    ("census", "never_married"): [(0.9946, 0.0, "LightGBM"), (0.9944, 0.0, "MLP")],
    ("enb", "mean of 2"): [
        (0.0915, 0.0015, "LightGBM"),
        (0.1149, 0.0, "random forest 100"),
        (0.1421, 0.0039, "MLP"),
        (0.3148, 0.0, "ridge"),
    ],
    ("wq", "mean of 14"): [
        (0.9179, 0.0023, "LightGBM"),
        (0.9183, 0.0, "random forest 100"),
        (0.9270, 0.0008, "MLP"),
        (0.9537, 0.0, "ridge"),
    ],
    ("kuairand", "is_click"): [(0.7351, 0.0011, "LightGBM"), (0.7388, 0.0053, "MLP"), (0.7399, 0.0, "logistic")],
    ("kuairand", "long_view"): [(0.7381, 0.0004, "LightGBM"), (0.7352, 0.0051, "MLP"), (0.7371, 0.0, "logistic")],
    ("kuairand", "like_vs_hate"): [(0.8605, 0.0008, "LightGBM"), (0.8642, 0.0039, "MLP"), (0.8674, 0.0, "logistic")],
    ("kuairand", "is_profile_enter"): [
        (0.6818, 0.0011, "LightGBM"),
        (0.6780, 0.0033, "MLP"),
        (0.7070, 0.0, "logistic"),
    ],
    ("kuairand", "is_comment"): [(0.6689, 0.0095, "LightGBM"), (0.6913, 0.0043, "MLP"), (0.7116, 0.0, "logistic")],
    ("kuairand", "is_forward"): [(0.6804, 0.0136, "LightGBM"), (0.5970, 0.0155, "MLP"), (0.6525, 0.0, "logistic")],
    ("kuairand", "is_follow"): [(0.7481, 0.0187, "LightGBM"), (0.7954, 0.0027, "MLP"), (0.8103, 0.0, "logistic")],
    ("tox21", "mean of 12"): [(0.7063, 0.0087, "LightGBM"), (0.6865, 0.0004, "MLP"), (0.6758, 0.0, "logistic")],
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One set: its table with the given split, its tasks, and how it is trained.

    `folds` holds a split for each fold, of train, valid and test by row; `summarised` says that the mean over tasks is
    the result, not each task.
    """

    name: str
    table: pd.DataFrame
    tasks: list[pt.tasks.Task]
    folds: list[np.ndarray]
    metric: str
    summarised: bool
    settings: dict[str, Any] = field(default_factory=dict)


def census(data: Path) -> Problem:
    table = pd.read_parquet(data / "census_income_kdd_test" / "census_income_kdd_test.parquet")
    coded = [c for c in table if c.endswith("_code") or c in ("year", "own_business", "veterans_benefits")]
    return Problem(
        name="census",
        table=table,
        tasks=[
            pt.Classification("income", column="task_income_gt_50k"),
            pt.Classification("never_married", column="task_never_married"),
        ],
        folds=[table.pop(SPLIT).to_numpy()],
        metric="roc_auc",
        summarised=False,
        settings={
            "ignore": ["income", "marital_status", "instance_weight"],
            "kinds": dict.fromkeys(coded, "category"),
            "epochs": 8,
            "batch_size": 1024,
        },
    )


def kuairand(data: Path) -> Problem:
    table = pd.read_parquet(data / "kuairand_kcore15" / "kuairand_kcore15.parquet")
    table = table.sort_values("time_ms", kind="stable", ignore_index=True).assign(hour=lambda d: d["hourmin"] // 100)
    names = ("is_click", "long_view", "like_vs_hate", "is_profile_enter", "is_comment", "is_forward", "is_follow")
    shares = (0.6 * len(table), 0.8 * len(table))
    parts = np.split(np.arange(len(table)), [int(share) for share in shares])
    return Problem(
        name="kuairand",
        table=table[["user_id", "video_id", "duration_ms", "hour", *names]],
        tasks=[pt.Classification(name) for name in names],
        folds=[labels(len(table), *parts)],
        metric="roc_auc",
        summarised=False,
        settings={"kinds": dict.fromkeys(("user_id", "video_id", "hour"), "category")},
    )


def tox21(data: Path) -> Problem:
    table = pd.read_parquet(data / "tox21" / "tox21.parquet").iloc[:, :12]
    stored = np.load(data / "tox21" / "ecfp4_1024.npz")
    bits = pd.DataFrame(np.unpackbits(stored["fp_packed"], axis=1)).add_prefix("bit")
    return Problem(
        name="tox21",
        table=pd.concat([table, bits], axis=1),
        tasks=[pt.Classification(name) for name in table.columns],
        folds=[labels(len(table), *cut_scaffold(stored["scaffold_id"]))],
        metric="roc_auc",
        summarised=True,
    )


def mulan(name: str) -> Callable[[Path], Problem]:
    def read(data: Path) -> Problem:
        table = pd.read_parquet(data / "mulan_mtr" / f"{name}.parquet")
        folds = []
        for train, test in KFold(5, shuffle=True, random_state=0).split(table):
            shuffled = np.random.default_rng(0).permutation(train)
            cut = int(0.8 * len(shuffled))
            folds.append(labels(len(table), shuffled[:cut], shuffled[cut:], test))
        targets = [column for column in table if column.startswith("target__")]
        return Problem(
            name=name,
            table=table,
            tasks=[pt.Regression(column.removeprefix("target__"), column=column) for column in targets],
            folds=folds,
            metric="aRRMSE",
            summarised=True,
        )

    return read


PROBLEMS = {"census": census, "enb": mulan("enb"), "wq": mulan("wq"), "kuairand": kuairand, "tox21": tox21}


def cut_scaffold(scaffolds: np.ndarray) -> list[np.ndarray]:
    """Largest scaffolds first: train to 80 %, valid to 90 %, test; none on two sides."""
    count = np.bincount(scaffolds)
    order = np.lexsort((np.arange(len(count)), -count))
    end = np.cumsum(count[order]) / len(scaffolds)
    chosen = (end <= 0.8, (end > 0.8) & (end <= 0.9), end > 0.9)
    return [np.flatnonzero(np.isin(scaffolds, order[mask])) for mask in chosen]


def labels(num_rows: int, train: np.ndarray, valid: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The part of every row, as a split column writes it."""
    parts = np.empty(num_rows, dtype=object)
    for name, rows in (("train", train), ("valid", valid), ("test", test)):
        parts[rows] = name
    return parts


def fit(problem: Problem, fold: int, sharing: str, seed: int, folder: Path, threads: int) -> pt.Run:
    return pt.fit(
        problem.table.assign(**{SPLIT: problem.folds[fold]}),
        problem.tasks,
        sharing=sharing,
        split={"column": SPLIT},
        seed=seed,
        threads=threads,
        device="cpu",
        folder=folder / f"{problem.name}-{fold}-{sharing}-{seed}",
        quiet=True,
        **problem.settings,
    )
