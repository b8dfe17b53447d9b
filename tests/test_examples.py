"""Every example runs, and learns something."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run = module.main(folder=tmp_path / "run")
    assert min(scores["skill"] for scores in run.metrics["test"].values()) > 0.4
    assert capsys.readouterr().out.count("\n") == len(run.tasks)


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
