"""A Run killed at any moment goes on where it was, and ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SETTINGS = [
    "--set", "train.epochs=5", "--set", "train.batch_size=16", "--set", "train.checkpoint_seconds=0.05",
    "--set", "encoder={mlp: {widths: [32, 16], batch_norm: true}}", "--set", "train.ema=0.9",
    "--set", "train.schedule=cosine", "--set", "train.warmup=0.1", "--set", "train.clip_norm=1.0",
    "--set", "train.threads=1", "--balancer", "pcgrad",
]  # fmt: skip

STOPPING = [
    "--set", "train.epochs=10", "--set", "train.batch_size=64", "--set", "train.checkpoint_seconds=0.1",
    "--set", "encoder={mlp: {widths: [32, 16], dropout: 0.1}}", "--set", "train.threads=1",
    "--set", "agenda={alternating: {order: proportional}}", "--set", "train.schedule=plateau",
    "--set", "train.learning_rate=0.01",
    "--set", "train.early_stopping={patience: 2, per_task: true, by: area}",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(600, 5))
    frame = pd.DataFrame({f"x{k}": x[:, k] for k in range(5)})
    frame["price"] = np.where(generator.random(600) < 0.2, np.nan, x @ [1, -1, 2, 0, 0.5])
    frame["sold"] = (x[:, 0] + generator.normal(size=600) > 0).astype(int)
    frame["area"] = generator.choice(["north", "south"], 600)
    path = tmp_path_factory.mktemp("data") / "houses.csv"
    frame.to_csv(path, index=False)
    return path


def command(data: Path, out: Path, settings: list[str]) -> list[str]:
    tasks = ["-t", "price", "-t", "sold", "-t", "area"]
    return [sys.executable, "-m", "polytask", "fit", str(data), *tasks, "-o", str(out), "--quiet", *settings]


def finish(data: Path, out: Path, settings: list[str] = SETTINGS) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(data, out, settings), env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def kill_when(data: Path, out: Path, moment, settings: list[str] = SETTINGS) -> bool:
    """Starts the command and kills it as soon as `moment()` holds; False when it ended before."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(data, out, settings), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if moment():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    process.kill()
    process.wait()
    return False


def history(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "timing"} for line in lines]


def same_runs(one: Path, other: Path) -> None:
    assert history(one) == history(other)
    files = sorted(p.name for p in (one / "weights").iterdir())
    assert files == sorted(p.name for p in (other / "weights").iterdir())
    for name in files:
        assert (one / "weights" / name).read_bytes() == (other / "weights" / name).read_bytes(), name
    assert (one / "metrics.json").read_bytes() == (other / "metrics.json").read_bytes()
    for name in ("splits.parquet", "predictions/validation.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(one / name), pd.read_parquet(other / name))


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "run"
    finish(data, out)
    return out


def lines(out: Path) -> int:
    path = out / "history.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


MOMENTS = {
    "while preparing": lambda out: (out / "config.yaml").exists(),
    "at the first checkpoint": lambda out: any((out / "checkpoint").glob("0*")),
    "while a checkpoint is written": lambda out: (out / "checkpoint" / "staging").exists() and lines(out) >= 1,
    "after an epoch's line": lambda out: lines(out) >= 2,
    "while finishing": lambda out: (out / "predictions").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_started_again(data, undisturbed, tmp_path, moment):
    out = tmp_path / "run"
    killed = kill_when(data, out, lambda: MOMENTS[moment](out))
    assert killed or (out / "run.json").exists()
    finish(data, out)
    same_runs(undisturbed, out)


def test_killed_again_and_again(data, undisturbed, tmp_path):
    out = tmp_path / "run"
    seen: list[int] = []

    def moved_on() -> bool:
        numbers = [int(p.name) for p in (out / "checkpoint").glob("0*")] if (out / "checkpoint").exists() else []
        if numbers and (not seen or max(numbers) >= seen[-1] + 3):
            seen.append(max(numbers))
            return True
        return False

    kills = sum(kill_when(data, out, moved_on) for _ in range(4))
    assert kills >= 2
    finish(data, out)
    same_runs(undisturbed, out)


def test_killed_while_tasks_stop_one_by_one(data, tmp_path):
    finish(data, tmp_path / "whole", STOPPING)
    told = history(tmp_path / "whole")
    assert len({tuple(line["active"]) for line in told}) > 1, "no task stopped before another"
    assert told[-1]["learning_rate"] < told[0]["learning_rate"], "the plateau schedule never acted"
    stopped = next(k for k, line in enumerate(told, start=1) if len(line["active"]) < 3)
    assert kill_when(data, tmp_path / "run", lambda: lines(tmp_path / "run") >= stopped, STOPPING)
    assert not (tmp_path / "run" / "metrics.json").exists()
    finish(data, tmp_path / "run", STOPPING)
    same_runs(tmp_path / "whole", tmp_path / "run")


def test_a_finished_run_is_not_trained_again(data, undisturbed):
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file() and p.name != ".lock"}
    finish(data, undisturbed)
    assert before == {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file() and p.name != ".lock"}
