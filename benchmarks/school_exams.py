"""Does a network of 139 tasks explain more of the School exams than mean-regularised multi-task ridge?

Both are trained on the first five of the usual splits (75 % of each school's pupils), the network as
examples/school.yaml writes it. The ridge (Evgeniou, Pontil, KDD 2004) has a weight vector a school, w_t = w_0 + v_t,
and is fitted to all pupils at once; its two strengths are chosen inside each training part, by a fifth of each
school's pupils. Explained variance is 100 (1 − SSE / SST) over all test pupils. The interval of the mean difference is
Nadeau's and Bengio's (2003), for splits that overlap.

    python benchmarks/school_exams.py [--folder examples] [--repeats 5] [--threads 1]
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats
from sklearn.linear_model import Ridge

import polytask as pt
from record import RESULTS, start_steady, write

ROOT = Path(__file__).resolve().parent.parent
#: Strengths of the ridge: λ of w_0 + v_t, and how much stronger v_t is held to 0 than w_0.
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
TIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def explained(target: np.ndarray, predicted: np.ndarray) -> float:
    """Explained variance in per cent."""
    return 100 * (1 - ((target - predicted) ** 2).sum() / ((target - target.mean()) ** 2).sum())


def spread(inputs: np.ndarray, school: np.ndarray, tie: float) -> sparse.csr_matrix:
    """[x, x / √tie at the school's place]: a ridge over these is one over w_0 and all v_t."""
    number, width = int(school.max()) + 1, inputs.shape[1]
    rows = np.repeat(np.arange(len(inputs)), width)
    columns = (school[:, None] * width + np.arange(width)).ravel()
    own = sparse.csr_matrix((inputs.ravel() / np.sqrt(tie), (rows, columns)), (len(inputs), number * width))
    return sparse.hstack([sparse.csr_matrix(inputs), own]).tocsr()


def ridge(
    inputs: np.ndarray, school: np.ndarray, target: np.ndarray, train: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """What mean-regularised ridge, tuned inside these training rows, predicts for other rows."""
    generator = np.random.default_rng(0)
    held = np.concatenate(
        [
            generator.permutation(of)[: max(1, len(of) // 5)]
            for of in (train[school[train] == s] for s in np.unique(school))
        ]
    )
    kept = np.setdiff1d(train, held)

    def fitted(tie: float, strength: float, chosen: np.ndarray, asked: np.ndarray) -> np.ndarray:
        features = spread(inputs, school, tie)
        model = Ridge(alpha=strength, solver="sparse_cg", tol=1e-6).fit(features[chosen], target[chosen])
        return model.predict(features[asked])

    tried = {(t, s): explained(target[held], fitted(t, s, kept, held)) for t, s in itertools.product(TIES, STRENGTHS)}
    tie, strength = max(tried, key=lambda setting: tried[setting])
    print(f"ridge: tie {tie:g}, strength {strength:g}", file=sys.stderr)
    return fitted(tie, strength, train, rows)


def network(repeat: int, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Explained variance of examples/school.yaml on one split, and its seconds."""
    began = time.perf_counter()
    out = folder / f"school-{repeat}"
    settings = [f"data.split.column=repeat_{repeat}", f"train.threads={options.threads}", "train.device=cpu"]
    command = [sys.executable, "-m", "polytask", "fit", str(options.folder / "school.yaml"), "-o", str(out), "--quiet"]
    subprocess.run([*command, *(part for text in settings for part in ("--set", text))], check=True)
    run = pt.load(out)
    run.evaluate()
    predicted = pd.read_parquet(out / "predictions" / "test.parquet")
    target, answers = [], []
    for name, (table, tasks) in run.tables().items():
        of = predicted[predicted["table"] == name]
        target.append(table.frame["score"].to_numpy(dtype=float)[of["row"]])
        answers.append(of[tasks[0]].to_numpy(dtype=float))
    return explained(np.concatenate(target), np.concatenate(answers)), time.perf_counter() - began


def interval(differences: np.ndarray, share: float) -> tuple[float, float]:
    """Nadeau–Bengio: mean ± t · sqrt((1/J + n_test/n_train) · s²), J − 1 degrees of freedom, 95 %."""
    count = len(differences)
    half = stats.t.ppf(0.975, count - 1) * np.sqrt((1 / count + share) * differences.var(ddof=1))
    return float(differences.mean() - half), float(differences.mean() + half)


def record(rows: list[dict[str, Any]], share: float, seconds: float, threads: int) -> None:
    """Writes the results down, with what they say of the difference."""
    differences = np.array([row["network"] - row["mean_regularised_ridge"] for row in rows])
    low, high = interval(differences, share)
    verdict = "more" if low > 0 else "less" if high < 0 else "a tie"
    write(
        RESULTS / "school_exams.json",
        question=str(__doc__),
        command="python benchmarks/school_exams.py",
        seconds=seconds,
        rows=rows,
        targets=[
            {
                "name": "network above ridge: lower end of the interval of the difference",
                "value": low,
                "target": 0.0,
                "better": "higher",
                "met": low > 0,
            }
        ],
        threads=threads,
        difference={"mean": float(differences.mean()), "low": low, "high": high, "verdict": verdict},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "examples")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    start_steady()
    began = time.perf_counter()
    table = pd.read_parquet(options.folder / "prepared" / "school.parquet")
    inputs = table.filter(regex=r"^x\d+$").to_numpy(dtype=float)
    inputs = inputs / np.abs(inputs).max(axis=0)
    school, target = table["school"].to_numpy(), table["score"].to_numpy(dtype=float)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            is_train = (table[f"repeat_{repeat}"] == "train").to_numpy()
            train, test = np.flatnonzero(is_train), np.flatnonzero(~is_train)
            of_ridge = explained(target[test], ridge(inputs, school, target, train, test))
            ours, seconds = network(repeat, options, Path(folder))
            found = {"network": ours, "mean_regularised_ridge": of_ridge, "seconds": seconds}
            rows.append({"repeat": repeat, **{name: float(value) for name, value in found.items()}})
            print(rows[-1], file=sys.stderr)
    record(rows, len(test) / len(train), time.perf_counter() - began, options.threads)


if __name__ == "__main__":
    main()
