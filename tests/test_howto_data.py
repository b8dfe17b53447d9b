"""docs/howto/data.md: its Python runs, its YAML is read, it names every augmentation."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import polytask as pt
from polytask.config import build
from polytask.data import AUGMENTATIONS, read_augmentations
from polytask.studies import StudySettings
from polytask.studies.candidates import read_candidates
from polytask.train import MeanTeacher

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "howto" / "data.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"## {title}\n")[1], flags=re.MULTILINE)[0]


@pytest.fixture
def own_entries():
    """What the page puts into the catalogue is no other test's business."""
    before = dict(AUGMENTATIONS)
    yield
    AUGMENTATIONS.clear()
    AUGMENTATIONS.update(before)


def test_the_augmentations_run(tmp_path, own_entries):
    names: dict = {}
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", section("Augmentation"), flags=re.DOTALL | re.MULTILINE)
    ):
        script = tmp_path / f"block_{number}.py"
        script.write_text(block, encoding="utf-8")
        names |= runpy.run_path(str(script), init_globals=names)
    assert names["seen"].shape[1] == 4
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "y"])
    run = pt.fit(
        frame, [pt.Regression("y")], augment=[{"mute": {"share": 0.2}}], epochs=1, folder=tmp_path / "run", quiet=True
    )
    assert "mute" in (run.path / "config.yaml").read_text()


def test_the_yaml_is_a_list_of_augmentations():
    for block in re.findall(r"^```yaml\n(.*?)^```", section("Augmentation"), flags=re.DOTALL | re.MULTILINE):
        assert len(read_augmentations(yaml.safe_load(block)["data"]["augment"])) == 4


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_named(name):
    assert f"`{name}`" in section("Augmentation")


def test_few_labels_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```", section("Few labels"), flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "few.py").write_text(block, encoding="utf-8")
    names = runpy.run_path(str(tmp_path / "few.py"))
    frame = names["more"].frame
    assert (frame["kind weight"] == 0.5).sum() > 10
    assert names["second"].split().counts()["test"] == names["first"].split().counts()["test"]
    assert "missing in rows to learn from are borrowed" in capsys.readouterr().err


def test_the_yaml_of_few_labels_is_an_experiment():
    blocks = re.findall(r"^```yaml\n(.*?)^```", section("Few labels"), flags=re.DOTALL | re.MULTILINE)
    borrowed, teacher, study = map(yaml.safe_load, blocks)
    assert pt.Experiment.read(borrowed).data.pseudo_labels.weight == 0.5
    assert pt.Experiment.read(borrowed | {"train": teacher["train"]}).train.mean_teacher == MeanTeacher()
    settings = build(StudySettings, study["study"])
    assert len(read_candidates(pt.Experiment(tasks=(pt.Regression("price"),)), settings.candidates)) == 3
