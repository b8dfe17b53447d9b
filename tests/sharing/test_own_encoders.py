import json

import pytest
import torch

from polytask.config import as_choice, constructors, written
from polytask.encoders import ENCODERS, MLP, ResNet
from polytask.errors import ConfigError
from polytask.feature import NUMBERS, InputSpec
from polytask.model import Blueprint
from polytask.sharing import SHARINGS, Hard, Independent, OwnEncoders
from polytask.tasks import Regression
from polytask.yaml_file import read_yaml, write_yaml

SPEC = InputSpec(numbers=("a", "b"))
INPUTS = {NUMBERS: torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])}
TASKS = {"x": (-1,), "y": (-1,), "z": (0,)}


def make_encoder(copy, encoder=None):
    torch.manual_seed(copy)
    return as_choice(encoder or {"mlp": {"widths": [8, 4], "dropout": 0.0}}, ENCODERS, "encoder")(SPEC)


def own(encoders, tasks=None, **settings):
    return OwnEncoders(make_encoder, tasks or TASKS, torch.Generator(), encoders=encoders, **settings).eval()


def test_tasks_that_are_not_named_share_as_under_hard():
    found, hard = own({"y": "resnet"}), Hard(make_encoder, TASKS, torch.Generator()).eval()
    for task in ("x", "z"):
        for a, b in zip(found(INPUTS, ["x", "z"])[task], hard(INPUTS, ["x", "z"])[task], strict=True):
            assert torch.equal(a.values, b.values)


def test_a_task_with_an_encoder_of_its_own_is_that_encoder_alone():
    chosen = {"resnet": {"width": 5, "blocks": 2, "dropout": 0.0}}
    expected = make_encoder(0, chosen).eval()(INPUTS)
    found = own({"y": chosen})(INPUTS, ["y"])["y"]
    assert all(torch.equal(a.values, b.values) for a, b in zip(found, expected, strict=True))


def test_all_named_shares_nothing_and_the_same_encoder_is_independent():
    same = {"mlp": {"widths": [8, 4], "dropout": 0.0}}
    found, alone = own(dict.fromkeys(TASKS, same)), Independent(make_encoder, TASKS, torch.Generator()).eval()
    assert not list(found.shared_parameters())
    assert found.widths == ()
    for task in TASKS:
        assert torch.equal(found(INPUTS, [task])[task][-1].values, alone(INPUTS, [task])[task][-1].values)


def test_beside_reads_both_ends_and_only_those():
    found = own({"y": {"mlp": {"widths": [5]}}}, beside=True)
    features = found(INPUTS, ["x", "y"])
    assert found.widths_of("y") == (2, 9)
    assert torch.equal(features["y"][-1].values[:, :4], features["x"][-1].values)
    assert torch.equal(
        features["y"][-1].values[:, 4:], make_encoder(0, {"mlp": {"widths": [5]}}).eval()(INPUTS)[-1].values
    )


def test_beside_an_early_stage_runs_the_shared_chain_no_deeper():
    found = own({"y": {"mlp": {"widths": [5]}}}, {"y": (0,), "x": (0,)}, beside=True)
    assert len(found.trunk) == 1
    assert [f.values.shape[1] for f in found(INPUTS, ["y"])["y"]] == [4]


def test_a_stage_that_one_of_the_two_chains_does_not_have_is_refused():
    with pytest.raises(ValueError, match="own_encoders: task 'x' reads stage 3 beside the shared chain, which has 3"):
        own({"x": {"mlp": {"widths": [5, 5, 5]}}}, {"x": (3,)}, beside=True)


@pytest.mark.parametrize(
    ("encoders", "sentence"),
    [
        ({"w": "mlp"}, "own_encoders: encoders names 'w', which is no task"),
        ({"x": "lenet"}, "own_encoders: the encoder of task 'x': "),
    ],
)
def test_what_makes_no_sense_is_refused(encoders, sentence):
    with pytest.raises(ValueError, match=sentence):
        own(encoders)


def test_an_unknown_encoder_is_answered_with_the_nearest_and_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"encoders\.x\.resnett: unknown encoder 'resnett'; did you mean 'resnet'"):
        as_choice({"own_encoders": {"encoders": {"x": "resnett"}}}, SHARINGS, "sharing", path=("sharing",))
    with pytest.raises(ConfigError, match=r"encoders\.x\.mlp.*unknown setting 'width'"):
        as_choice({"own_encoders": {"encoders": {"x": {"mlp": {"width": [3]}}}}}, SHARINGS, "sharing")


def test_choices_survive_yaml_and_json(tmp_path):
    chosen = OwnEncoders.with_(encoders={"x": MLP.with_(widths=(8,)), "y": ResNet, "z": {"mlp": {"widths": [3]}}})
    values = written(chosen, SHARINGS, "sharing")
    assert values == {
        "own_encoders": {"encoders": {"x": {"mlp": {"widths": [8]}}, "y": "resnet", "z": {"mlp": {"widths": [3]}}}}
    }
    (tmp_path / "choice.yaml").write_text(write_yaml(values))
    for again in (json.loads(json.dumps(values)), read_yaml(tmp_path / "choice.yaml")[0]):
        assert as_choice(again, SHARINGS, "sharing") == chosen
    assert list(constructors(chosen)) == [OwnEncoders, MLP, ResNet, MLP]


def test_a_blueprint_builds_it_and_writes_it():
    blueprint = Blueprint(
        tasks=(Regression("x"), Regression("y")),
        fitted={name: {"mean": 0.0, "std": 1.0} for name in ("x", "y")},
        encoder=MLP.with_(widths=(6,)),
        sharing=OwnEncoders.with_(encoders={"y": {"resnet": {"width": 5, "blocks": 2}}}),
        spec=SPEC,
        seed=1,
    )
    again = Blueprint.from_json(json.loads(json.dumps(blueprint.to_json())))
    one, other = (b.build().eval()(INPUTS) for b in (blueprint, again))
    assert all(torch.equal(one[task], other[task]) for task in one)
