"""GradNorm: which layer it looks at, when, and where it settles."""

import pytest
import torch
from torch import nn

from polytask.balance import GradNorm


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.norm = nn.LayerNorm(4)

    def shared(self) -> list[nn.Parameter]:
        return list(self.parameters())

    def losses(self, early: str = "") -> dict[str, torch.Tensor]:
        hidden = self.first(torch.linspace(-1, 1, 12).reshape(4, 3)).tanh()
        late = self.norm(self.frozen(self.second(hidden)))
        return {n: ((hidden if n in early else late) * k).sin().mean() for k, n in enumerate("ab", 1)}


@pytest.mark.parametrize(("early", "expected"), [("", "second"), ("a", "first"), ("ab", "first")])
def test_gradnorm_looks_at_the_last_matrix_that_every_task_reaches(early: str, expected: str) -> None:
    model = Layers()
    balancer = GradNorm(["a", "b"])
    (watched,) = balancer.watched(model.shared(), model.losses(early))
    assert watched is getattr(model, expected).weight
    fresh = GradNorm(["a", "b"])
    fresh.load_state_dict(balancer.state_dict())
    assert fresh.watched(model.shared(), {})[0] is watched, "the choice is state"
    assert GradNorm(["a", "b"], layer="all").watched(model.shared(), model.losses()) == model.shared()


def test_gradnorm_falls_back_to_what_some_task_reaches_and_then_to_all() -> None:
    model = Layers()
    w = nn.Parameter(torch.ones(2))
    losses = {"a": model.losses()["a"], "b": w.sum()}
    assert GradNorm(["a", "b"]).watched(model.shared(), losses)[0] is model.second.weight
    assert GradNorm(["a", "b"]).watched([w], losses) == [w]


def test_gradnorm_is_one_backward_pass_in_its_warm_up() -> None:
    """It reads no gradient before it moves a weight."""
    balancer = GradNorm(["a", "b"], warmup=3)
    w = nn.Parameter(torch.ones(2, 2))
    asked = []
    balancer.register_forward_pre_hook(lambda _, given: asked.append(given[0]))
    for _ in range(4):
        balancer.backward({"a": w.sum(), "b": w.square().sum()}, shared=[w])
    assert [signals._gramian is None for signals in asked] == [True, True, True, False]
