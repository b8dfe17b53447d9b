"""Settings of the methods that see losses only."""

import pytest
import torch

from polytask.balance import DWA, Fixed, Uncertainty
from polytask.config import as_choice


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
