"""What do the examples in YAML reach on real data, beside the best single-task baseline and published numbers?

Each file in examples/*.yaml is run as its first line says, for several seeds of the model on one fixed split, and its
test part opened once (school has a script of its own: school_exams.py). The sets are not part of the repository:
examples/data is a folder with them, examples/prepared is what examples/prepare.py makes of three of them.

    python benchmarks/examples.py [--folder examples] [--only tox21 yeast] [--seeds 3] [--threads 1]
    python benchmarks/examples.py --readme      # examples/README.md from the results
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from record import RESULTS, start_steady, write

Scores = Mapping[str, Mapping[str, float]]
ROOT = Path(__file__).resolve().parent.parent


def of_task(task: str, metric: str) -> Callable[[Scores], float]:
    """One task's metric."""
    return lambda scores: scores[task][metric]


def mean_of(metric: str) -> Callable[[Scores], float]:
    """The mean of a metric over all tasks."""
    return lambda scores: float(np.mean([of[metric] for of in scores.values()]))


@dataclass(frozen=True)
class Question:
    """What is asked of one example.

    Attributes:
        what: task and metric, in words.
        value: the number, out of the test scores.
        better: "higher" or "lower".
        baseline: the best of several single-task baselines on the same split, and which it is; None: not measured.
        published: a number from the literature, with its source and in what it differs.
    """

    what: str
    value: Callable[[Scores], float]
    better: str
    baseline: tuple[float, str] | None
    published: str = "–"


#: Where the table of examples/README.md begins.
MARK = "<!-- results: written by benchmarks/examples.py -->"
LIU = "12.7 % error (.873) of a CNN after Liu, Qiu, Huang 2017, as a public reimplementation reports"
DEMSZKY = "{} by BERT (Demszky et al. 2020)"
GOO = "{} (slot-gated LSTM, Goo et al. 2018)"
EXAMPLES: dict[str, list[Question]] = {
    "tox21": [
        Question(
            "12 assays, mean AUC",
            mean_of("roc_auc"),
            "higher",
            (0.7063, "LightGBM"),
            ".829 by graph convolution on random rows (Wu et al. 2018): an easier split",
        )
    ],
    "parkinsons": [
        Question(
            "motor score, MAE",
            of_task("motor", "mae"),
            "lower",
            (5.706, "training median"),
            "5.8 on rows at random (Tsanas et al. 2010): the same people train and test",
        ),
        Question("total score, MAE", of_task("total", "mae"), "lower", (7.584, "training median"), "7.5, likewise"),
    ],
    "yeast": [
        Question("14 labels, macro AUC", of_task("functions", "macro_roc_auc"), "higher", (0.6882, "LightGBM")),
        Question(
            "14 labels, Hamming loss",
            of_task("functions", "hamming_loss"),
            "lower",
            (0.1959, "LightGBM"),
            ".194 by ML-kNN in ten folds (Zhang, Zhou 2007)",
        ),
    ],
    "scene": [
        Question("6 labels, macro AUC", of_task("shows", "macro_roc_auc"), "higher", (0.9432, "LightGBM")),
        Question("6 labels, macro F1", of_task("shows", "macro_f1"), "higher", (0.7332, "MLP")),
    ],
    "kuairand": [
        Question("click, AUC", of_task("click", "roc_auc"), "higher", (0.7399, "logistic")),
        Question("long view, AUC", of_task("long_view", "roc_auc"), "higher", (0.7381, "LightGBM")),
        Question("like against hate, AUC", of_task("like_vs_hate", "roc_auc"), "higher", (0.8674, "logistic")),
    ],
    "cifar10": [
        Question("label, accuracy", of_task("label", "accuracy"), "higher", (0.5080, "CNN, 3 epochs")),
        Question("animal or not, accuracy", of_task("is_animal", "accuracy"), "higher", (0.9061, "CNN, 3 epochs")),
    ],
    "fsdd": [
        Question("digit, accuracy", of_task("digit", "accuracy"), "higher", (0.9889, "MLP")),
        Question("speaker, accuracy", of_task("speaker", "accuracy"), "higher", (1.0, "MLP, logistic")),
    ],
    "fdu_mtl": [
        Question("16 domains, mean accuracy", mean_of("accuracy"), "higher", (0.8822, "one linear SVM for all"), LIU)
    ],
    "goemotions": [
        Question(
            "28 emotions, macro F1",
            of_task("emotions", "macro_f1"),
            "higher",
            (0.4437, "TF-IDF + logistic, tuned cuts"),
            DEMSZKY.format(".46"),
        ),
        Question("7 of Ekman, macro F1", of_task("ekman", "macro_f1"), "higher", (0.5723, "likewise"), ".64, likewise"),
        Question("4 groups, macro F1", of_task("group", "macro_f1"), "higher", (0.6341, "likewise"), ".69, likewise"),
    ],
    "etth1": [Question("7 series, next 24 h, MSE", mean_of("mse"), "lower", (0.2973, "ridge a series"))],
    "snips": [
        Question(
            "intent, accuracy", of_task("intent", "accuracy"), "higher", (0.9714, "linear SVM"), GOO.format(".970")
        ),
        Question(
            "slots, span F1", of_task("slots", "span_f1"), "higher", (0.8015, "window logistic"), GOO.format(".888")
        ),
    ],
}


