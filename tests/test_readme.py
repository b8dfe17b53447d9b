"""The README's code runs as it stands."""

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def houses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 3)), columns=["rooms", "age", "distance"])
    frame["area"] = generator.choice(["north", "south"], 200)
    frame["price"] = frame["rooms"] * 3 - frame["age"] + generator.normal(size=200)
    frame["sold_in_30_days"] = (frame["distance"] < 0).astype(int)
    frame.to_csv("houses.csv", index=False)
    frame.drop(columns=["price", "sold_in_30_days"]).head(20).to_csv("new_houses.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("door", [2, 3])
def test_python_doors(houses, door, capsys):
    (block,) = re.findall(rf"<!-- runs: door {door} -->\n```python\n(.*?)```", README, flags=re.DOTALL)
    Path("door.py").write_text(block, encoding="utf-8")
    names = runpy.run_path("door.py")
    if door == 2:
        predicted = names["run"].predict("new_houses.csv", probabilities=True)
        assert list(predicted.columns) == ["price", "sold", "sold[0]", "sold[1]"]
        assert len(predicted) == 20
    else:
        assert all(p.grad is not None for p in names["trunk"].parameters())


def test_command_line_door(houses):
    from polytask.cli import app

    commands = re.findall(r"^polytask (?:fit|predict|evaluate) .*$", README, flags=re.MULTILINE)
    assert [shlex.split(c)[1] for c in commands[:3]] == ["fit", "predict", "evaluate"]
    for line in commands[:3]:
        words = shlex.split(line)[1:]
        if words[0] == "fit":
            words += ["--epochs", "3", "--quiet"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert len(pd.read_csv("predictions.csv")) == 20


def test_every_balancer_and_optimizer_of_ours_is_listed():
    from polytask.catalogue import entries

    (line,) = re.findall(r"^\| balancers \|.*$", README, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", line)) == sorted(entry.name for entry in entries("balancers"))
    (line,) = re.findall(r"^\| training \|.*$", README, flags=re.MULTILINE)
    assert all(f"`{entry.name}`" in line for entry in entries("optimizers") if entry.traits)


def test_what_it_links_to_is_there():
    root = Path(__file__).parent.parent
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (root / name).exists(), name
