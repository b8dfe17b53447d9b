"""A finished study's folder, made up but complete, of any size; one real Run; a reader of pages."""

import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.runs import Run

WORDS = ["helps", "hurts", "practically equal", "cannot tell", "no verdict"]
CENTRES = [0.06, -0.05, 0.001, 0.02, 0.01]
HALVES = [0.025, 0.02, 0.006, 0.05, None]


def make_verdict(task: str, kind: int) -> dict[str, Any]:
    word, difference, half = WORDS[kind], CENTRES[kind], HALVES[kind]
    interval = [None, None] if half is None else [difference - half, difference + half]
    adjusted = [None, None] if half is None else [difference - 1.6 * half, difference + 1.6 * half]
    return {
        "word": word, "reason": "9 test labels, and at least 10 are needed" if half is None else "",
        "difference": difference, "interval": interval, "adjusted_interval": adjusted,
        "p": None if half is None else 0.0123, "level": 0.0125, "mde": None if half is None else 2 * half,
        "metric_mde": None if half is None else 1.8 * half, "metric_difference": 0.9 * difference, "seeds": 5,
        "rows": 9 if half is None else 449, "groups": None, "seed_share": 0.4,
        "own_best": {"difference": difference + 0.002, "interval": interval},
        "beside": {"trees": {"difference": 0.011, "interval": [-0.004, 0.026]}},
        "beats_constant": [True, True, False, None, True][kind],
        "sentence": f"Sharing and {task}: {word}, accuracy 0.951 against 0.923 alone.",
    }  # fmt: skip


def make_score(index: int, arm: int, num_seeds: int) -> dict[str, Any]:
    value = 0.9123 - 0.05 * index / 10 - 0.01 * arm
    return {
        "value": value, "interval": [value - 0.0123, value + 0.0111], "skill": value - 0.05,
        "skill_interval": [value - 0.07, value - 0.03], "by_seed": [value] * num_seeds,
        "own_best": {"value": value + 0.001, "skill": value},
    }  # fmt: skip


def make_records(tasks: list[str], epochs: int, seed: int, *, weighted: bool, shift: float) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    pairs = [f"{a}|{b}" for i, a in enumerate(tasks) for b in tasks[i + 1 :]]
    records = []
    for epoch in range(1, epochs + 1):
        skills = {
            task: 0.9 - shift - 0.1 * i - 0.8 * math.exp(-epoch / (3 + i)) + 0.01 * generator.normal()
            for i, task in enumerate(tasks)
        }
        records.append(
            {
                "epoch": epoch, "score": float(np.mean(list(skills.values()))), "learning_rate": 0.001,
                "training_loss": dict.fromkeys(tasks, 0.5),
                "validation": {
                    task: {"accuracy": s, "skill": s if epoch > 1 else None, "loss": 0.4, "rows": 300}
                    for task, s in skills.items()
                },
                "weights": {
                    task: 1.0 + (0.05 * i * math.log(epoch + 1) if weighted else 0.0) for i, task in enumerate(tasks)
                },
                "cosines": {pair: 0.5 * math.cos(i + epoch / 20) for i, pair in enumerate(pairs)},
                "improved": ["mean"], "active": tasks, "rows": 5000,
                "timing": {"seconds": 0.5, "rows_per_second": 10000.0},
            }
        )  # fmt: skip
    return records


