"""Methods that read the validation skill: before the first one, between two, where it is NaN or below 0."""

import math

import pytest
import torch
from torch import nn

from polytask.balance import DTP, GLS, Achievement

LOSSES = {"a": 2.0, "b": 0.5}


def focal(k: float) -> float:
    return -(1 - k) * math.log(k)


@pytest.mark.parametrize("scores", [None, {}, {"a": math.nan, "b": math.nan}])
def test_before_the_first_validation(step, scores: dict | None) -> None:
    assert step(DTP(["a", "b"]), LOSSES, scores=scores) == {"a": 1, "b": 1}
    assert step(Achievement(["a", "b"]), LOSSES, scores=scores) == pytest.approx(step(GLS(["a", "b"]), LOSSES))


def test_a_task_without_a_skill_among_others(step) -> None:
    assert step(DTP(["a", "b"]), LOSSES, scores={"a": 0.5, "b": math.nan}) == pytest.approx({"a": focal(0.5), "b": 1})
    balancer = Achievement(["a", "b"], mean="arithmetic", margin=0.0)
    weights = step(balancer, LOSSES, scores={"a": 1.0})
    assert weights["b"] == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize("counts_epochs", [True, False])
def test_a_skill_counts_once_a_validation(step, counts_epochs: bool) -> None:
    balancer = DTP(["a"], momentum=0.5)
    for epoch, (skill, average) in enumerate([(0.2, 0.2), (0.6, 0.4), (0.1, 0.25)]):
        for _ in range(4):
            weights = step(balancer, {"a": 1.0}, epoch=epoch if counts_epochs else None, scores={"a": skill})
            assert weights["a"] == pytest.approx(focal(average))
    # NaN (no positive row among the validation rows, say) leaves the average as it was.
    assert step(balancer, {"a": 1.0}, epoch=3, scores={"a": math.nan})["a"] == pytest.approx(focal(0.25))


def test_the_same_skill_in_a_new_epoch_is_a_new_validation(step) -> None:
    balancer = DTP(["a"], momentum=0.5)
    step(balancer, {"a": 1.0}, epoch=1, scores={"a": 0.2})
    for epoch, average in [(2, 0.4), (3, 0.5), (4, 0.55)]:
        assert step(balancer, {"a": 1.0}, epoch=epoch, scores={"a": 0.6})["a"] == pytest.approx(focal(average))


def test_an_absent_task_takes_its_skill_when_it_is_back(step) -> None:
    balancer = DTP(["a", "b"], momentum=0.0)
    step(balancer, LOSSES, epoch=1, scores={"a": 0.2, "b": 0.2})
    step(balancer, {"a": 1.0}, epoch=2, scores={"a": 0.5, "b": 0.5})
    assert balancer.skill.average.tolist() == [0.5, 0.2]
    assert step(balancer, LOSSES, epoch=2, scores={"a": 0.5, "b": 0.5}) == pytest.approx(
        {"a": focal(0.5), "b": focal(0.5)}
    )


@pytest.mark.parametrize(("skill", "held"), [(-7.0, 0.001), (0.0, 0.001), (1.0, 0.999), (1.5, 0.999)])
def test_skills_outside_0_and_1(step, skill: float, held: float) -> None:
    assert step(DTP(["a"]), {"a": 1.0}, scores={"a": skill})["a"] == pytest.approx(focal(held))
    weights = step(Achievement(["a", "b"], mean="arithmetic"), LOSSES, scores={"a": skill, "b": 0.5})
    assert all(0 < weight < 1 for weight in weights.values())


def test_nothing_rises_again_beyond_the_target(step) -> None:
    found = []
    for skill in (0.2, 0.4, 0.63, 0.8, 0.95):
        balancer = Achievement(["a", "b"], targets=[0.6, 0.6], mean="arithmetic")
        found.append(step(balancer, LOSSES, scores={"a": skill, "b": 0.3})["a"])
    assert found == sorted(found, reverse=True)
    assert found[2:] == pytest.approx([found[2]] * 3)  # 0.63 is the target and the margin


@pytest.mark.parametrize("cls", [DTP, Achievement])
def test_who_lags_gets_more(step, cls: type) -> None:
    weights = step(cls(["a", "b"]), {"a": 1.0, "b": 1.0}, scores={"a": 0.9, "b": 0.2})
    assert weights["b"] > weights["a"] > 0


def test_skills_cost_no_look_at_the_losses() -> None:
    w = nn.Parameter(torch.ones(2, device="meta"))
    assert DTP(["a"]).backward({"a": w.sum()}, shared=[w], scores={"a": 0.5})["a"] == pytest.approx(focal(0.5))