def scores_of(name: str, seed: int, options: argparse.Namespace, folder: Path) -> tuple[Scores, float]:
    """An example as its first line runs it, with its test part opened; and the seconds of the whole command."""
    began = time.perf_counter()
    out = folder / f"{name}-{seed}"
    settings = ["--set", f"train.threads={options.threads}", "--set", "train.device=cpu"]
    python = [sys.executable, "-m", "polytask"]
    path = str(options.folder / f"{name}.yaml")
    subprocess.run([*python, "fit", path, "-o", str(out), "--seed", str(seed), "--quiet", *settings], check=True)
    seconds = time.perf_counter() - began
    told = subprocess.run([*python, "evaluate", str(out), "--json"], check=True, capture_output=True, text=True)
    return json.loads(told.stdout)["scores"], seconds


def row(name: str, question: Question, values: Sequence[float], seconds: float) -> dict[str, Any]:
    """A question's answer, with Student's 95 % interval over the seeds."""
    mean, count = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else None
    baseline, method = question.baseline or (None, None)
    return {
        "example": name,
        "what": question.what,
        "ours": mean,
        "half_width": half,
        "seeds": count,
        "better": question.better,
        "baseline": baseline,
        "baseline_method": method,
        "published": question.published,
        "seconds": round(seconds, 1),
    }


def measure(name: str, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """The rows of one example."""
    found = [scores_of(name, seed, options, folder) for seed in range(options.seeds)]
    seconds = float(np.median([each for _, each in found]))
    return [row(name, q, [q.value(scores) for scores, _ in found], seconds) for q in EXAMPLES[name]]


def readme(rows: Sequence[Mapping[str, Any]]) -> str:
    """examples/README.md: what there is, and the table."""
    head = (ROOT / "examples" / "README.md").read_text(encoding="utf-8").split(MARK)[0]
    lines = ["| example | task, metric | ours, 95 % interval over seeds | best baseline | published | seconds |"]
    lines.append("| --- | --- | --- | --- | --- | ---: |")
    for each in rows:
        arrow = "↑" if each["better"] == "higher" else "↓"
        ours = f"{each['ours']:.4g}" + ("" if each["half_width"] is None else f" ± {each['half_width']:.2g}")
        baseline = "–" if each["baseline"] is None else f"{each['baseline']:.4g} ({each['baseline_method']})"
        link = f"[{each['example']}]({each['example']}.yaml)"
        lines.append(
            f"| {link} | {each['what']} {arrow} | {ours} | {baseline} | {each['published']} | {each['seconds']:.0f} |"
        )
    lines += school()
    return head + MARK + "\n\n" + "\n".join(lines) + "\n"


def school() -> list[str]:
    """The line of the School exams, which a script of their own measures; none where it was not run."""
    path = RESULTS / "school_exams.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    ours, ridge, seconds = (
        np.array([row[name] for row in found["rows"]]) for name in ("network", "mean_regularised_ridge", "seconds")
    )
    half = stats.t.ppf(0.975, len(ours) - 1) * ours.std(ddof=1) / np.sqrt(len(ours))
    gap = found["difference"]
    return [
        f"| [school](school.yaml) | 139 schools, explained variance in % over {len(ours)} splits ↑ "
        f"| {ours.mean():.1f} ± {half:.1f} | {ridge.mean():.1f} (mean-regularised multi-task ridge, same splits); ours "
        f"less it {gap['mean']:+.1f}, Nadeau–Bengio interval {gap['low']:+.1f} to {gap['high']:+.1f}: {gap['verdict']} "
        f"| 26.7 by MTL-FEAT on splits of its own (Argyriou et al. 2008) | {np.median(seconds):.0f} |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "examples")
    parser.add_argument("--only", nargs="+", choices=list(EXAMPLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    path = RESULTS / "examples.json"
    held = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    if not options.readme:
        start_steady()
        began = time.perf_counter()
        names = options.only or list(EXAMPLES)
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                new = measure(name, options, Path(folder))
                held = [each for each in held if each["example"] != name] + new
                held.sort(key=lambda each: list(EXAMPLES).index(each["example"]))
                write(
                    path,
                    question=str(__doc__),
                    command="python benchmarks/examples.py",
                    seconds=time.perf_counter() - began,
                    rows=held,
                    targets=[],
                    threads=options.threads,
                )
    (ROOT / "examples" / "README.md").write_text(readme(held), encoding="utf-8")


if __name__ == "__main__":
    main()
