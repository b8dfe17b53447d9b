"""A training in several processes is the training in one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.data import Part, Stream
from polytask.errors import ConfigError
from polytask.runs import load
from polytask.train import Team, refuse_several, team
from polytask.train.distributed import ALONE

FAILING = Path(__file__).with_name("failing_process.py")
PLAIN = ["--set", "encoder={mlp: {widths: [8, 4], dropout: 0.0}}"]
NOISY = ["--set", "encoder={mlp: {widths: [8, 4], dropout: 0.3, batch_norm: true}}", "--set", "train.ema=0.9"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """100 rows; rent is known of the first third only, so that some parts of batches have no label of it."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"] = x @ [1.0, -2.0, 0.5]
    frame["sold"] = (x[:, 0] + generator.normal(size=100) > 0).astype(int)
    frame["rent"] = np.where(np.arange(100) < 33, x @ [0.0, 1.0, 1.0], np.nan)
    path = tmp_path_factory.mktemp("data") / "houses.csv"
    frame.to_csv(path, index=False)
    return path


def fit(data: Path, out: Path, processes: int, *settings: str, program: tuple[str, ...] = ("-m", "polytask")) -> Any:
    """`polytask fit` by torchrun, or without it for one process."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(start if processes > 1 else []), *program, "fit", str(data), "-o", str(out), "--quiet"]
    command += ["-t", "price", "-t", "sold", "-t", "rent", "--set", "train.threads=1", "--set", "train.device=cpu"]
    command += ["--set", "train.batch_size=16", "--set", "train.checkpoint_seconds=0", *settings]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)


def done(data: Path, out: Path, processes: int, *settings: str) -> list[dict[str, Any]]:
    """The history of a training that ended well."""
    ended = fit(data, out, processes, *settings)
    assert ended.returncode == 0, ended.stderr
    return history(out)


def history(out: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "timing"} for record in records]


def files(folder: Path) -> list[str]:
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in found if not name.startswith("checkpoint/"))


def assert_close(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_close(a, b)
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=1e-6, abs=1e-6)
    else:
        assert one == other


def test_torchrun_fits_the_run_that_one_process_fits(data, tmp_path):
    settings = (*PLAIN, "--epochs", "2", "--balancer", "cagrad")
    assert_close(done(data, tmp_path / "one", 1, *settings), done(data, tmp_path / "two", 2, *settings))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert load(tmp_path / "two").metrics["validation"].keys() == {"price", "sold", "rent"}
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        ("--balancer", "imtl", "--set", "train.schedule=plateau", "--set", "train.clip_norm=0.5"),
        ("--balancer", "auto_lambda"),
        ("--balancer", "smooth", "--set", "balancer={smooth: {of: {famo: {learning_rate: 0.01}}}}"),
        ("--set", "agenda=alternating", "--set", "train.ema=0.9"),
        ("--balancer", "nash_mtl", "--set", "gradients={level: representation, every: 2}"),
        ("--set", "sharing=independent", "--set", "train.batch_size=3"),
    ],
    ids=lambda settings: " ".join(settings[:2]),
)
def test_settings_of_every_kind(data, tmp_path, settings, processes):
    more = (*PLAIN, "--epochs", "2", *settings)
    assert_close(done(data, tmp_path / "one", 1, *more), done(data, tmp_path / "more", processes, *more))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_training_goes_on_bit_for_bit(data, tmp_path, rank):
    settings = (*NOISY, "--epochs", "3", "--balancer", "pcgrad")
    expected = done(data, tmp_path / "whole", 2, *settings)
    killed = fit(data, tmp_path / "killed", 2, *settings, program=(str(FAILING), "killed", str(rank), "8"))
    assert killed.returncode != 0
    assert len(history(tmp_path / "killed")) == 1
    assert done(data, tmp_path / "killed", 2, *settings) == expected
    weights = [(tmp_path / name / "weights" / "mean.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_it_goes_on_with_another_number_of_processes(data, tmp_path, before, after):
    settings = (*PLAIN, "--epochs", "3", "--balancer", "upgrad")
    killed = fit(data, tmp_path / "killed", before, *settings, program=(str(FAILING), "killed", "0", "8"))
    assert killed.returncode != 0
    assert_close(done(data, tmp_path / "whole", 1, *settings), done(data, tmp_path / "killed", after, *settings))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_what_one_process_cannot_do_ends_all_with_one_sentence(data, tmp_path, rank):
    ended = fit(data, tmp_path / "run", 2, *PLAIN, program=(str(FAILING), "error", str(rank), "3"))
    ours = ended.stderr.split("torch/distributed")[0]
    assert ended.returncode != 0
    assert ended.stderr.count("error: ") == 1, ended.stderr
    assert "error: no space left on the disk" in ours
    assert "Traceback" not in ours


@pytest.mark.slow
def test_what_no_process_can_do_is_said_once(data, tmp_path):
    ended = fit(data, tmp_path / "run", 2, *PLAIN, "--set", "train.batch_size=500")
    assert ended.stderr.count("error: train.batch_size=500, but there are") == 1
    assert ended.stderr.count("error: ") == 1
    assert not (tmp_path / "run").exists()


SCRIPT = """
import sys
import pandas as pd
import polytask as pt

