"""docs/choosing.md names what there is, its YAML is a study, and its numbers are those of the benchmarks."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from polytask.catalogue import CATALOGUES
from polytask.config import build
from polytask.experiment import Experiment
from polytask.experiment.choices import SECTIONS
from polytask.experiment.prepare import make_blueprint
from polytask.feature import InputSpec
from polytask.studies import StudySettings
from polytask.studies.candidates import read_candidates
from polytask.tasks import Classification, Regression
from polytask.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")


#: Those of the page's examples of settings.
TASKS = (Regression("price"), Classification("viewed"), Classification("sold"))


def studies():
    found = []
    for text in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL):
        values, source = parse_yaml(text, "choosing.md")
        settings = build(StudySettings, values["study"], source, ("study",))
        found.append(read_candidates(Experiment(tasks=TASKS), settings.candidates))
    return found


def test_its_yaml_is_a_study():
    assert [len(candidates) for candidates in studies()] == [4, 10, 4]


def test_its_examples_of_settings_can_be_built():
    values, present = np.tile([0.0, 1.0], 5), np.ones(10, dtype=bool)
    fitted = {task.name: task.fit(values, present) for task in TASKS}
    spec = InputSpec(numbers=("area", "rooms"))
    for experiment, _ in studies()[1].values():
        make_blueprint(experiment, fitted, spec, [[task.name for task in TASKS]])


def test_every_method_it_names_is_there():
    known = {name for members in CATALOGUES.values() for name in members} | set(SECTIONS)
    others = {"grid", "representation", "exact", "placebo", "weights", "max_norm", "every"}
    others |= {"equal_parameters", "pooled", "split", "reads", "dropout", "balance"}
    others |= {"bottleneck", "reduction", "channels", "preference"}
    named = set(re.findall(r"`([a-z][a-z_0-9]*)`", TEXT))
    assert named - known - others == set()
    assert len(named & set(CATALOGUES["balancers"])) >= 30


def test_every_sharing_scheme_has_a_symptom_and_a_cost():
    symptoms, costs = TEXT.split("### From a symptom to a scheme")[1].split("### What each costs")
    costs = costs.split("### How deep")[0]
    later = TEXT.split("### Tasks in an order")[1].split("### Conditioning")[0]
    for name in CATALOGUES["sharings"]:
        assert f"`{name}`" in symptoms + later or name == "independent", name
        assert f"`{name}`" in costs, name


@pytest.mark.skipif("regularizers" not in CATALOGUES, reason="there are none")
def test_every_regularizer_is_named():
    assert all(f"`{name}`" in TEXT for name in CATALOGUES["regularizers"])


def test_its_verdicts_are_those_of_the_benchmark():
    rows = json.loads((ROOT / "benchmarks" / "results" / "verdicts.json").read_text(encoding="utf-8"))["rows"]
    tasks = [row for row in rows if row["task"] != "mean of tasks"]
    words = Counter(row["verdict"] for row in tasks)
    said = " ".join(TEXT.split())
    assert f"of the {len(tasks)} tasks of six data sets" in said
    assert len({row["data"] for row in rows}) == 6
    assert (
        f"sharing helps {words['helps']}, hurts {words['hurts']}, is practically equal for {words['practically equal']}, "
        f"and for {words['cannot tell']} the rows at hand cannot tell"
    ) in said
    tox = [row for row in rows if row["data"] == "tox21"]
    assert {row["verdict"] for row in tox if row["task"] == "mean of tasks"} == {"helps"}
    assert sum(row["verdict"] == "helps" for row in tox if row["task"] != "mean of tasks") == 2


def test_its_files_are_there():
    for name in re.findall(r"\]\(([\w.]+\.md)[)#]", TEXT):
        assert (ROOT / "docs" / name).exists(), name
    for name in re.findall(r"`(benchmarks/[\w/.]+)`", TEXT):
        assert (ROOT / name).exists(), name
