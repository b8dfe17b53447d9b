"""docs/concepts.md says what is there: it names every member of the catalogues, its YAML is an Experiment."""

import re
from pathlib import Path

import pytest

from polytask.yaml_file import parse_yaml

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "concepts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("catalogue", ["features", "encoders", "sharings", "regularizers", "balancers", "agendas"])
def test_every_member_is_named(catalogue):
    from polytask.catalogue import CATALOGUES

    for name in CATALOGUES[catalogue]:
        assert f"`{name}`" in TEXT, f"{catalogue}: {name}"


def test_every_kind_of_task_is_named():
    from polytask.tasks import TASKS

    for cls in TASKS.values():
        assert f"`{cls.__name__}`" in TEXT


def test_balancers_read_what_is_said():
    from polytask.balance import BALANCERS

    rows = dict(re.findall(r"^\| `(\w+)` \| (losses|Gramian|Jacobian|probe) \|", TEXT, flags=re.MULTILINE))
    assert set(rows) == set(BALANCERS)
    for name, reads in rows.items():
        costs = BALANCERS[name].reads & {"gramian", "jacobian", "probe"}
        assert bool(costs) == (reads != "losses"), name
        assert not costs or reads.lower() in costs, name


def test_the_length_of_the_weights_is_what_is_said():
    from polytask.balance import BALANCERS

    (said,) = re.findall(r"^(The weights of some are like .*?)\n\n", TEXT, flags=re.MULTILINE | re.DOTALL)
    sums, means = said.split("like a mean's")
    for like, text in {"sum": sums, "mean": means.split("under plain SGD")[0]}.items():
        named = set(re.findall(r"`(\w+)`", text))
        assert named == {name for name, cls in BALANCERS.items() if cls.weights_like == like}


def test_the_yaml_is_an_experiment():
    from polytask.experiment import Experiment

    text, _ = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    values, source = parse_yaml(text, "concepts.md")
    experiment = Experiment.read(values, source)
    assert [task.name for task in experiment.tasks] == ["income", "weeks_worked"]
    assert experiment.train.learning_rate == 0.001
    assert Experiment.read(experiment.written()) == experiment


def test_the_yaml_of_a_study_is_one():
    from polytask.config import build
    from polytask.studies import StudySettings
    from polytask.studies.baselines import BASELINES

    _, text = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    values, source = parse_yaml(text, "concepts.md")
    settings = build(StudySettings, values["study"], source, ("study",))
    assert settings.num_folds == 5
    assert set(settings.baselines) | {"lightgbm"} == set(BASELINES)
    for companion in ("placebo", "equal_parameters", "pooled"):
        assert f"| `{companion}` |" in TEXT
