"""Redundant tasks by what single-task models predict: from the twins' own validation predictions."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.studies.redundancy import redundant_predictions


class FakeUnit:
    def __init__(self, task):
        self.task = task


class FakeJob:
    def __init__(self, task, seed, split=0):
        self.unit, self.split, self.folder = FakeUnit(task), split, f"{task}/{seed}/{split}"


def write(folder, job, rows=60, **columns):
    path = folder / job.folder / "predictions" / "validation.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"table": "all", "row": np.arange(rows), **columns}).to_parquet(path)


@pytest.fixture
def said(tmp_path):
    """Three numbers, two of them alike on the mean over seeds; two sets of classes that agree."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=60), rng.normal(size=60)
    jobs = [FakeJob(task, seed) for task in ("a", "b", "c", "k", "m") for seed in (0, 1)]
    for job in jobs:
        sign = 1 if job.folder.endswith("0/0") else -1
        task = job.unit.task
        if task in "ab":
            write(tmp_path, job, **{task: (1 if task == "a" else -2) * x + sign * 3 * noise})
        elif task == "c":
            write(tmp_path, job, c=rng.normal(size=60))
        else:
            names = np.array(["u", "v", "w"] if task == "k" else ["p", "q", "s"])
            shares = {f"{task}[{name}]": 1 / 3 for name in names}
            write(tmp_path, job, **{task: names[np.arange(60) % 3], **shares})
    return tmp_path, [*jobs, FakeJob("a", 0, 1), FakeJob("c", 2)]  # another division, and a Run that crashed


def test_pairs_that_say_the_same(said):
    tasks = [pt.Regression(name) for name in "abc"] + [pt.Classification(name) for name in "km"]
    found = redundant_predictions(*said, tasks)
    assert [(pair["tasks"], pair["measure"], pair["rows"]) for pair in found] == [
        (["a", "b"], "|r|", 60),
        (["k", "m"], "Cramér's V", 60),
    ] or [pair["tasks"] for pair in found] == [["k", "m"], ["a", "b"]]
    assert all(pair["value"] == pytest.approx(1) for pair in found)


def test_a_study_says_them(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    frame = pd.DataFrame(x, columns=["u", "v"]).assign(a=x[:, 0], b=x[:, 0] * 2 + 1, c=x[:, 1])
    found = pt.study(
        frame, [pt.Regression(name) for name in "abc"], folder=tmp_path / "study", quiet=True, seeds=1, jobs=0,
        baselines=[], companions=[], epochs=60, learning_rate=0.02, encoder={"mlp": {"widths": [8]}},
    )  # fmt: skip
    assert [pair["tasks"] for pair in found.results["redundant"]] == [["a", "b"]]
    page = pt.report(tmp_path / "study").read_text(encoding="utf-8")
    assert "Redundant tasks" in page
    assert "predict these tasks alike" in page
