from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional

import polytask as pt
from polytask.data import Batch
from polytask.encoders import MLP, LeNet
from polytask.feature import NUMBERS, Feature, InputSpec
from polytask.model import Blueprint
from polytask.sharing import PadNet
from polytask.sharing.pad_net import Local
from polytask.tasks import Regression
from polytask.train.step import task_losses

SPEC = InputSpec(numbers=("a", "b"))
INPUTS = {NUMBERS: torch.randn(5, 2, generator=torch.Generator().manual_seed(0))}
TASKS = {"x": (-1,), "y": (0, -1), "z": (1,)}


def make_encoder(copy):
    torch.manual_seed(copy)
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def pad_net(tasks=None, **settings):
    return PadNet(make_encoder, tasks or TASKS, torch.Generator().manual_seed(1), **{"channels": 3, **settings})


class Plain(nn.Module):
    """One stage that hands on its input."""

    def __init__(self, width, kind="vector"):
        super().__init__()
        self.widths, self.stages, self.kind = (width,), nn.ModuleList([First()]), kind

    def kinds(self):
        return (self.kind,)


class First(nn.Module):
    def forward(self, inputs):
        return Feature(inputs["values"], inputs.get("mask"))


def test_messages_worked_by_hand():
    """h = (2, −3); f_a = relu(1 · h) = (2, 0), f_b = relu(−1 · h) = (0, 3); a reads f_a + σ(0) · 2 f_b, b f_b + σ(0) · f_a."""
    sharing = PadNet(lambda copy: Plain(2), {"a": (0,), "b": (0,)}, torch.Generator(), channels=None, kernel=1)

    def set_to(local, factor):
        with torch.no_grad():
            local.weight.copy_(factor * torch.eye(2)[:, :, None, None])

    set_to(sharing.adapters["task_a"], 1.0)
    set_to(sharing.adapters["task_b"], -1.0)
    for task, other, factor in (("a", "b", 2.0), ("b", "a", 1.0)):
        message = sharing.messages[f"task_{task}"][f"task_{other}"]
        set_to(message.gate, 0.0)
        set_to(message.value, factor)
    found = sharing({"values": torch.tensor([[2.0, -3.0]])}, ["a", "b"])
    assert found["a"][0].values.tolist() == [[2.0, 3.0]]
    assert found["b"][0].values.tolist() == [[1.0, 3.0]]
    assert sharing.initial_features()["a"][0].values.tolist() == [[2.0, 0.0]]


def test_the_sum_over_the_others_against_a_plain_loop():
    tasks = {"x": (-1,), "y": (-1,), "w": (-1,)}
    sharing = pad_net(tasks, kernel=3).eval()  # off pictures there is nothing to convolve
    h = sharing.trunk[2](sharing.trunk[1](sharing.trunk[0](INPUTS))).values

    def mapped(local, values):
        return values @ local.weight[:, :, 0, 0].T + (0 if local.bias is None else local.bias)

    f = {t: mapped(sharing.adapters[f"task_{t}"], h).relu() for t in tasks}
    for t, features in sharing(INPUTS, list(tasks)).items():
        expected = f[t]
        for j in tasks:
            if j != t:
                message = sharing.messages[f"task_{t}"][f"task_{j}"]
                expected = expected + mapped(message.gate, f[j]).sigmoid() * mapped(message.value, f[j])
        torch.testing.assert_close(features[-1].values, expected)


def test_pictures_are_convolved_and_sequences_mapped_by_token():
    generator = torch.Generator().manual_seed(0)
    pictures, sequences = torch.randn(1, 2, 5, 4), torch.randn(2, 6, 2)
    local = Local(2, 3, 3, generator)
    torch.testing.assert_close(local(pictures), functional.conv2d(pictures, local.weight, local.bias, padding=1))
    local = Local(2, 3, 1, generator)
    torch.testing.assert_close(local(sequences)[1, 2], local(sequences[1, 2:3])[0])
    as_picture = local(sequences.movedim(-1, 1).unsqueeze(-1)).squeeze(-1).movedim(1, -1)
    torch.testing.assert_close(local(sequences), as_picture)


@pytest.mark.parametrize(("kind", "side"), [("vector", 1), ("sequence", 1), ("picture", 3)])
def test_a_kernel_is_for_pictures(kind, side):
    sharing = PadNet(lambda copy: Plain(2, kind), {"a": (0,), "b": (0,)}, torch.Generator())
    assert sharing.adapters["task_a"].weight.shape == (2, 2, side, side)
    assert sharing.messages["task_a"]["task_b"].gate.weight.shape == (2, 2, side, side)