def make_arms(tasks: list[str], candidates: list[str], num_seeds: int) -> list[dict[str, Any]]:
    arms = []
    for number, (name, role) in enumerate(
        [*((c, "candidate") for c in candidates), ("twins", "twins"), ("trees", "baseline")]
    ):
        scores = {task: make_score(i, number, num_seeds) for i, task in enumerate(tasks)}
        if role == "baseline" and len(tasks) > 1:
            scores.pop(tasks[-1])  # it cannot do this kind
        arms.append(
            {
                "name": name, "role": role, "summary": f"the {role} {name} in plain words", "chosen": number == 0,
                "of": candidates if role == "twins" else None,
                "overrides": {"balancer": name} if role == "candidate" else {},
                "parameters": {"total": 51234 + number, "shared": 40000} if role != "baseline" else None,
                "seconds": 123.4 + number, "joules": None, "runs": num_seeds, "settings_tried": 2,
                "setting": {"learning_rate": 0.003} if role == "candidate" else {t: {"learning_rate": 0.001} for t in tasks},
                "validation_skill": 0.83 - 0.01 * number, "scores": scores, "mean_skill": 0.8765 - 0.01 * number,
                "delta_m": -1.234 if role == "candidate" else None, "mean_rank": 1.5 + number,
            }
        )  # fmt: skip
    return arms


def make_runs(
    folder: Path, tasks: list[str], arms: list[dict[str, Any]], num_seeds: int, epochs: int
) -> list[dict[str, Any]]:
    runs = []
    for arm in arms:
        if arm["role"] == "baseline":
            continue
        for task in tasks if arm["role"] == "twins" else [None]:
            for seed in range(num_seeds):
                place = f"runs/{arm['name']}/{f'{tasks.index(task)}/' if task else ''}seed-{seed}"
                (folder / place).mkdir(parents=True)
                records = make_records(
                    [task] if task else tasks, epochs, seed, weighted=arm["name"] != "sum", shift=0.05 * arms.index(arm)
                )
                (folder / place / "history.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
                runs.append(
                    {
                        "arm": arm["name"], "task": task, "seed": seed, "split": 0, "setting": {}, "folder": place,
                        "state": "finished", "reason": "", "seconds": 12.3, "epochs": epochs, "best_epoch": epochs,
                        "validation": 0.83, "is_main": True,
                    }
                )  # fmt: skip
    crashed = {
        "state": "crashed",
        "reason": "the loss of task 'left' is not finite in epoch 3 <script>alert(1)</script>",
    }
    return [*runs, runs[0] | crashed | {"seed": 99, "validation": None, "is_main": False}]


def make_results(folder: Path, tasks: list[str], candidates: list[str], num_seeds: int, epochs: int) -> dict[str, Any]:
    arms = make_arms(tasks, candidates, num_seeds)
    many = len(tasks) > 12
    return {
        "format": 1, "kind": "study", "polytask": "0.1.0", "written": "2026-11-25T13:00:00+00:00", "title": "Multi-Digits",
        "design": {
            "seeds": list(range(num_seeds)), "splits": 1, "folds": None, "grid": {"learning_rate": [0.001, 0.003]},
            "settings_tried": 2, "level": 0.05, "group": None,
            "chosen_by": "mean skill on validation rows, mean over seeds",
            "test_opened": "2026-11-25T13:00:00+00:00", "jobs": 2, "primary": "mean" if many else "tasks",
        },
        "tasks": [
            {
                "name": task, "kind": "classification", "metric": "accuracy", "higher_is_better": True, "perfect": 1.0,
                "constant": 0.11, "region": 0.01, "unit": 0.89,
                "rows": {"train": 5000, "validation": 300, "test": 449}, "groups": None,
            }
            for task in tasks
        ],
        "arms": arms,
        "verdict": {
            "candidate": candidates[0], "twins": "twins",
            "tasks": {task: make_verdict(task, i % 5) for i, task in enumerate(tasks)},
            "mean": {k: v for k, v in make_verdict("", 3).items() if k != "sentence"} if len(tasks) > 1 else None,
            "screen": {task: i == 0 for i, task in enumerate(tasks)} if many else None,
            "headline": "Sharing helps 1 task and hurts 1; 1 is practically equal, of 1 this study cannot tell.",
        },
        "warnings": ["7 tasks with 5 seeds: take 10 seeds for more than 5 tasks."],
        "runs": make_runs(folder, tasks, arms, num_seeds, epochs),
        "cost": {"wall_seconds": 300.0, "training_seconds": 512.0, "runs": 31, "joules": None},
        "lint": [
            {
                "what": "leak", "column": "ink", "task": tasks[0], "text": "column 'ink' alone predicts it: AUC 0.991",
                "remedy": "ignore it: ignore: [ink]",
            }
        ],
        "environment": {"polytask": "0.1.0", "python": "3.11.7", "accelerator": None, "packages": {"torch": "2.13.0"}},
    }  # fmt: skip


def make_study(
    folder: Path,
    tasks: list[str] | None = None,
    candidates: list[str] | None = None,
    num_seeds: int = 3,
    epochs: int = 12,
) -> Path:
    """Writes the folder of a finished study; the tasks' verdicts go through all words."""
    tasks = tasks or ["left", "right", "sum", "larger", "even"]
    folder.mkdir(parents=True)
    results = make_results(folder, tasks, candidates or ["uncertainty", "sum"], num_seeds, epochs)
    first = folder / results["runs"][0]["folder"]
    (first / "run.json").write_text("{}")
    pd.DataFrame(
        {"row": range(20), "part": ["train"] * 14 + ["validation"] * 3 + ["test"] * 3, "table": "all"}
    ).to_parquet(first / "splits.parquet")
    fitted = {tasks[0]: {"classes": ["<b>no", "yes"], "counts": [3111, 1889]}}
    (first / "model.json").write_text(json.dumps({"fitted": fitted}))
    column = {"name": "ink", "kind": "number", "dtype": "float64", "missing": 2, "unique": 18, "example": "0.5"}
    schema = {"all": {"num_rows": 20, "columns": [column, column | {"name": "left", "kind": "category"}]}}
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "study.json").write_text(json.dumps({"format": 1, "state": "finished"}))
    (folder / "config.yaml").write_text("data: {path: digits.parquet}\nstudy: {seeds: 3}\n")
    (folder / "citations.bib").write_text("@article{caruana1997,\n  title = {Multitask Learning}\n}\n")
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    return folder


