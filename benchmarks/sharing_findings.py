"""Which way of sharing does better than one shared trunk on real data, all tuned alike?

Census (two tasks; three with college), KuaiRand (seven reactions) and pairs of Fashion-MNIST. Each is one study: every
scheme with its default settings, the same learning rates tried for each on validation rows under one seed, then the
same seeds for all, and test rows opened once. Every scheme is compared with `hard` seed by seed on the same test rows,
in skill over all tasks, by the verdict's procedure (seeds and rows both counted, Holm over schemes). Rows are a fixed
part of each set, so that all takes half an hour on one core. A study that was stopped goes on where it was.

    python benchmarks/sharing_findings.py [--data folder] [--sets census] [--schemes hard mmoe] [--folder runs/findings]
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import polytask as pt
import record
from findings_data import Kept, Material, census, census_with_college, fashion_pairs, kuairand
from polytask.sharing import SHARINGS
from polytask.studies import Evidence, accuracy, decide, evidence_of, influence_on_skill, mean_over, roc_auc
from real_data import SPLIT

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "sharing_findings.json"
REFERENCE = "hard"
SEEDS = 5
GRID = {"learning_rate": (0.001, 0.003, 0.01)}
#: A mean difference in skill that is none in practice, as in every study.
REGION = 0.01


@dataclass(frozen=True, kw_only=True)
class Question:
    """One study: its rows, what is kept of them, and how nets are made and trained."""

    read: Callable[[Path, Kept], Material]
    kept: Kept
    settings: Mapping[str, Any]


TABLE = {"encoder": {"mlp": {"widths": [64, 32]}}, "batch_size": 256}
QUESTIONS = {
    "census": Question(read=census, kept={"train": 8000, "valid": 4000}, settings={**TABLE, "epochs": 5}),
    "census with college": Question(
        read=census_with_college, kept={"train": 8000, "valid": 4000}, settings={**TABLE, "epochs": 5}
    ),
    "kuairand": Question(read=kuairand, kept={"train": 8000, "valid": 4000}, settings={**TABLE, "epochs": 5}),
    "fashion pairs": Question(
        read=fashion_pairs,
        kept={"train": 1500, "valid": 1000, "test": 3000},
        settings={"encoder": "lenet", "batch_size": 32, "epochs": 4},
    ),
}

#: Name -> scheme and its settings; those that are not there are left out. Encoders here have three stages.
SCHEMES: dict[str, dict[str, Any]] = {
    "hard": {"hard": {}},
    "hard, last stage own": {"hard": {"split": 2}},
    **{
        name: {name: {}}
        for name in (
            *("independent", "soft", "cross_stitch", "nddr", "mtan"),
            *("mmoe", "top_k", "dselect_k", "cgc", "ple"),
            *("film", "residual_adapters", "lora", "mixture_of_lora", "rotograd"),
        )
    },
    "shared_private": {"shared_private": {"adversarial": 0.0}},
}
#: Scheme -> why it is in none of the studies.
LEFT_OUT = {
    "task_norm": "these encoders have no batch norm",
    "preference_conditioned": "it is trained by another loss, over all preferences",
    "own_encoders": "it asks for other encoders, so that a difference would be the encoders'",
    "joint_many_task": "these tasks have no order",
    "aitm": "these tasks have no order",
    "pad_net": "it is made for tasks whose output is a picture",
}
#: For more than two tasks: with a tree of its own for each set.
TREE = "branching"


def candidates_of(material: Material, schemes: Sequence[str]) -> dict[str, Any]:
    """The schemes that are there as a study's candidates."""
    found = {
        name: {"sharing": SCHEMES[name]} for name in schemes if name in SCHEMES and {*SCHEMES[name]} <= {*SHARINGS}
    }
    if material.trees and TREE in schemes and TREE in SHARINGS:
        found[TREE] = {"sharing": {TREE: {"tree": material.trees}}}
    return found


