import pytest
import torch
from torch import nn

from polytask.feature import OutputSpec
from polytask.regularizers import DeepRelationship

SPEC = OutputSpec((2,), "softmax")
MODES = ("tasks", "classes", "features")


def make(tasks=("a", "b", "c"), features=4, **settings):
    torch.manual_seed(0)
    heads = {task: nn.Linear(features, 2).double() for task in tasks}
    return DeepRelationship(dict.fromkeys(heads, SPEC), heads, **settings).double(), heads


def present(*tasks):
    return {task: torch.ones(1, 2) for task in tasks}


def stacked(heads):
    return torch.stack([head.weight.detach() for head in heads.values()])


def kron(*matrices):
    found = torch.ones(1, 1, dtype=torch.float64)
    for matrix in matrices:
        found = torch.kron(found, matrix)
    return found


def test_it_starts_as_l2_on_the_last_layers():
    regularizer, heads = make(weight=0.2)
    assert regularizer(present("a", "b", "c"), heads).item() == pytest.approx(
        0.1 * float(stacked(heads).square().sum())
    )


def test_the_quadratic_form_against_the_kronecker_product():
    regularizer, heads = make(weight=1.0, update=MODES, every=1)
    found = regularizer(present("a", "b", "c"), heads).item()
    w = stacked(heads).flatten()
    covariance = kron(*(getattr(regularizer, f"{mode}_covariance") for mode in MODES))
    assert found == pytest.approx(0.5 * float(w @ torch.linalg.solve(covariance, w)), rel=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_an_estimate_against_the_closed_form(mode):
    """Given the others: the unfolded W through the inverse Kronecker product of the other two, over their sizes."""
    regularizer, heads = make(features=3, update=(mode,), every=1)
    draws = torch.Generator().manual_seed(2)
    for other in set(MODES) - {mode}:
        size = len(getattr(regularizer, f"{other}_covariance"))
        root = torch.randn(size, size, generator=draws, dtype=torch.float64)
        getattr(regularizer, f"{other}_covariance").copy_(root @ root.T + torch.eye(size))
        getattr(regularizer, f"{other}_precision").copy_((root @ root.T + torch.eye(size)).inverse())
    weights = stacked(heads)
    regularizer.estimate(weights)
    axis = MODES.index(mode)
    unfolded = weights.movedim(axis, 0).flatten(1)
    others = kron(*(getattr(regularizer, f"{other}_covariance") for other in MODES if other != mode))
    expected = unfolded @ others.inverse() @ unfolded.T / unfolded.shape[1] + 1e-5 * torch.eye(len(unfolded))
    torch.testing.assert_close(getattr(regularizer, f"{mode}_covariance"), expected)
    torch.testing.assert_close(getattr(regularizer, f"{mode}_precision"), expected.inverse(), rtol=1e-6, atol=1e-8)


def test_only_the_chosen_covariances_move_and_only_every_few_forwards():
    regularizer, heads = make(every=3, update=("classes",))
    for step in range(1, 4):
        regularizer(present("a"), heads)
        moved = [
            mode
            for mode in MODES
            if not torch.equal(
                getattr(regularizer, f"{mode}_covariance"),
                torch.eye(len(getattr(regularizer, f"{mode}_covariance"))).double(),
            )
        ]
        assert moved == (["classes"] if step == 3 else [])


def test_the_trace_is_capped():
    regularizer, heads = make(every=1)
    with torch.no_grad():
        for head in heads.values():
            head.weight.mul_(1e4)
    regularizer(present("a"), heads)
    assert regularizer.tasks_covariance.trace().item() == pytest.approx(3000)


def test_tasks_that_point_the_same_way_are_held_together():
    """What differs from the common direction costs more than what goes along it."""
    regularizer, heads = make(every=1, weight=1.0)
    with torch.no_grad():
        for head in heads.values():
            head.weight.copy_(torch.ones(2, 4) + 0.01 * torch.randn(2, 4))
    regularizer(present("a", "b", "c"), heads)
    regularizer.update = ()
    losses = []
    for shift in ([1.0, 1.0, 1.0], [1.0, -1.0, 0.0]):
        moved = {task: nn.Linear(4, 2).double() for task in heads}
        for (task, head), s in zip(heads.items(), shift, strict=True):
            moved[task].weight.data = head.weight.data + 0.1 * s
        losses.append(regularizer(present("a", "b", "c"), moved).item())
    assert losses[1] > 10 * losses[0]


def test_heads_of_different_shapes_are_refused_by_name():
    heads = {"a": nn.Linear(3, 2), "b": nn.Sequential(nn.Linear(9, 3), nn.Linear(3, 4)), "c": nn.ReLU()}
    specs = dict.fromkeys(heads, SPEC)
    with pytest.raises(
        ValueError, match="deep_relationship: the heads of tasks 'a' and 'b' end in 3 → 2 and 3 → 4 numbers"
    ):
        DeepRelationship(specs, heads, tasks=["a", "b"])
    with pytest.raises(ValueError, match="the head of task 'c' has no linear layer"):
        DeepRelationship(specs, heads)
