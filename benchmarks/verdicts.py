"""Does sharing help on real tables, task by task, beside single-task twins and trees?

Multi-Digits and flights (from Python packages); census (income, never married; leaks left out), Tox21 (twelve tasks,
labels missing, scaffolds as groups), Mulan enb (two targets, five folds) and Parkinsons by subject (where the train
median is hard to beat). Each is a study: candidates, twins, trees and linear models on one split, the candidate chosen
on validation rows, test rows opened once. Settings are the library's defaults but for those of real_data.py.

    python benchmarks/verdicts.py [--data folder] [--sets census tox21] [--jobs 2]
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import polytask as pt
from polytask.demos import DEMOS
from real_data import SPLIT, Problem, labels
from real_data import census as read_census
from real_data import mulan as read_mulan
from real_data import tox21 as read_tox21

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Question:
    """One study."""

    name: str
    table: pd.DataFrame
    tasks: Sequence[pt.tasks.Task]
    candidates: Sequence[Any]
    seeds: int = 5
    settings: dict[str, Any] = field(default_factory=dict)


def demo(name: str) -> Callable[[Path], Question]:
    def read(data: Path) -> Question:
        found = DEMOS[name]
        return Question(
            name=name,
            table=found.table(),
            tasks=found.tasks(),
            candidates=found.candidates,
            settings={**found.settings(), "group": found.group},
        )

    return read


def asked(problem: Problem, candidates: Sequence[Any], seeds: int = 5, **more: Any) -> Question:
    """A set of real_data.py with its first split."""
    return Question(
        name=problem.name,
        table=problem.table.assign(**{SPLIT: problem.folds[0]}),
        tasks=problem.tasks,
        candidates=candidates,
        seeds=seeds,
        settings={"split": {"column": SPLIT}, "threads": 1, **problem.settings, **more},
    )


def census(data: Path) -> Question:
    return asked(read_census(data), ["sum", "uncertainty"])


def tox21(data: Path) -> Question:
    found = asked(read_tox21(data), ["sum", "uncertainty"], seeds=10, group="scaffold")
    scaffold = np.load(data / "tox21" / "ecfp4_1024.npz")["scaffold_id"]
    return Question(**{**vars(found), "table": found.table.assign(scaffold=scaffold)})


def enb(data: Path) -> Question:
    problem = read_mulan("enb")(data)
    return Question(
        name="enb",
        table=problem.table,
        tasks=problem.tasks,
        candidates=["sum", "uncertainty"],
        seeds=3,
        settings={"resplits": "5-fold", "split": {"validation": 0.16}, "threads": 1, **problem.settings},
    )


def parkinsons(data: Path) -> Question:
    table = pd.read_parquet(data / "parkinsons" / "parkinsons_updrs.parquet")
    subjects = np.unique(table["subject#"])
    order = np.random.default_rng(0).permutation(len(subjects))
    cuts = [int(0.6 * len(order)), int(0.8 * len(order))]
    parts = [np.flatnonzero(np.isin(table["subject#"], subjects[chosen])) for chosen in np.split(order, cuts)]
    return Question(
        name="parkinsons",
        table=table.assign(**{SPLIT: labels(len(table), *parts)}),
        tasks=[pt.Regression(name, primary="mae", criterion="mae") for name in ("motor_UPDRS", "total_UPDRS")],
        candidates=["sum", "uncertainty"],
        settings={"split": {"column": SPLIT}, "threads": 1, "group": "subject#"},
    )


QUESTIONS: dict[str, Callable[[Path], Question]] = {
    "digits": demo("digits"),
    "flights": demo("flights"),
    "census": census,
    "tox21": tox21,
    "enb": enb,
    "parkinsons": parkinsons,
}
PACKAGED = ("digits", "flights")


def answer(question: Question, folder: Path, jobs: int) -> dict[str, Any]:
    """The results of one study."""
    return pt.study(
        question.table,
        question.tasks,
        list(question.candidates),
        seeds=question.seeds,
        jobs=jobs,
        folder=folder / question.name,
        title=question.name,
        device="cpu",
        **question.settings,
    ).results


def rows_of(name: str, results: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a task, and one for the mean."""
    arms = {arm["name"]: arm for arm in results["arms"]}
    verdict = results["verdict"]
    found = []
    for task in results["tasks"]:
        said = verdict["tasks"][task["name"]]
        named = {"shared": verdict["candidate"], "alone": verdict["twins"], "trees": "trees", "linear": "linear"}
        values = {
            label: arms[arm]["scores"].get(task["name"], {}).get("value") for label, arm in named.items() if arm in arms
        }
        found.append(
            {
                "data": name,
                "task": task["name"],
                "metric": task["metric"],
                **values,
                "constant": task["constant"],
                "verdict": said["word"],
                "reason": said["reason"],
                "difference_in_skill": said["difference"],
                "interval": said["interval"],
                "adjusted_interval": said["adjusted_interval"],
                "minimum_detectable_effect": said["mde"],
                "beats_constant": said["beats_constant"],
                "test_rows": said["rows"],
                "groups": said["groups"],
                "seeds": len(results["design"]["seeds"]),
                "splits": results["design"]["splits"],
                "candidate": verdict["candidate"],
            }
        )
    if verdict["mean"]:
        mean = verdict["mean"]
        kept = {"verdict": mean["word"], "difference_in_skill": mean["difference"], "interval": mean["interval"]}
        found.append({"data": name, "task": "mean of tasks", "metric": "skill", **kept})
    return found


def markdown(rows: list[dict[str, Any]]) -> str:
    head = ["data", "task", "metric", "shared", "alone", "trees", "linear", "difference in skill, 95 %", "verdict"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in rows:
        values = [f"{row[key]:.4g}" if row.get(key) is not None else "–" for key in head[3:7]]
        low, high = row["interval"]
        size = "–" if low is None else f"{row['difference_in_skill']:+.4f} [{low:+.4f}, {high:+.4f}]"
        lines.append(
            f"| {row['data']} | {row['task']} | {row['metric']} | {' | '.join(values)} | {size} | {row['verdict']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("POLYTASK_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="the folder of the sets")
    parser.add_argument("--sets", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the studies are kept; nowhere without it")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "verdicts.json")
    options = parser.parse_args()
    names = [name for name in options.sets if name in PACKAGED or options.data.is_dir()]
    for name in sorted(set(options.sets) - set(names)):
        print(
            f"skipped {name}: there is no folder {options.data}; name the one of the sets with --data", file=sys.stderr
        )
    rows, warnings, seconds = [], {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            results = answer(QUESTIONS[name](options.data), options.folder or Path(scratch), options.jobs)
            rows += rows_of(name, results)
            warnings[name], seconds[name] = results["warnings"], results["cost"]["wall_seconds"]
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "command": f"python benchmarks/verdicts.py --sets {' '.join(names)} --jobs {options.jobs}",
        "versions": {"polytask": pt.__version__, "torch": torch.__version__},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": 1,
        "seconds": round(sum(seconds.values()), 1),
        "seconds_by_set": seconds,
        "warnings": warnings,
        "rows": rows,
        "targets": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(rows))


if __name__ == "__main__":
    main()
