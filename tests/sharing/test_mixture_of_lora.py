import pytest
import torch

SETTINGS = {"experts": 2, "rank": 4, "alpha": 3.0, "embedding_dim": 3}


def test_it_is_the_sum_over_experts_written_out(conditioned):
    """W + (α/r) Σ_i softmax(G e_t)_i B_i A_i."""
    sharing = conditioned.disturb(conditioned.build("mixture_of_lora", {**SETTINGS, "stages": (2,)}).double()).eval()
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in conditioned.inputs.items()}
    experts, layer = sharing.experts["stage_2"], sharing.trunk[2].layers[0]
    for task in conditioned.tasks:
        weights = torch.exp(sharing.gate @ sharing.embeddings[f"task_{task}"])
        weights = weights / weights.sum()
        change = sum(w * (b @ a) for w, a, b in zip(weights, experts.a[0], experts.b[0], strict=True))
        features = sharing(inputs, [task])[task]
        expected = (features[1].values @ (layer.weight + 3 / 4 * change).T + layer.bias).relu()
        torch.testing.assert_close(features[2].values, expected)


def test_worked_by_hand(conditioned):
    """Two experts in shares of 1/4 and 3/4: e = 1, G = (0, log 3)."""
    sharing = conditioned.build("mixture_of_lora", {**SETTINGS, "embedding_dim": 1})
    with torch.no_grad():
        sharing.embeddings["task_x"].fill_(1.0)
        sharing.gate.copy_(torch.tensor([[0.0], [3.0]]).clamp_min(1).log())
    assert sharing.shares("x").tolist() == pytest.approx([0.25, 0.75])


def test_experts_and_gate_are_shared_and_embeddings_owned(conditioned):
    sharing = conditioned.build("mixture_of_lora", SETTINGS)
    shared = {id(p) for p in sharing.shared_parameters()}
    assert {id(p) for p in sharing.experts.parameters()} | {id(sharing.gate)} <= shared
    assert [tuple(p.shape) for p in sharing.task_parameters("y")] == [(3,)]


def test_the_rank_is_split_and_the_experts_differ(conditioned):
    experts = conditioned.build("mixture_of_lora", SETTINGS).experts["stage_1"]
    assert [tuple(p.shape) for p in experts.parameters()] == [(2, 2, 10), (2, 8, 2)]
    assert not torch.equal(experts.a[0][0], experts.a[0][1])


def test_one_expert_is_one_change_for_all_tasks(conditioned):
    sharing = conditioned.disturb(conditioned.build("mixture_of_lora", {**SETTINGS, "experts": 1})).eval()
    found = conditioned.outputs(sharing)
    assert torch.equal(found["x"][-1], found["y"][-1])
    assert torch.equal(found["x"][-1], found["z"][-1])


def test_permuting_experts_with_their_gates_changes_nothing(conditioned):
    sharing = conditioned.disturb(conditioned.build("mixture_of_lora", SETTINGS)).eval()
    before = conditioned.outputs(sharing)
    with torch.no_grad():
        for parameter in [sharing.gate, *sharing.experts.parameters()]:
            parameter.copy_(parameter.flip(0))
    for task, values in conditioned.outputs(sharing).items():
        torch.testing.assert_close(values[-1], before[task][-1])


def test_the_record_has_every_tasks_shares(conditioned):
    ((title, record),) = conditioned.build("mixture_of_lora", SETTINGS).records().items()
    assert title == "Shares of the experts"
    assert record.kind == "shares"
    assert list(record.rows) == ["x", "y", "z"]
    assert [sum(row) for row in record.values] == pytest.approx([1, 1, 1])
    assert record.values[0] != record.values[1]


def test_a_task_that_reads_no_conditioned_stage_has_no_gate(conditioned):
    sharing = conditioned.build("mixture_of_lora", SETTINGS, tasks={"early": (0,), "late": (-1,)})
    assert list(sharing.records()["Shares of the experts"].rows) == ["late"]
    assert id(sharing.gate) in {id(p) for p in sharing.task_parameters("late")}
    assert [tuple(p.shape) for p in sharing.task_parameters("early")] == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"experts": 3, "rank": 4}, "rank=4 cannot be divided among 3 experts; .* such as 6"),
        ({"experts": 0}, "experts and embedding_dim are 1 or more"),
        ({"embedding_dim": 0}, "experts and embedding_dim are 1 or more"),
        ({"stages": (0,)}, "has none in the conditioned stages"),
    ],
)
def test_settings_that_cannot_be_are_refused(conditioned, settings, sentence):
    with pytest.raises(ValueError, match=f"sharing 'mixture_of_lora'.*{sentence}"):
        conditioned.build("mixture_of_lora", settings)
