"""docs/verdict.md: its code runs and prints what it says, its table and numbers are those of the simulation."""

import json
import re
import runpy
from pathlib import Path

import pytest

from polytask.studies import REGION
from polytask.studies.verdict import LEAST_GROUPS, LEAST_ROWS, LEAST_SEEDS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8")
RESULT = json.loads((ROOT / "benchmarks" / "results" / "verdict_simulation.json").read_text(encoding="utf-8"))


def test_the_example_prints_what_it_says(tmp_path, capsys):
    ((code, output),) = re.findall(r"<!-- runs: by hand -->\n```python\n(.*?)```\n```text\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "by_hand.py").write_text(code, encoding="utf-8")
    runpy.run_path(str(tmp_path / "by_hand.py"))
    assert capsys.readouterr().out == output


def test_the_table_is_that_of_the_simulation():
    (table,) = re.findall(r"<!-- written by: .*?-->\n(.*?)\n<!-- /written -->", TEXT, re.DOTALL)
    assert table == RESULT["table"]


def test_the_picture_is_beside_the_text_and_says_what_it_shows():
    (alt, path) = re.search(r"!\[(.*?)\]\((.*?)\)", TEXT, re.DOTALL).groups()
    assert "the verdict's interval lies below 6 % throughout" in " ".join(alt.split())
    drawn = (ROOT / "docs" / path).read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    # On a page in dark mode too: it brings its own ground.
    assert 'fill="white"' in drawn[:300]
    assert all(text in drawn for text in ("rows alone", "t over seeds alone", "seeds' share of the squared error"))


def test_the_numbers_in_the_text_are_those_of_the_simulation():
    worst, width = (target["value"] for target in RESULT["targets"][:2])
    assert f"errs in {worst:.1%} of studies" in " ".join(TEXT.split())
    assert f"at most {width:.2f} times as wide" in " ".join(TEXT.split())
    assert all(target["met"] for target in RESULT["targets"])


@pytest.mark.parametrize(
    "said",
    [
        f"± {REGION:g} skill",
        f"Fewer than {LEAST_SEEDS} seeds",
        f"Fewer than {LEAST_ROWS} labelled test rows",
        f"Fewer than {LEAST_GROUPS} groups",
    ],
)
def test_the_limits_are_those_of_the_code(said):
    assert said in TEXT
