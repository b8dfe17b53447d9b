"""Every regularizer in the catalogue: what docs/concepts.md promises of a Regularizer."""

import copy
import json

import pytest
import torch
from torch import nn

from polytask.config import as_choice, written
from polytask.feature import OutputSpec
from polytask.regularizers import REGULARIZERS

BINARY, THREE = OutputSpec((), "softmax", ("no", "yes")), OutputSpec((3,), "softmax", ("a", "b", "c"))
#: name, settings, what each task's head gives
CASES = [
    ("deep_relationship", {"every": 2, "update": ["tasks", "classes", "features"]}, THREE),
    ("deep_relationship", {}, BINARY),
    ("deep_relationship", {"tasks": ["x", "z"], "every": 1}, THREE),
    ("output_agreement", {}, THREE),
    ("output_agreement", {"over": "batch"}, BINARY),
    ("output_agreement", {"tasks": ["z", "x"]}, BINARY),
    ("ordered_outputs", {"order": ["x", "y", "z"]}, BINARY),
    ("ordered_outputs", {"order": ["z", "x"], "weight": 2.0}, BINARY),
]
TASKS = ("x", "y", "z")


class Head(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.hidden, self.last = nn.Linear(4, 5), nn.Linear(5, spec.shape[0] if spec.shape else 1)
        self.is_scalar = not spec.shape

    def forward(self, values):
        output = self.last(self.hidden(values).relu())
        return output.squeeze(1) if self.is_scalar else output


def make(name, settings, spec, tasks=TASKS):
    heads = {}
    for task in tasks:
        torch.manual_seed(ord(task))
        heads[task] = Head(spec)
    choice = as_choice({name: settings}, REGULARIZERS, "regularizer")
    return choice(dict.fromkeys(tasks, spec), heads), heads


def outputs_of(heads, tasks=None, scale=3.0):
    values = torch.randn(6, 4, generator=torch.Generator().manual_seed(5))
    return {task: scale * heads[task](values) for task in tasks or heads}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].shape}")
def case(request):
    return request.param


def test_every_member_has_a_case_and_is_called_by_its_catalogue_name():
    assert {case[0] for case in CASES} == set(REGULARIZERS)
    for name, cls in REGULARIZERS.items():
        assert cls.name == name
        assert cls.use_when


def test_the_penalty_is_one_finite_number_that_training_can_lower(case):
    regularizer, heads = make(*case)
    optimizer = torch.optim.SGD([p for head in heads.values() for p in head.parameters()], lr=0.01)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        penalty = regularizer(outputs_of(heads), heads)
        assert penalty.shape == ()
        assert torch.isfinite(penalty)
        assert penalty >= 0
        penalty.backward()
        assert all(
            torch.isfinite(p.grad).all() for head in heads.values() for p in head.parameters() if p.grad is not None
        )
        optimizer.step()
        seen.append(float(penalty.detach()))
    if "every" not in case[1]:  # its penalty moves with the covariances
        assert seen[-1] < seen[0] or seen[0] == 0


def test_weight_zero_gives_nothing_and_the_weight_scales(case):
    name, settings, spec = case
    silent, heads = make(name, {**settings, "weight": 0.0}, spec)
    assert silent(outputs_of(heads), heads) is None
    one, three = (
        make(name, {**settings, "weight": weight}, spec)[0](outputs_of(heads), heads) for weight in (1.0, 3.0)
    )
    torch.testing.assert_close(three, 3 * one)


def test_only_present_tasks_get_a_gradient(case):
    for present in (["x"], ["x", "z"], ["y"], ["x", "y", "z"]):
        regularizer, heads = make(*case)
        penalty = regularizer(outputs_of(heads, present), heads)
        if penalty is not None and penalty.requires_grad:
            penalty.backward()
        for task in set(TASKS) - set(present):
            assert all(p.grad is None for p in heads[task].parameters())


def test_it_has_no_parameters_and_its_state_goes_round(case):
    regularizer, heads = make(*case)
    assert not list(regularizer.parameters())
    for _ in range(3):
        regularizer(outputs_of(heads), heads)
    fresh, _ = make(*case)
    fresh.load_state_dict(copy.deepcopy(regularizer.state_dict()))
    for _ in range(3):
        assert torch.equal(fresh(outputs_of(heads), heads), regularizer(outputs_of(heads), heads))


def test_the_order_of_tasks_changes_nothing(case):
    name, settings, spec = case
    one, heads = make(name, settings, spec)
    other, again = make(name, settings, spec, TASKS[::-1])
    for _ in range(2):
        torch.testing.assert_close(one(outputs_of(heads), heads), other(outputs_of(again), again))


def test_settings_are_written_and_read_again(case):
    choice = as_choice({case[0]: case[1]}, REGULARIZERS, "regularizer")
    again = json.loads(json.dumps(written(choice, REGULARIZERS, "regularizer")))
    assert as_choice(again, REGULARIZERS, "regularizer") == choice


def test_a_weight_below_zero_is_refused(case):
    name, settings, spec = case
    with pytest.raises(ValueError, match=f"{name}: weight=-1.0, a number from 0"):
        make(name, {**settings, "weight": -1.0}, spec)


@pytest.mark.parametrize(
    ("name", "settings", "spec", "sentence"),
    [
        ("ordered_outputs", {}, BINARY, "ordered_outputs: order is missing"),
        ("ordered_outputs", {"order": ["x", "y"]}, THREE, "task 'x' is no classification of two classes"),
        ("ordered_outputs", {"order": ["x", "w"]}, BINARY, "ordered_outputs: 'w' is no task"),
        ("ordered_outputs", {"order": ["x"]}, BINARY, "ordered_outputs: it relates two tasks or more"),
        ("output_agreement", {}, OutputSpec(), "output_agreement: task 'x' is no classification"),
        ("output_agreement", {}, OutputSpec((2,), "sigmoid"), "output_agreement: task 'x' is no classification"),
        ("output_agreement", {"over": "rowz"}, BINARY, "over"),
        ("output_agreement", {"tasks": ["x", "x"]}, BINARY, "output_agreement: it relates two tasks or more"),
        ("deep_relationship", {"every": 0}, BINARY, "deep_relationship: every=0"),
        ("deep_relationship", {"update": ["tusks"]}, BINARY, "tusks"),
    ],
)
def test_what_makes_no_sense_is_refused(name, settings, spec, sentence):
    with pytest.raises(Exception, match=sentence):  # a ConfigError where the setting's type says it
        make(name, settings, spec)
