"""docs/tutorial.md: its code runs, one block after the other, and its commands do."""

import re
import runpy
import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- runs: (\w+) -->\n```python\n(.*?)```", TEXT, flags=re.DOTALL))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("tutorial")


def test_the_python_of_every_section(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    names: dict = {}
    for name in ("file", "study", "answer", "error", "use"):
        Path(f"{name}_block.py").write_text(BLOCKS[name], encoding="utf-8")
        names |= runpy.run_path(f"{name}_block.py", init_globals=names)
    assert set(BLOCKS) == {"file", "study", "answer", "error", "use"}
    study = names["study"]
    assert set(study.verdict) == {"malignant", "worst_area"}
    assert (place / "report.html").stat().st_size < 1.5e6
    printed = capsys.readouterr().out
    assert study.verdict["malignant"].sentence in printed
    # The answer makes sense: trees and nets know malignancy well from these measurements.
    assert study.leaderboard["malignant"].drop("linear").min() > 0.95
    assert len(pd.read_csv("biopsies.csv")) == 569


def test_the_commands(place, monkeypatch):
    from polytask.cli import app

    monkeypatch.chdir(place)
    commands = re.findall(r"^polytask .*$", TEXT, flags=re.MULTILINE)
    assert [shlex.split(line)[1] for line in commands] == ["init", "study", "study", "report"]
    for line in commands:
        words = shlex.split(line)[1:]
        if words[0] == "study" and "--dry-run" not in words:
            words += ["--seeds", "3", "--epochs", "2", "--out", "short", "--quiet"]
        words = ["short" if word == "study" and words[0] == "report" else word for word in words]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (line, result.output)
    assert (place / "short" / "report.html").is_file()
