"""Top-k and DSelect-k: golden values, invariants and pitfalls."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.sharing import DSelectK, MMoE, TopK
from polytask.sharing.gates import SoftmaxGate
from polytask.sharing.gates_sparse import DSelectKGate, TopKGate
from polytask.sharing.load_balance import importance, switch_load

TASKS = {"x": (-1,), "y": (-1,)}


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def built(scheme, make_encoder, **choices):
    return scheme(make_encoder, TASKS, draws(), **choices).double()


def test_all_experts_without_noise_are_mmoe(mlp64, inputs64):
    top, all_of_them = built(TopK, mlp64, experts=4, k=4, is_noisy=False), built(MMoE, mlp64, experts=4)
    for sharing in (top, all_of_them):
        for gate in sharing.gates.values():
            with torch.no_grad():
                gate.linear.weight.copy_(torch.randn(gate.linear.weight.shape, generator=draws(4)))
    for task in TASKS:
        one, other = (s(inputs64, ["x", "y"])[task][-1].values for s in (top, all_of_them))
        assert torch.equal(one, other)


@given(k=st.integers(1, 6), num_experts=st.integers(6, 9), is_noisy=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_row_takes_k_experts_whose_weights_sum_to_one(k, num_experts, is_noisy, seed):
    gate = TopKGate(5, num_experts, draws(seed), k=k, is_noisy=is_noisy)
    with torch.no_grad():
        gate.linear.weight.copy_(torch.randn(num_experts, 5, generator=draws(seed)))
    vectors = torch.randn(7, 5, generator=draws(seed + 1))
    weights = gate(vectors)
    assert ((weights > 0).sum(dim=1) <= k).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(7))
    if not is_noisy:  # the largest of all, in their softmax
        top = gate.linear(vectors).topk(k, dim=1)
        torch.testing.assert_close(weights.gather(1, top.indices), top.values.softmax(dim=1))


def test_noise_is_of_training_only():
    gate = TopKGate(3, 4, draws(), k=2)
    vectors = torch.randn(50, 3, generator=draws(1))
    assert not torch.equal(gate.train()(vectors), gate(vectors))
    assert torch.equal(gate.eval()(vectors), gate(vectors))


def test_without_noise_ties_do_not_send_all_rows_to_the_same_experts():
    weights = TopKGate(6, 4, draws(), k=1, is_noisy=False)(torch.randn(200, 6, generator=draws(1)))
    assert (weights.sum(dim=0) > 0).sum() >= 3


def test_balances_at_balance_and_away_from_it():
    gate = TopKGate(2, 4, draws(), k=1, is_noisy=False)
    gate.last.values |= {"weights": torch.eye(4), "smooth": torch.full((4, 4), 0.25)}
    assert float(switch_load([gate])) == 1.0
    assert float(importance([gate])) == 0.0
    # All rows to one expert: CV² = (16 + 0 + 0 + 0)/4 / 1 - 1 = 3, and E f P = 4.
    gate.last.values |= {"weights": torch.eye(4)[[0] * 4], "smooth": torch.eye(4)[[0] * 4]}
    assert float(importance([gate])) == 3.0
    assert float(switch_load([gate])) == 4.0


def test_loads_are_balanced_over_tasks_together():
    """Two tasks that each choose one expert of their own are even."""
    gates = [SoftmaxGate(2, 2), SoftmaxGate(2, 2)]
    for place, gate in enumerate(gates):
        gate.last.values["weights"] = torch.eye(2)[[place] * 5]
    assert float(importance(gates)) == 0.0


def test_penalties_are_those_of_the_last_forward(mlp64, inputs64):
    sharing = built(TopK, mlp64, experts=4, k=1, is_noisy=False)
    sharing(inputs64, ["x"])
    (alone,) = sharing.penalties().values()
    torch.testing.assert_close(alone, 0.1 * importance([sharing.gates["level_0_task_x"]]))
    alone.backward()
    assert sharing.gates["level_0_task_y"].linear.weight.grad is None
    assert built(TopK, mlp64, balance_weight=0.0).penalties() == {}


# DSelect-k -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_experts", "total"), [(2, 1.0), (4, 1.0), (6, 0.75), (8, 1.0)])
@pytest.mark.parametrize("is_per_row", [False, True])
def test_it_starts_near_the_plain_mean(num_experts, total, is_per_row):
    """E = 6 uses 6 of 8 codes."""
    gate = DSelectKGate(3, num_experts, draws(), k=2, is_per_row=is_per_row)
    weights = gate(torch.randn(5, 3, generator=draws(1)))
    torch.testing.assert_close(weights.sum(dim=-1).mean(), torch.tensor(total), atol=0.03, rtol=0)
    torch.testing.assert_close(weights, torch.full_like(weights, total / num_experts), atol=0.1, rtol=0)


def test_saturated_codes_choose_k_experts_for_good():
    gate = DSelectKGate(3, 8, draws(), k=2)
    with torch.no_grad():
        # Experts 5 = 101 and 2 = 010.
        gate.code.copy_(torch.tensor([0.5, -0.7, 0.9, -0.5, 2.0, -0.6]))
        gate.weight.copy_(torch.tensor([0.0, 1.0]))
    weights = gate(torch.zeros(1, 3))
    share = torch.tensor([0.0, 1.0]).softmax(0)
    expected = torch.zeros(8)
    expected[5], expected[2] = share[0], share[1]
    torch.testing.assert_close(weights, expected)
    (weights * torch.arange(8)).sum().backward()
    assert torch.equal(gate.code.grad, torch.zeros(6))
    assert gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("is_per_row", [False, True])
def test_gradients_are_those_of_finite_differences(is_per_row):
    gate = DSelectKGate(3, 6, draws(), k=2, entropy=0.1, is_per_row=is_per_row).double()
    vectors = torch.randn(4, 3, generator=draws(1), dtype=torch.float64)
    names, values = zip(*gate.named_parameters(), strict=True)

    def value(*parameters):
        weights = torch.func.functional_call(gate, dict(zip(names, parameters, strict=True)), (vectors,))
        return weights.square().sum() + gate.penalty()

    start = tuple((p.detach() + 0.1).requires_grad_() for p in values)
    assert torch.autograd.gradcheck(value, start)


def test_one_expert_has_no_parameters_and_weight_one():
    gate = DSelectKGate(3, 1, draws(), k=1)
    assert not list(gate.parameters())
    assert gate(torch.zeros(2, 3)).tolist() == [1.0]
    assert gate.penalty() is None


def test_training_ends_in_a_sparse_choice(mlp64, inputs64):
    """Two tasks that each one expert serves: gradient descent alone chooses at most k of four."""
    sharing = built(DSelectK, mlp64, experts=4, k=1, gamma=0.5, entropy=0.5)
    optimizer = torch.optim.Adam(sharing.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        features = sharing(inputs64, ["x", "y"])
        loss = sum((features[t][-1].values - k).square().mean() for k, t in enumerate(TASKS))
        (loss + sharing.penalties()["gates"]).backward()
        optimizer.step()
    for row in sharing.records()["gates"].values:
        assert sorted(round(value, 6) for value in row) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("scheme", "choices", "sentence"),
    [
        (TopK, {"k": 9}, "top_k: k=9 of 8 experts: a row takes 1 to 8 of them"),
        (TopK, {"k": 0}, "top_k: k=0 of 8 experts"),
        (TopK, {"experts": 0, "k": 1}, "top_k: experts=0: at least one is wanted"),
        (TopK, {"balance_weight": -0.1}, "top_k: balance_weight is a penalty's factor"),
        (DSelectK, {"k": 9}, "dselect_k: k=9 of 8 experts: a task takes 1 to 8 of them"),
        (DSelectK, {"gamma": 0.0}, "dselect_k: gamma is the width of the smooth step, above 0, got 0.0"),
        (DSelectK, {"entropy": -1.0}, "dselect_k: entropy is a penalty's factor"),
    ],
)
def test_what_cannot_be_is_one_sentence(mlp64, scheme, choices, sentence):
    with pytest.raises(ValueError, match=sentence):
        built(scheme, mlp64, **choices)
