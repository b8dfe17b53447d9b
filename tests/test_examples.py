"""Every example runs, and learns something."""

import ast
import importlib.util
import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polytask.balance import BALANCERS
from polytask.experiment import Experiment, run
from polytask.yaml_file import read_yaml

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "prepare")
WRITTEN = sorted(FOLDER.glob("*.yaml"))
#: Sets that are read as they are, in seconds.
QUICK = ("yeast", "scene")


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
    module = module_of(path)
    if "folder" not in inspect.signature(module.main).parameters:
        check_own_loop(module.main(), capsys.readouterr().out)
        return
    run = module.main(folder=tmp_path / "run")
    assert min(scores["skill"] for scores in run.metrics["test"].values()) > 0.4
    assert capsys.readouterr().out.count("\n") == len(run.tasks)


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    assert len(WRITTEN) >= 12


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_written_example_begins_with_its_command_and_can_be_read(path):
    assert path.read_text(encoding="utf-8").startswith(f"# polytask fit examples/{path.name}")
    values, source = read_yaml(path)
    experiment = Experiment.read(values, source)
    assert Experiment.read(experiment.written()) == experiment
    data = experiment.data.path
    assert isinstance(data, str)
    assert data.startswith(("data/", "prepared/"))


def test_every_written_example_is_in_the_readme():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in WRITTEN if f"{path.stem}" not in text] == []


@pytest.mark.parametrize("name", QUICK)
def test_a_written_example_runs(name, shared_data, tmp_path):
    (tmp_path / "data").symlink_to(shared_data)
    (tmp_path / f"{name}.yaml").write_text((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    values, source = read_yaml(tmp_path / f"{name}.yaml")
    experiment = Experiment.read(with_paths_of(values, tmp_path), source)
    experiment = replace(experiment, train=replace(experiment.train, epochs=1))
    found = run(experiment, folder=tmp_path / "run", quiet=True).evaluate()
    assert all(scores["rows"] > 100 for scores in found.values())


def with_paths_of(values, folder):
    return values | {"data": values["data"] | {"path": str(folder / values["data"]["path"])}}


def test_sets_in_several_files_become_tables(tmp_path):
    """On made-up files of the same form."""
    prepare = module_of(FOLDER / "prepare.py")
    data = tmp_path / "data"
    for name in ("tox21", "fsdd", "school"):
        (data / name).mkdir(parents=True)
    pd.DataFrame({"NR-AR": [0.0, None, 1.0]}).to_parquet(data / "tox21" / "tox21.parquet")
    bits = np.packbits(np.eye(3, 8, dtype=np.uint8), axis=1)
    np.savez(data / "tox21" / "ecfp4_1024.npz", fp_packed=bits, scaffold_id=np.array([0, 1, 1]))
    clips = {"audio": np.arange(6, dtype=np.int16), "offsets": np.array([0, 2, 3, 6]), "index": np.array([0, 7, 20])}
    labels = {"digit": np.array([1, 2, 3]), "speaker": np.array(["a", "b", "a"]), "accent": np.array(["x", "y", "x"])}
    np.savez(data / "fsdd" / "fsdd.npz", **clips, **labels)
    pd.DataFrame({"school": [0] * 8 + [1] * 4, "score": range(12)}).to_parquet(data / "school" / "school.parquet")
    (data / "parkinsons").mkdir()
    voices = pd.DataFrame({"subject#": np.repeat(np.arange(10), 3), "motor_UPDRS": 1.0})
    voices.to_parquet(data / "parkinsons" / "parkinsons_updrs.parquet")
    prepare.main(tmp_path)
    tables = {path.stem: pd.read_parquet(path) for path in (tmp_path / "prepared").glob("*.parquet")}
    assert tables["tox21"]["fingerprint"][1].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert [clip.tolist() for clip in tables["fsdd"]["audio"]] == [[0, 1], [2], [3, 4, 5]]
    assert tables["fsdd"]["split"].tolist() == ["test", "valid", "train"]
    for repeat in range(10):
        assert (
            tables["school"].groupby("school")[f"repeat_{repeat}"].agg(lambda part: (part == "train").sum())
        ).tolist() == [6, 3]
