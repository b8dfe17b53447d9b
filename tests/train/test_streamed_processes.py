"""Two processes that stream one file: all rows, agreed labels, and the same parameters in both."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest


@pytest.mark.slow
def test_torchrun_streams_a_file_in_two_processes(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"] = x @ [1.0, -2.0, 0.5]
    frame["rent"] = np.where(np.arange(300) < 40, x @ [0.0, 1.0, 1.0], np.nan)
    frame.to_parquet(tmp_path / "houses.parquet", row_group_size=20)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "polytask", "fit"]
    command = [sys.executable, *start, str(tmp_path / "houses.parquet"), "-o", str(tmp_path / "run"), "--stream"]
    command += ["--quiet", "--epochs", "2", "-t", "price", "-t", "rent", "--set", "train.device=cpu"]
    command += ["--set", "train.batch_size=16", "--set", "train.threads=1", "--balancer", "cagrad"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [line["rows"] for line in lines] == [210, 210]
    assert all(np.isfinite(line["training_loss"]["rent"]) for line in lines)
