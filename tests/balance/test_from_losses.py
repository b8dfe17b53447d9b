"""Settings of the methods that see losses only."""

import pytest
import torch

from polytask.balance import (
    BALANCERS,
    COSMOS,
    DTP,
    DWA,
    IMTLL,
    RLW,
    STCH,
    UWSO,
    Achievement,
    EMANormalised,
    Fixed,
    PenaltyCoefficients,
    ScaleInvariant,
    Tchebycheff,
    Uncertainty,
    UncertaintyRevised,
)
from polytask.config import ConfigError, as_choice


@pytest.mark.parametrize("weights", [{"b": 0.5, "a": 2.0}, [2.0, 0.5]])
def test_fixed_weights_by_name_and_in_order(weights: dict | list) -> None:
    choice = as_choice({"fixed": {"weights": weights}}, {"fixed": Fixed}, "balancer")
    assert choice(["a", "b"]).weights.tolist() == [2, 0.5]


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (None, r"needs a weight for every task: weights=\{'income': 1.0, 'age': 1.0\}"),
        ([1.0], "1 weights for the 2 tasks"),
        ({"income": 1.0}, "no weight for task 'age'"),
        ({"income": 1.0, "age": 1.0, "incom": 2.0}, "unknown task 'incom'; did you mean 'income'?"),
        ({"income": -1.0, "age": 1.0}, "the weight of task 'income' is -1.0"),
        ({"income": float("nan"), "age": 1.0}, "the weight of task 'income' is nan"),
        ([0.0, 0.0], "all weights are 0"),
    ],
)
def test_fixed_weights_that_cannot_be(weights: dict | list | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Fixed(["income", "age"], weights=weights)


@pytest.mark.parametrize(
    ("cls", "settings", "says"),
    [
        (DWA, {"temperature": 0.0}, "temperature=0.0"),
        (DWA, {"window": 0}, "window=0"),
        (Uncertainty, {"learning_rate": 0.0}, "learning_rate=0.0"),
        (Uncertainty, {"learning_rate": float("nan")}, "learning_rate=nan"),
        (UncertaintyRevised, {"learning_rate": 0.0}, "uncertainty_revised: learning_rate=0.0"),
        (IMTLL, {"learning_rate": -1.0}, "imtl_l: learning_rate=-1.0"),
        (UWSO, {"temperature": 0.0}, "uw_so: temperature=0.0"),
        (EMANormalised, {"momentum": 1.0}, "ema_normalised: momentum=1.0"),
        (EMANormalised, {"weights": [-1.0]}, "the weight of task 'a' is -1.0, a finite number >= 0 is wanted"),
        (ScaleInvariant, {"weights": {"b": 1.0}}, "scale_invariant: a weight for the unknown task 'b'"),
        (STCH, {"mu": 0.0}, "stch: mu=0.0"),
        (STCH, {"warmup": -1}, "stch: warmup=-1"),
        (STCH, {"window": 0}, "stch: window=0"),
        (STCH, {"preferences": [1.0]}, "preferences and ideals have no effect on logarithms"),
        (STCH, {"ideals": [0.0]}, "preferences and ideals have no effect on logarithms"),
        (Tchebycheff, {"preferences": [0.0]}, "the preference of task 'a' is 0.0, a finite number > 0 is wanted"),
        (Tchebycheff, {"ideals": [float("inf")]}, "the ideal of task 'a' is inf, a finite number is wanted"),
        (COSMOS, {"strength": -1.0}, "cosmos: strength=-1.0"),
        (COSMOS, {"preferences": [1.0, 2.0]}, "cosmos: 2 preferences for the 1 tasks"),
        (DTP, {"gamma": -1.0}, "dtp: gamma=-1.0"),
        (DTP, {"momentum": 1.0}, "dtp: momentum=1.0"),
        (Achievement, {"targets": [0.0]}, "achievement: the target of task 'a' is 0.0, a finite number > 0"),
        (Achievement, {"gamma": float("inf")}, "achievement: gamma=inf"),
        (Achievement, {"margin": -0.1}, "achievement: margin=-0.1"),
        (Achievement, {"momentum": -0.5}, "achievement: momentum=-0.5"),
        (PenaltyCoefficients, {"strength": -1.0}, "penalty_coefficients: strength=-1.0"),
        (PenaltyCoefficients, {"limit": 0.5}, "penalty_coefficients: limit=0.5"),
        (PenaltyCoefficients, {"momentum": 1.0}, "penalty_coefficients: momentum=1.0"),
        (PenaltyCoefficients, {"expectations": {}}, "no expectation for task 'a': expectations={'a': 1.0}"),
    ],
)
def test_settings_that_cannot_be(cls: type, settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cls(["a"], **settings)


def test_uncertainty_moves_as_adam_of_torch_does() -> None:
    losses = torch.linspace(0.1, 3, 50, dtype=torch.float64)
    s = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    reference = torch.optim.Adam([s], lr=0.025)
    balancer = Uncertainty(["a"])
    for loss in losses:
        reference.zero_grad()
        ((torch.exp(-s) * loss + s) / 2).sum().backward()
        reference.step()
        balancer.backward({"a": loss.clone().requires_grad_()}, shared=[])
    torch.testing.assert_close(balancer.log_variance, s.detach())


@pytest.mark.parametrize("name", ["uncertainty", "uncertainty_revised", "imtl_l"])
def test_what_is_learnt_is_bounded_on_losses_below_zero(step, name: str) -> None:
    balancer = BALANCERS[name](["a"], learning_rate=5.0)
    for _ in range(5):
        weight = step(balancer, {"a": -1.0})["a"]
    assert 0 < weight < 3e4  # exp(10)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [(RLW, {"distribution": "cauchy"}), (STCH, {"of": "roots"}), (Achievement, {"mean": "harmonic"})],
)
def test_words_that_cannot_be(cls: type, settings: dict) -> None:
    ((setting, word),) = settings.items()
    with pytest.raises(ConfigError, match=f"{setting}: got '{word}'"):
        cls.with_(**settings)
