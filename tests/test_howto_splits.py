"""docs/howto/data.md: the settings of its part on splits are ones that an Experiment takes."""

import re
from pathlib import Path

import pytest

from polytask.data import RESAMPLERS, SplitSettings
from polytask.experiment import Experiment
from polytask.yaml_file import parse_yaml

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "howto" / "data.md").read_text(encoding="utf-8")
SPLITS, RARE = (TEXT.split(f"## {title}\n")[1].split("\n## ")[0] for title in ("Splits", "Rare classes"))


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", SPLITS, flags=re.DOTALL))
def test_the_yaml_is_an_experiment_s(block):
    tasks = "tasks: {intent: {kind: classification}, slots: {kind: regression}, churned: {kind: classification}}\n"
    experiment = Experiment.read(*parse_yaml(tasks + block, "data.md"))
    assert Experiment.read(experiment.written()) == experiment


@pytest.mark.parametrize("written", re.findall(r"`split: (\{.*?\})`", SPLITS))
def test_the_splits_are_settings(written):
    values, _ = parse_yaml(f"split: {written}", "data.md")
    assert SplitSettings(**values["split"])


def test_every_way_to_resample_is_named():
    assert set(re.findall(r"^\| `(\w+)` \|", RARE, flags=re.MULTILINE)) == set(RESAMPLERS)
