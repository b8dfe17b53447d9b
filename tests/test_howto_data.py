"""docs/howto/data.md: its Python runs, its YAML is read, it names every augmentation."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import polytask as pt
from polytask.data import AUGMENTATIONS, read_augmentations

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