def test_a_mask_goes_on():
    mask = torch.tensor([[True, False, True]])
    sharing = PadNet(lambda copy: Plain(2, "sequence"), {"a": (0,), "b": (0,)}, torch.Generator(), channels=4)
    found = sharing({"values": torch.randn(1, 3, 2), "mask": mask}, ["a"])["a"][0]
    assert found.values.shape == (1, 3, 4)
    assert torch.equal(found.mask, mask)


def test_only_tasks_of_one_stage_meet():
    sharing = pad_net()
    assert {task: list(of) for task, of in sharing.messages.items()} == {
        "task_x": ["task_y"],
        "task_y": ["task_x"],
        "task_z": [],
    }
    assert sharing.widths_of("y") == (2, 8, 3)
    assert sharing.widths_of("z") == (2, 3, 4)
    assert torch.equal(sharing(INPUTS, ["y"])["y"][0].values, make_encoder(0)(INPUTS)[0].values)


def test_dense_stages_of_pictures_stay_maps():
    spec = InputSpec(images={"photo": (1, 16, 16)})
    sharing = PadNet(lambda copy: LeNet(spec, channels=(3, 4)), {"a": (1,), "b": (1,)}, torch.Generator(), channels=5)
    assert sharing({"photo": torch.ones(2, 1, 16, 16)}, ["a"])["a"][1].values.shape == (2, 5, 2, 2)


def model_of(**settings):
    return Blueprint(
        tasks=tuple(Regression(name, reads=-1 if name != "z" else 1) for name in TASKS),
        fitted={name: {"mean": 0.0, "std": 1.0} for name in TASKS},
        encoder=MLP.with_(widths=(8, 4), dropout=0.0),
        sharing=PadNet.with_(**{"channels": 3, **settings}),
        spec=SPEC,
        seed=0,
    ).build()


def batch():
    ones = dict.fromkeys(TASKS, torch.ones(5))
    present = dict.fromkeys(TASKS, torch.ones(5, dtype=torch.bool))
    return Batch(INPUTS, {name: torch.arange(5.0) for name in TASKS}, present, ones, tuple(TASKS), 5)


def losses_of(model, tasks=tuple(TASKS)):
    return task_losses(model, [(tasks, batch())], {name: Regression(name) for name in TASKS}, nullcontext)[0]


def test_the_initial_predictions_losses_are_added_in_training_alone():
    model = model_of(initial_weight=0.5)
    found = losses_of(model)
    outputs = model(INPUTS)
    target = torch.arange(5.0)
    for name, loss in found.items():
        first = model.initial_heads[f"task_{name}"](model.sharing.initial_features()[name])
        expected = (outputs[name] - target).square().mean() + 0.5 * (first - target).square().mean()
        torch.testing.assert_close(loss, expected)
    plain = losses_of(model.eval())
    torch.testing.assert_close(plain["x"], (model(INPUTS)["x"] - target).square().mean())


def test_weight_zero_makes_no_second_heads():
    assert not [name for name in model_of(initial_weight=0.0).state_dict() if "initial" in name]
    heads = model_of().state_dict()
    assert not torch.equal(heads["heads.task_x.layers.0.weight"], heads["initial_heads.task_x.layers.0.weight"])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_declared_parameters_of_the_whole_model_are_those_the_graph_reaches(weight):
    model = model_of(initial_weight=weight)
    parameters = list(model.parameters())
    reached = {}
    for task in TASKS:
        found = torch.autograd.grad(losses_of(model)[task], parameters, allow_unused=True)
        reached[task] = {id(p) for p, g in zip(parameters, found, strict=True) if g is not None}
    counts = {id(p): sum(id(p) in found for found in reached.values()) for p in parameters}
    assert {id(p) for p in model.shared_parameters()} == {p for p, n in counts.items() if n >= 2}
    for task in TASKS:
        assert {id(p) for p in model.task_parameters(task)} == {p for p in reached[task] if counts[p] == 1}
    assert min(counts.values()) == 1


def test_an_absent_task_keeps_both_its_heads_as_they_are():
    model = model_of()
    losses_of(model, ("x",))["x"].backward()
    for part in (model.heads, model.initial_heads):
        assert all(p.grad is None for name in ("y", "z") for p in part[f"task_{name}"].parameters())
        assert all(p.grad is not None for p in part["task_x"].parameters())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"channels": 0}, "pad_net: channels=0, a whole number from 1"),
        ({"kernel": 2}, "pad_net: kernel=2, an odd number"),
        ({"initial_weight": -1.0}, "pad_net: initial_weight=-1.0, a number from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        pad_net(**settings)


def test_it_is_there_for_users():
    assert pt.sharing.SHARINGS["pad_net"] is PadNet
