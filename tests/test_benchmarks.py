"""Every file of benchmark results says what was asked, on what machine, and whether its targets were met."""

import json
from pathlib import Path

import pytest

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