VOID = {"meta", "br", "img", "line", "input", "link"}


class Reader(HTMLParser):
    """Collects elements as (tag, attributes, text within); scripts and styles are no words."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.feed(page)
        self.close()
        assert not self._open, [element["tag"] for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for outer in self._open:
            outer["text"] += " "
        parents = tuple(element["tag"] for element in self._open)
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "parents": parents}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open[-1]["tag"] == tag, (self._open[-1], tag)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1]["tag"] in ("script", "style"):
            self._open[-1]["text"] += data
            return
        for element in self._open:
            element["text"] += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [element for element in self.elements if element["tag"] == tag]

    def words(self) -> str:
        return " ".join(self.all("body")[0]["text"].split())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_study(tmp_path / "study")


@pytest.fixture(scope="session")
def study_maker() -> Callable[..., Path]:
    return make_study


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A real Run of three tasks, its test rows opened."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(160, 3))
    frame = pd.DataFrame(x, columns=["rooms", "age", "distance"])
    frame["price"] = 3 * x[:, 0] + generator.normal(size=160)
    frame.loc[::7, "price"] = np.nan
    frame["sold"] = np.where(x[:, 1] + generator.normal(size=160) > 0, "yes", "no")
    frame["stars"] = np.clip(np.round(x[:, 2] + 3), 2, 4).astype(int)
    run = pt.fit(
        frame,
        [pt.Regression("price"), pt.Classification("sold"), pt.Ordinal("stars")],
        balancer="uncertainty",
        encoder={"mlp": {"widths": [8, 4]}},
        epochs=3,
        quiet=True,
        folder=tmp_path_factory.mktemp("runs") / "houses",
    )
    run.evaluate()
    return run


@pytest.fixture(scope="session")
def read_page() -> type[Reader]:
    return Reader