def settings_of(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The encoder and the training of one set."""
    return {**QUESTIONS[name].settings, **({"epochs": options.epochs} if options.epochs else {})}


def answer(name: str, material: Material, schemes: Sequence[str], options: argparse.Namespace) -> pt.studies.Study:
    """The study; one that was begun in this folder goes on."""
    return pt.study(
        material.table,
        material.tasks,
        candidates_of(material, schemes),
        seeds=options.seeds,
        grid=GRID,
        baselines=(),
        region=REGION,
        jobs=options.jobs,
        folder=options.folder / name.replace(" ", "-"),
        title=name,
        split={"column": SPLIT},
        threads=1,
        device="cpu",
        **{**material.settings, **settings_of(name, options)},
    )


class Opened:
    """What a study's models say of its test rows, as they were written down when these were opened."""

    def __init__(self, study: pt.studies.Study, material: Material) -> None:
        self.results, self.tasks = study.results, {task.name: task for task in material.tasks}
        self.facts = {fact["name"]: fact for fact in study.results["tasks"]}
        self.frames: dict[str, dict[int, pd.DataFrame]] = {}
        for run in study.results["runs"]:
            path = study.path / run["folder"] / "predictions" / "test.parquet"
            if run["is_main"] and run["task"] is None and run["state"] == "finished":
                self.frames.setdefault(run["arm"], {})[run["seed"]] = pd.read_parquet(path).sort_values("row")
        rows = next(iter(self.frames[REFERENCE].values()))["row"].to_numpy()
        self.table = material.table.iloc[rows]
        group = material.settings.get("group")
        self.groups = None if group is None else self.table[group].to_numpy()

    def row_values(self, arm: str, task: str, seeds: Sequence[int]) -> np.ndarray:
        """Row values of the task's metric `[seeds, rows]`."""
        truth, frames = self.table[self.tasks[task].columns[0]].to_numpy(), [self.frames[arm][seed] for seed in seeds]
        if self.facts[task]["metric"] == "roc_auc":
            return roc_auc(np.array([frame[f"{task}[1]"] for frame in frames]), truth == 1)
        return accuracy(np.array([frame[task] for frame in frames]), truth)

    def difference(self, arm: str) -> Evidence:
        """Its skill less the reference's, on average over the tasks, by the seeds that both have."""
        seeds = sorted({*self.frames[arm]} & {*self.frames[REFERENCE]})
        influences = {
            task: influence_on_skill(
                *(self.row_values(name, task, seeds) for name in (arm, REFERENCE)),
                constant=fact["constant"],
                perfect=fact["perfect"],
            )
            for task, fact in self.facts.items()
        }
        places = dict.fromkeys(influences, np.arange(len(self.table)))
        return evidence_of(mean_over(influences, places, num_rows=len(self.table)), groups=self.groups)


def rows_of(name: str, opened: Opened) -> list[dict[str, Any]]:
    """A row a scheme, `hard` first: its scores, and how it compares with `hard`."""
    arms = {arm["name"]: arm for arm in opened.results["arms"] if arm["name"] in opened.frames}
    others = [arm for arm in arms if arm != REFERENCE]
    verdicts = decide({arm: opened.difference(arm) for arm in others}, region=REGION)
    words = {"helps": "better", "hurts": "worse"}
    found = []
    for arm in (REFERENCE, *others):
        held, said = arms[arm], verdicts.get(arm)
        row = {
            "data": name,
            "scheme": arm,
            "seeds": len(opened.frames[arm]),
            "learning_rate": held["setting"]["learning_rate"],
            "skill": held["mean_skill"],
            "tasks": {task: held["scores"][task]["value"] for task in opened.tasks},
            "parameters_times_hard": held["parameters"]["total"] / arms[REFERENCE]["parameters"]["total"],
            "seconds_times_hard": held["seconds"] / arms[REFERENCE]["seconds"],
            "validation_skill": held["validation_skill"],
        }
        if said is not None:
            row |= {
                "difference": said.difference,
                "interval": list(said.interval),
                "adjusted_interval": list(said.adjusted_interval),
                "p": said.p,
                "minimum_detectable_effect": said.mde,
                "word": words.get(said.word, said.word),
                "reason": said.reason,
            }
        found.append(row)
    return found


def facts_of(opened: Opened) -> dict[str, Any]:
    """What a reader has to know of the study."""
    results = opened.results
    crashed = [run["folder"] for run in results["runs"] if run["state"] != "finished"]
    return {
        "tasks": results["tasks"],
        "groups": None if opened.groups is None else len(np.unique(opened.groups)),
        "seeds": len(results["design"]["seeds"]),
        "chosen": results["verdict"]["candidate"],
        "headline": results["verdict"]["headline"],
        "seconds": results["cost"]["wall_seconds"],
        "runs": results["cost"]["runs"],
        "crashed": crashed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("POLYTASK_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="the folder of the sets")
    parser.add_argument("--sets", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--schemes", nargs="+", choices=[*SCHEMES, TREE], default=[*SCHEMES, TREE])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rows", type=int, help="at most so many rows a part: to try the script")
    parser.add_argument("--epochs", type=int, help="others than the table says: to try the script")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs") / "sharing-findings", help="of the studies")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"there is no folder {options.data}; name the one of the sets with --data")
    schemes = list(dict.fromkeys([REFERENCE, *options.schemes]))
    rows, facts = [], {}
    for name in options.sets:
        question = QUESTIONS[name]
        kept = dict.fromkeys(("train", "valid", "test"), options.rows) if options.rows else question.kept
        material = question.read(options.data, kept)
        opened = Opened(answer(name, material, schemes, options), material)
        rows += rows_of(name, opened)
        facts[name] = facts_of(opened)
    record.write(
        options.out,
        question=__doc__ or "",
        command=f"python benchmarks/sharing_findings.py --seeds {options.seeds}",
        seconds=sum(fact["seconds"] for fact in facts.values()),
        rows=rows,
        targets=[],
        studies=facts,
        settings={name: {"kept": dict(QUESTIONS[name].kept), **settings_of(name, options)} for name in facts},
        grid={name: list(values) for name, values in GRID.items()},
        region=REGION,
        left_out=LEFT_OUT,
    )


if __name__ == "__main__":
    main()
