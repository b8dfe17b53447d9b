"""Signals open what a method declares, compute it once, and refuse the rest."""

import pytest
import torch
from torch import Tensor

from polytask.gradients import Signals


def signals(reads: frozenset[str], gramian: Tensor, calls: list[int]) -> Signals:
    def compute() -> Tensor:
        calls.append(1)
        return gramian

    return Signals(
        names=("a", "b"),
        index=torch.tensor([2, 0]),
        step=5,
        epoch=None,
        scores=torch.full((2,), torch.nan, dtype=torch.float64),
        reads=reads,
        losses=torch.tensor([1.0, 2.0], dtype=torch.float64),
        gramian=compute,
    )


def test_the_gramian_is_computed_once_and_only_on_demand() -> None:
    calls: list[int] = []
    seen = signals(frozenset({"gramian"}), torch.eye(2, dtype=torch.float64), calls)
    assert not calls
    assert seen.gramian is seen.gramian
    assert len(calls) == 1
    assert (seen.names, seen.step, seen.epoch, seen.index.tolist()) == (("a", "b"), 5, None, [2, 0])


@pytest.mark.parametrize(
    ("reads", "what"), [((), "losses"), (("losses",), "gramian"), (("gramian",), "losses"), (("losses",), "probe")]
)
def test_what_is_not_declared_cannot_be_read(reads: tuple[str, ...], what: str) -> None:
    seen = signals(frozenset(reads), torch.eye(2, dtype=torch.float64), [])
    with pytest.raises(AttributeError, match=f"add '{what}' to its `reads`"):
        getattr(seen, what)


def test_a_probe_that_nobody_made() -> None:
    seen = signals(frozenset({"probe"}), torch.eye(2, dtype=torch.float64), [])
    with pytest.raises(ValueError, match=r"looks ahead: make a Probe before the forward pass .* probe=Probe\("):
        seen.probe  # noqa: B018


def test_a_gradient_that_is_not_finite_names_its_task() -> None:
    bad = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]], dtype=torch.float64)
    with pytest.raises(ValueError, match="task 'b': its gradient"):
        signals(frozenset({"gramian"}), bad, []).gramian  # noqa: B018
