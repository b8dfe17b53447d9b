"""Every file of benchmark results says what was asked, on what machine, and whether its targets were met."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1] / "benchmarks"
RESULTS = sorted((ROOT / "results").glob("*.json"))
KEYS = {"question", "command", "versions", "hardware", "threads", "seconds", "rows", "targets"}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_complete(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    assert result["question"].endswith("?")
    assert {"polytask", "torch"} <= set(result["versions"])
    assert result["threads"] >= 1
    assert result["seconds"] > 0
    assert result["rows"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_targets_are_met_exactly_where_they_say_so(path: Path) -> None:
    for target in json.loads(path.read_text(encoding="utf-8"))["targets"]:
        assert set(target) == {"name", "value", "target", "better", "met"}
        value, wanted = target["value"], target["target"]
        met = {"lower": value <= wanted, "higher": value >= wanted}[target["better"]]
        assert target["met"] is met, target["name"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_script_of_that_name_asks_that_question(path: Path) -> None:
    script = ROOT / f"{path.stem}.py"
    assert script.exists()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert script.read_text(encoding="utf-8").removeprefix('"""').startswith(result["question"])
    assert f"benchmarks/{path.stem}.py" in result["command"]


def test_real_data_rows_stand_beside_a_baseline() -> None:
    path = ROOT / "results" / "real_data.json"
    if not path.exists():
        pytest.skip("benchmarks/real_data.py has not been run")
    wanted = {"data", "task", "metric", "method", "mean", "sd", "seeds", "baseline", "baseline_method"}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert all(set(row) >= wanted for row in rows)
    assert {row["method"].split(",")[0] for row in rows} == {"hard", "independent"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """A script of the benchmarks by its name, as a module."""
    monkeypatch.syspath_prepend(str(ROOT))
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


def test_the_written_results_are_those_of_the_files(script) -> None:
    written = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    assert written == script("write_results").document(), "run: python benchmarks/write_results.py"


def test_a_step_is_timed_with_and_without_peers(script, monkeypatch, tmp_path) -> None:
    step_cost = script("step_cost")
    monkeypatch.setattr(step_cost, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["step_cost.py", "--quick", "--out", str(tmp_path / "step_cost.json")])
    step_cost.main()
    result = json.loads((tmp_path / "step_cost.json").read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    rows = {(row["implementation"], row["method"], row["way"]): row for row in result["rows"]}
    assert rows["pytorch", "sum", "plain"]["times_sum"] == 1.0
    wanted = {
        ("polytask", "uncertainty", "losses"),
        ("polytask", "nash_mtl", "exact"),
        ("polytask", "nash_mtl", "every=10"),
    }
    assert wanted <= set(rows)
    assert set(result["missing"]) == {"libmtl", "torchjd"} - set(result["versions"])
    for row in rows.values():
        assert row["milliseconds"] > 0
        if row["implementation"].startswith("torchjd") and row["method"] == "nash_mtl":
            assert row["difference"] < 1e-3
    assert any("times the plain loop" in target["name"] for target in result["targets"])


def test_a_target_names_its_dearest_row(script) -> None:
    step_cost = script("step_cost")
    at = {"implementation": "polytask", "way": "exact", "model": "mlp", "tasks": 8, "batch": 256}
    ours = [
        {**at, "method": name, "times_sum": ratio, "milliseconds": 10 * ratio}
        for name, ratio in (("mgda", 5.0), ("pcgrad", 6.0))
    ]
    peers = [
        {**row, "implementation": name, "milliseconds": ms}
        for row in ours
        for name, ms in (("libmtl", 90.0), ("torchjd autojac", 80.0))
    ]
    found = {target["name"]: target for target in step_cost.targets_of([*ours, *peers])}
    dear = found["mlp, 8 tasks, 256 rows: exact, times sum (dearest: pcgrad, mlp, 8 tasks, 256 rows)"]
    assert (dear["value"], dear["target"], dear["met"]) == (6.0, 5.5, False)
    slow = found["mlp, 8 tasks, 256 rows: exact, times the faster peer (slowest: pcgrad)"]
    assert (slow["value"], slow["target"], slow["met"]) == (0.75, 0.95, True)


def test_memory_is_the_running_sum_of_what_is_live(script) -> None:
    step_memory = script("step_memory")
    changes = [(1, 100), (2, 50), (3, -50), (5, 30), (6, 20), (7, -50), (12, 900)]
    events = [{"name": "[memory]", "ts": when, "args": {"Bytes": size}} for when, size in changes]
    span = {"name": step_memory.MARK, "ph": "X", "ts": 4, "dur": 6}
    assert step_memory.peak_of([span, *events]) == (100, 150)


def test_memory_of_the_plain_sum(script) -> None:
    step_memory = script("step_memory")
    start, peak = step_memory.peak_bytes(step_memory.PLAIN[0])
    parameters = 4 * (512 * 1024 + 1024 + 1024 * 512 + 512 + 32 * 513)
    assert 4 * parameters < start < 4.3 * parameters  # weights, gradients and two moments; batches
    assert start < peak < 1.5 * start
