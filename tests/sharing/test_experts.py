"""Experts in one batched multiplication are what a loop over them gives."""

import pytest
import torch
from torch import nn

from polytask.encoders import MLP, layered, run_stages
from polytask.feature import Feature, InputSpec
from polytask.sharing import SHARINGS
from polytask.sharing.experts import Experts, mix

SPEC = InputSpec(numbers=tuple("abcde"))


def chains(number, **settings):
    torch.manual_seed(0)
    return [MLP(SPEC, **{"widths": (7, 6), "dropout": 0.0, **settings}).double().stages[1:] for _ in range(number)]


def gradients(value, parameters):
    return torch.autograd.grad(value.square().sum(), parameters)


@pytest.mark.parametrize("many", [0, 10**9])
@pytest.mark.parametrize("is_common", [True, False])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_features_and_gradients_are_those_of_a_loop(monkeypatch, many, is_common, number):
    """Both ways: together, and one by one where an expert is large."""
    monkeypatch.setattr(layered, "MANY_ROWS", many)
    loop = chains(number)
    experts = Experts([list(chain) for chain in loop])
    x = torch.randn(number, 4, 5, dtype=torch.float64)
    each = [Feature(x[0] if is_common else one) for one in x]
    found = experts(each[0] if is_common else each, 2, {0, 1})
    expected = [run_stages(chain, one) for chain, one in zip(loop, each, strict=True)]
    for place in (0, 1):
        torch.testing.assert_close(found[place].values, torch.stack([e[place].values for e in expected]))
    ours = gradients(found[1].values, list(experts.parameters()))
    theirs = gradients(torch.stack([e[1].values for e in expected]), [p for c in loop for p in c.parameters()])
    if number == 1:  # the chain itself
        assert all(map(torch.equal, ours, theirs))
        return
    for place, gradient in enumerate(ours):  # weights transposed, biases as rows
        expected = [one.T if one.ndim == 2 else one.unsqueeze(0) for one in theirs[place :: len(ours)]]
        torch.testing.assert_close(gradient, torch.stack(expected))


def test_only_the_stages_asked_for_are_run():
    experts = Experts([list(chain) for chain in chains(3)])
    assert set(experts(Feature(torch.ones(2, 5, dtype=torch.float64)), 1, {0, 1})) == {0}


@pytest.mark.parametrize("many", [0, 10**9])
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_keeps_statistics_for_each_expert(monkeypatch, many, is_training):
    monkeypatch.setattr(layered, "MANY_ROWS", many)
    loop = [chain.train(is_training) for chain in chains(3, batch_norm=True)]
    experts = Experts([list(chain) for chain in loop]).train(is_training)
    assert not isinstance(experts.stages[0], nn.ModuleList)
    for seed in (0, 1):
        x = Feature(torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
        found, expected = experts(x, 2, {1})[1].values, [run_stages(chain, x)[-1].values for chain in loop]
        torch.testing.assert_close(found, torch.stack(expected))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        theirs = torch.stack([getattr(chain[1].layers[1], name) for chain in loop])
        torch.testing.assert_close(getattr(experts.stages[1].layers[1], name), theirs)
    ours = gradients(found, list(experts.stages[0].layers[1].parameters()))
    theirs = gradients(torch.stack(expected), [p for chain in loop for p in chain[0].layers[1].parameters()])
    for place, gradient in enumerate(ours):
        torch.testing.assert_close(gradient, torch.stack(theirs[place::2]))


def test_what_cannot_be_stacked_runs_one_by_one():
    loop = chains(2, batch_norm=True)
    for chain in loop:
        chain[0].layers[1].momentum = None  # a cumulative mean: each copy at its own count
    experts = Experts([list(chain) for chain in loop])
    assert isinstance(experts.stages[0], nn.ModuleList)
    assert experts.train()(Feature(torch.randn(6, 5, dtype=torch.float64)), 2, {1})[1].values.shape == (2, 6, 6)


def test_dropout_draws_a_mask_for_each_expert():
    same = chains(1, dropout=0.5)[0]
    experts = Experts([list(same), list(same)]).train()
    one, other = experts(Feature(torch.randn(50, 5, dtype=torch.float64)), 1, {0})[0].values
    assert not torch.equal(one, other)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (3, 5, 5)])
def test_a_mixture_is_a_weighted_sum(shape):
    parts = [Feature(torch.randn(n, 2, *shape, dtype=torch.float64)) for n in (2, 3)]
    everything = torch.cat([part.values for part in parts])
    rows = torch.rand(2, 5, dtype=torch.float64)
    expected = torch.einsum("be,eb...->b...", rows, everything)
    torch.testing.assert_close(mix(parts, rows).values, expected)
    expected = torch.einsum("e,e...->...", rows[0], everything)
    torch.testing.assert_close(mix(parts, rows[0]).values, expected)


def test_experts_of_a_frozen_encoder_stay_frozen(chains):
    def frozen(copy):
        return chains.mlp(copy).requires_grad_(False)

    sharing = SHARINGS["mmoe"](frozen, {"x": (-1,), "y": (-1,)}, torch.Generator(), experts=3)
    assert list(sharing.experts.parameters())
    assert not any(p.requires_grad for p in sharing.experts.parameters())


def test_experts_are_exported_for_more_rows_than_run_together(chains):
    sharing = SHARINGS["mmoe"](chains.mlp, {"x": (-1,), "y": (-1,)}, torch.Generator(), experts=3).eval()

    class Values(nn.Module):
        def __init__(self):
            super().__init__()
            self.sharing = sharing

        def forward(self, inputs):
            return self.sharing(inputs, ["x"])["x"][-1].values

    inputs, rows = chains.inputs(), torch.export.Dim("rows", min=2)
    exported = torch.export.export(Values(), (inputs,), dynamic_shapes=({key: {0: rows} for key in inputs},)).module()
    many = chains.inputs(layered.MANY_ROWS + 1)
    torch.testing.assert_close(exported(many), Values()(many))
