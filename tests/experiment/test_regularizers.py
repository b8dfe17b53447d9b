"""Regularizers from a user's doors: written, cited, counted in the losses, listed, warned of, overridden in studies."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.catalogue import entries
from polytask.errors import ConfigError
from polytask.experiment import Experiment
from polytask.feature import InputSpec
from polytask.model import Blueprint
from polytask.studies.candidates import name_of_overrides, read_candidates
from polytask.yaml_file import parse_yaml, read_yaml


def table(rows=60):
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(rows, 3)), columns=["a", "b", "c"])
    for name in ("click", "buy"):
        frame[name] = np.where(frame["a"] + 0.5 * draws.normal(size=rows) > 0, "yes", "no")
    frame.loc[::7, "buy"] = None
    return frame


TASKS = [pt.Classification("click"), pt.Classification("buy")]
ALL = [
    {"deep_relationship": {"every": 2}},
    "output_agreement",
    {"ordered_outputs": {"order": ["click", "buy"], "weight": 0.5}},
]


def fit(folder, **settings):
    return pt.fit(
        table(),
        TASKS,
        encoder={"mlp": {"widths": [4]}},
        epochs=2,
        batch_size=16,
        folder=folder,
        **{"quiet": True, **settings},
    )


def test_a_run_has_them_written_cited_and_read_again(tmp_path):
    run = fit(tmp_path / "run", regularizers=ALL)
    config, _ = read_yaml(tmp_path / "run" / "config.yaml")
    assert config["regularizers"] == ALL
    assert json.loads((tmp_path / "run" / "model.json").read_text())["regularizers"] == ALL
    for key in ("longm2017", "lin1991", "xi2021"):
        assert f"{{{key}," in (tmp_path / "run" / "citations.bib").read_text()
    again = pt.load(tmp_path / "run").predict(table(5))
    pd.testing.assert_frame_equal(run.predict(table(5)), again)


def test_they_change_training_and_an_empty_list_does_not(tmp_path):
    plain, none = fit(tmp_path / "plain"), fit(tmp_path / "none", regularizers=[])
    held = fit(tmp_path / "held", regularizers=[pt.regularizers.OutputAgreement.with_(weight=50.0)])
    loss = {
        name: [
            h["training_loss"]["buy"] for h in map(json.loads, (run.folder / "history.jsonl").read_text().splitlines())
        ]
        for name, run in (("plain", plain), ("none", none), ("held", held))
    }
    assert loss["plain"] == loss["none"] != loss["held"]
    assert "regularizers" not in read_yaml(tmp_path / "none" / "config.yaml")[0]


def test_what_they_have_learnt_is_in_the_weights_of_a_run(tmp_path):
    run = fit(tmp_path / "run", regularizers=ALL)
    state = run.model().state_dict()
    assert state["regularizers.0.count"] > 1
    assert not torch.equal(state["regularizers.0.tasks_covariance"], torch.eye(2))


def test_the_penalties_of_a_model():
    blueprint = Blueprint(
        tasks=tuple(TASKS),
        fitted={name: {"classes": ["no", "yes"], "counts": [1, 1]} for name in ("click", "buy")},
        encoder=pt.encoders.MLP.with_(widths=(4,), dropout=0.0),
        sharing=pt.sharing.Hard.with_(),
        spec=InputSpec(numbers=("a",)),
        seed=0,
        regularizers=(
            pt.regularizers.OrderedOutputs.with_(order=["click", "buy"], weight=1.0),
            pt.regularizers.OrderedOutputs.with_(order=["buy", "click"], weight=1.0),
            pt.regularizers.DeepRelationship.with_(),
        ),
    )
    model = blueprint.build()
    outputs = model({"<numbers>": torch.randn(6, 1)})
    p, q = (outputs[name].sigmoid() for name in ("click", "buy"))
    found = model.penalties()
    assert set(found) == {"ordered_outputs", "deep_relationship"}
    torch.testing.assert_close(found["ordered_outputs"], (p - q).abs().mean())  # two of a kind count together
    assert sorted(
        map(id, [*model.shared_parameters(), *model.task_parameters("click"), *model.task_parameters("buy")])
    ) == sorted(map(id, model.parameters()))


def read(text):
    values, source = parse_yaml(
        "tasks:\n  click: {kind: classification}\n  buy: {kind: classification}\n" + text, "run.yaml"
    )
    return Experiment.read(values, source)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("regularizers: [output_agrement]", r"run.yaml, line 4, regularizers\[0\].*did you mean 'output_agreement'"),
        ("regularizers: [{ordered_outputs: {ordr: [a]}}]", r"line 4.*unknown setting 'ordr'; did you mean 'order'"),
        ("regularizers: output_agreement", r"line 4, regularizers: a list is wanted"),
        ("regularizers: {output_agreement: {}}", r"line 4, regularizers: a list is wanted"),
        ("regularizer: []", r"unknown key 'regularizer'; did you mean 'regularizers'"),
    ],
)
def test_what_is_misspelt_is_answered_with_its_line(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(text)


def test_yaml_goes_round():
    experiment = read("regularizers: [output_agreement, {deep_relationship: {every: 5}}]")
    assert Experiment.read(experiment.written()) == experiment


def test_what_cannot_be_built_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="ordered_outputs: 'bye' is no task; did you mean 'buy'"):
        fit(tmp_path / "run", regularizers=[{"ordered_outputs": {"order": ["click", "bye"]}}])


def test_comparing_outputs_without_common_rows_is_warned_of(tmp_path, capsys):
    fit(tmp_path / "run", regularizers=ALL, agenda="alternating", quiet=False)
    said = capsys.readouterr().err
    for name, is_warned in (("output_agreement", True), ("ordered_outputs", True), ("deep_relationship", False)):
        assert (f"regularizer {name} has no effect" in said) == is_warned


def test_the_catalogue_lists_them():
    assert [entry.name for entry in entries("regularizers")] == list(pt.regularizers.REGULARIZERS)


def test_a_study_may_override_them():
    experiment = read("regularizers: [output_agreement]")
    overrides = [{"regularizers": []}, {"regularizers": [pt.regularizers.DeepRelationship.with_(every=3)]}]
    found = read_candidates(experiment, overrides)
    assert list(found) == ["regularizers=none", "regularizers=deep_relationship(every=3)"]
    assert [len(candidate.regularizers) for candidate, _ in found.values()] == [0, 1]
    assert (
        name_of_overrides({"regularizers": ["output_agreement", "deep_relationship"]}, experiment)
        == "regularizers=output_agreement + deep_relationship"
    )
