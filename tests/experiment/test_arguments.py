"""What `pt.fit` and the task constructors answer to a slip of the pen in Python."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import polytask as pt

FRAME = pd.DataFrame({"a": np.arange(120.0), "y": np.arange(120) % 2, "z": np.arange(120) * 1.5})
Y = pt.Classification("y")

SLIPS = [
    (lambda: pt.fit(FRAME, [Y], split="random"), "split: settings are wanted, got 'random'"),
    (lambda: pt.fit(FRAME, [Y], balancer="CAGrad"), "did you mean 'cagrad'"),
    (lambda: pt.fit(FRAME, [Y], balancer={"cagrad": {"c": -1}}), "c=-1.0, a number of at least 0"),
    (lambda: pt.fit(FRAME, [Y], seed="a"), "seed: a whole number from 0 is wanted, got 'a'"),
    (lambda: pt.fit(FRAME, [Y], batch_size="64"), "write 64 without quotes"),
    (lambda: pt.fit(FRAME, [Y], epoch=3), "unknown setting 'epoch'; did you mean 'epochs'"),
    (lambda: pt.fit(FRAME, "y"), r"pt\.Classification\('y'\) or pt\.Regression\('y'\)"),
    (lambda: pt.fit(FRAME, {"y": Y}), "tasks: a list of tasks is wanted, got a dict"),
    (lambda: pt.fit(FRAME, [pt.Regression]), "a task is made by a call"),
    (lambda: pt.fit(FRAME, [pt.Classification("z")]), r"\d+ classes in \d+ training labels, too many to be learnt"),
    (lambda: pt.fit(FRAME, [Y], inputs="a"), r"a list of columns is wanted, got 'a'; write \['a'\]"),
    (lambda: pt.Experiment.read({"tasks": {}, "learning_rate": 0.1}), "did you mean 'train.learning_rate'"),
]


@pytest.mark.parametrize(("slip", "says"), SLIPS, ids=[says[:40] for _, says in SLIPS])
def test_is_answered_in_one_sentence(slip, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=says) as caught:
        slip()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_tasks_of_a_wrong_type_are_answered():
    """In a process of its own: here the shapes' hook would answer first."""
    code = (
        "import polytask as pt\n"
        "for make in (lambda: pt.Regression(3), lambda: pt.Regression('y', weight=2.0), lambda: pt.balance.Sum(tasks=2)):\n"
        "    try: make()\n"
        "    except ValueError as error: print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout
    name, weight, tasks = shown.splitlines()
    assert name.startswith("a task's name is letters")
    assert "weight is the name of a column, got 2.0; a task's own weight is set by the balancer fixed" in weight
    assert "tasks=2: a list of names is wanted" in tasks


def test_a_misspelt_name_of_the_package_is_answered():
    with pytest.raises(AttributeError, match="did you mean 'Classification'"):
        pt.Classfication  # noqa: B018
