"""Every example runs, and learns something."""

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest

from polytask.balance import BALANCERS

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.fixture
def _own_names_are_forgotten():
    """What an example puts into the catalogue is no other test's business."""
    before = dict(BALANCERS)
    yield
    BALANCERS.clear()
    BALANCERS.update(before)


@pytest.mark.usefixtures("_own_names_are_forgotten")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if "folder" not in inspect.signature(module.main).parameters:
        check_own_loop(module.main(), capsys.readouterr().out)
        return
    run = module.main(folder=tmp_path / "run")
    assert min(scores["skill"] for scores in run.metrics["test"].values()) > 0.4
    assert capsys.readouterr().out.count("\n") == len(run.tasks)


def check_own_loop(reached, shown):
    """Of loops without a Run: method -> task -> score on held-out rows, a line a method."""
    assert len(reached) >= 4
    assert min(score for scores in reached.values() for score in scores.values()) > 0.6
    assert [line.split()[0] for line in shown.splitlines()] == list(reached)


def test_an_own_balancer_takes_no_more_than_fifteen_lines():
    tree = ast.parse((EXAMPLES[0].parent / "own_balancer.py").read_text(encoding="utf-8"))
    (defined,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    assert defined.end_lineno - defined.lineno + 1 <= 15


def test_there_are_examples():
    assert len(EXAMPLES) >= 5