if __name__ == "__main__":
    data, out = sys.argv[1:]
    tasks = [pt.Regression("price"), pt.Classification("sold")]
    for balancer in ("sum", "mgda"):  # one after another, in one process group
        frame = pd.read_csv(data).drop(columns="rent")
        run = pt.fit(frame, tasks, balancer=balancer, folder=f"{out}/{balancer}", epochs=1, quiet=True, device="cpu")
        assert set(run.metrics["validation"]) == {"price", "sold"}
    try:
        pt.study(frame, tasks, ["sum"], folder=f"{out}/study", quiet=True)
    except ValueError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_script_started_by_torchrun(data, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tmp_path / "script.py"), str(data), str(tmp_path / "runs")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("a study starts worker processes of its own (jobs): start it without torchrun") == 2
    assert not (tmp_path / "runs" / "study").exists()


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 17])
@pytest.mark.parametrize("size", [2, 3])
def test_parts_are_the_batch_and_none_is_a_row_alone(rows, size):
    parts = [Part(rank, size).of(torch.arange(rows)) for rank in range(size)]
    assert torch.equal(torch.cat(parts), torch.arange(rows))
    assert all(len(part) != 1 for part in parts) or rows == 1


def test_every_process_walks_the_same_batches(training):
    table = training.session().data.training["all"]
    whole, streams = Stream(table, 10, 3), [Stream(table, 10, 3) for _ in range(3)]
    for rank, stream in enumerate(streams):
        stream.part = Part(rank, 3)
    for _ in range(8):
        batch, parts = whole.next(), [stream.next() for stream in streams]
        together = torch.cat([part.targets["price"] for part in parts])
        assert torch.equal(together, batch.targets["price"])
        assert {part.num_global_rows for part in parts} == {batch.num_rows}
        assert all(part.labelled == (batch.labelled if part.num_rows else ()) for part in parts)
        assert all(stream.state() == whole.state() for stream in streams)


def test_a_process_alone_does_everything():
    with team() as found:
        assert found is ALONE
        assert found.is_first
        assert found.by_first(lambda: {1, 2}) == {1, 2}
    refuse_several("a study")


def test_one_device_for_several_processes_is_refused(monkeypatch):
    monkeypatch.setattr("polytask.train.distributed.pick_device", lambda name, setting: torch.device(name))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"train.device: 'cuda:1' is one device for 2 processes"):
        Team(1, 2).device("cuda:1", "train.device")
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(ConfigError, match="2 CUDA devices and at least 4 processes"):
        Team(3, 4).device("cuda", "train.device")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Team(1, 2).device("cuda", "train.device") == torch.device("cuda", 1)
    assert Team(1, 2).device("cpu", "train.device") == torch.device("cpu")
