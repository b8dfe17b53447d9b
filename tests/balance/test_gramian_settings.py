"""Settings of the Gramian methods: what is refused, and how they are written."""

import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS, EPO, IMTL, AlignedMTL
from polytask.config import ConfigError, as_choice


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("pcgrad", {"orders": 0}, "orders=0, at least 1"),
        ("pcgrad", {"orders": "all"}, "orders='all' for 7 tasks: up to 6"),
        ("gradvac", {"rate": 1.5}, "rate=1.5"),
        ("sdmgrad", {"weight": -0.1}, "weight=-0.1"),
        ("nash_mtl", {"max_norm": 0.0}, "max_norm=0.0"),
        ("fairgrad", {"alpha": 0.0}, "alpha=0.0, a number from 0.5 to 10"),
        ("fairgrad", {"alpha": float("nan")}, "alpha=nan"),
        ("aligned_mtl", {"preferences": [1.0]}, "1 preferences for the 7 tasks"),
        ("epo", {"preferences": {"t9": 1.0}}, "unknown task 't9'"),
        ("imtl", {"learning_rate": 0.0}, "learning_rate=0.0"),
        ("cosine_gate", {}, "it needs the main task: main='t0'"),
        ("cosine_gate", {"main": "x"}, "main='x' is no task; known: t0, t1"),
    ],
)
def test_settings_that_cannot_be(name: str, settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BALANCERS[name]([f"t{k}" for k in range(7)], **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("mgda", {"normalization": "l1"}), ("aligned_mtl", {"scale": "max"}), ("pcgrad", {"orders": "a"})],
)
def test_words_that_are_none_of_the_choices(name: str, settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        BALANCERS[name].with_(**settings)


@pytest.mark.parametrize(
    ("preferences", "says"),
    [
        ({"a": 1.0}, "no preference for task 'b'"),
        ({"a": 1.0, "b": 0.0}, "the preference of task 'b' is 0.0"),
        ({"a": 1.0, "b": float("inf")}, "the preference of task 'b' is inf"),
        ([1.0, 2.0, 3.0], "3 preferences for the 2 tasks"),
    ],
)
def test_preferences_that_cannot_be(preferences: dict | list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EPO(["a", "b"], preferences=preferences)


def test_preferences_by_name_in_order_and_not_given() -> None:
    for method in (EPO, AlignedMTL):
        assert method(["a", "b"], preferences=[1.0, 3.0]).preferences.tolist() == [0.25, 0.75]
        assert method(["a", "b"], preferences={"b": 3.0, "a": 1.0}).preferences.tolist() == [0.25, 0.75]
        assert method(["a", "b"]).preferences.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "written",
    [
        {"pcgrad": {"orders": "all"}},
        {"pcgrad": {"orders": 5}},
        {"mgda": {"normalization": "loss+"}},
        {"nash_mtl": {"max_norm": 1.0}},
        {"nash_mtl": {"max_norm": None}},
        {"epo": {"preferences": {"a": 1.0, "b": 2.0}}},
        {"epo": {"preferences": [1.0, 2.0]}},
        {"cosine_gate": {"main": "b", "soft": False}},
    ],
)
def test_settings_as_yaml_writes_them(written: dict) -> None:
    as_choice(written, BALANCERS, "balancer")(["a", "b"])


def test_imtl_scales_what_heads_receive() -> None:
    shared, heads = nn.Parameter(torch.ones(2)), {n: nn.Parameter(torch.ones(())) for n in "ab"}
    balancer = IMTL(["a", "b"])
    balancer.log_scale.copy_(torch.log(torch.tensor([0.5, 4.0])))
    losses = {"a": shared[0] * heads["a"], "b": shared[1] * heads["b"]}
    weights = balancer.backward(losses, shared=[shared])
    assert [heads[n].grad.item() for n in "ab"] == pytest.approx([0.5, 4.0])
    # Gradients e^s g are (.5, 0) and (0, 4): IMTL-G weighs them 8/9 and 1/9.
    assert list(weights.values()) == pytest.approx([0.5 * 8 / 9, 4 / 9])
    assert shared.grad.tolist() == pytest.approx([4 / 9, 4 / 9])
