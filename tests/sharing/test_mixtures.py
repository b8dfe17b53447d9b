"""MMoE, CGC and PLE: what they are equal to, and a plain reference."""

import pytest
import torch

from polytask.encoders import run_stages
from polytask.sharing import CGC, PLE, Hard, Independent, MMoE

TASKS = {"x": (-1,), "y": (-1,)}


def built(scheme, make_encoder, tasks=TASKS, **settings):
    return scheme(make_encoder, tasks, torch.Generator().manual_seed(0), **settings).double()


def shaken(sharing):
    """The same scheme with gates that are no longer plain means."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in sharing.gates.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return sharing


def last(sharing, inputs64, tasks=("x", "y")):
    return {task: features[-1].values for task, features in sharing(inputs64, list(tasks)).items()}


def equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[task], other[task]) for task in one)


def close(one, other):
    assert one.keys() == other.keys()
    for task in one:
        torch.testing.assert_close(one[task], other[task])


@pytest.mark.parametrize("split", [1, 2])
def test_one_expert_is_hard_sharing_whatever_the_gate(mlp64, inputs64, split):
    equal(last(shaken(built(MMoE, mlp64, experts=1, split=split)), inputs64), last(built(Hard, mlp64), inputs64))


def test_equal_experts_are_hard_sharing(mlp64, inputs64):
    close(last(shaken(built(MMoE, lambda copy: mlp64(0), experts=5)), inputs64), last(built(Hard, mlp64), inputs64))


def test_permuting_experts_with_their_gate_rows_changes_nothing(mlp64, inputs64):
    sharing = shaken(built(MMoE, mlp64, experts=4))
    before, order = last(sharing, inputs64), [2, 0, 3, 1]
    with torch.no_grad():
        for p in [*sharing.experts.parameters(), *sharing.gates.parameters()]:
            p.copy_(p[order].clone())
    close(last(sharing, inputs64), before)


def test_cgc_without_task_experts_is_mmoe(mlp64, inputs64):
    equal(
        last(shaken(built(CGC, mlp64, experts=3, task_experts=0)), inputs64),
        last(shaken(built(MMoE, mlp64, experts=3)), inputs64),
    )


def test_one_level_of_ple_is_cgc(mlp64, inputs64):
    settings = {"experts": 2, "task_experts": 2}
    equal(
        last(shaken(built(PLE, mlp64, levels=1, **settings)), inputs64),
        last(shaken(built(CGC, mlp64, **settings)), inputs64),
    )


def test_one_shared_expert_is_hard_sharing_at_any_depth(mlp64, inputs64):
    for levels in (None, 1, 2):
        equal(
            last(shaken(built(PLE, mlp64, experts=1, task_experts=0, levels=levels)), inputs64),
            last(built(Hard, mlp64), inputs64),
        )


def test_one_expert_of_each_task_alone_is_a_chain_for_every_task(mlp64, inputs64):
    sharing = built(PLE, mlp64, experts=0, task_experts=1)
    found = last(sharing, inputs64)
    for task in TASKS:
        stem, own = mlp64(0).stages[:1], mlp64(f"task {task}").stages[1:]
        assert torch.equal(found[task], run_stages(own, run_stages(stem, inputs64)[-1])[-1].values)
    stem = {id(p) for p in sharing.stem.parameters()}
    assert {id(p) for p in sharing.shared_parameters()} == stem
    equal(
        last(built(PLE, lambda copy: mlp64(0), experts=0, task_experts=1), inputs64),
        last(built(Independent, mlp64), inputs64),
    )


def test_ple_is_its_definition(mlp64, inputs64):
    """Two levels, three experts of all, two of each, written out stream by stream."""
    sharing = shaken(built(PLE, mlp64, experts=3, task_experts=2))
    gates = {name: (gate.linear.weight, gate.linear.bias) for name, gate in sharing.gates.items()}

    def mixed(name, stream, given):
        weights = torch.softmax(stream @ gates[name][0].T + gates[name][1], dim=1)
        return sum(weights[:, [k]] * one for k, one in enumerate(given))

    def copies(owner):
        if owner == "s":
            return [mlp64(k).stages for k in range(3)]
        return [mlp64(f"task {owner}").stages, mlp64(f"task {owner} 1").stages]

    streams = dict.fromkeys("xys", mlp64(0).stages[0](inputs64))
    for level in (0, 1):
        given = {
            owner: [chain[1 + level](streams[owner]).values for chain in copies(owner)] for owner in ("x", "y", "s")
        }
        after = {
            task: mixed(f"level_{level}_task_{task}", streams[task].values, given[task] + given["s"]) for task in "xy"
        }
        if level == 0:
            everything = given["x"] + given["y"] + given["s"]
            after["s"] = mixed("level_0_shared", streams["s"].values, everything)
        streams = {owner: streams[owner]._replace(values=values) for owner, values in after.items()}
    close(last(sharing, inputs64), {task: streams[task].values for task in "xy"})


def test_no_gate_is_built_for_the_shared_stream_behind_the_last_level(mlp64):
    assert set(built(PLE, mlp64).gates) == {
        "level_0_task_x",
        "level_0_task_y",
        "level_0_shared",
        "level_1_task_x",
        "level_1_task_y",
    }


def test_experts_of_a_task_below_the_last_level_are_shared(mlp64):
    """They feed the shared gate."""
    sharing = built(PLE, mlp64)
    shared = {id(p) for p in sharing.shared_parameters()}
    assert {id(p) for p in sharing.experts["level_0_all"].parameters()} <= shared
    assert not shared & {id(p) for p in sharing.experts["level_1_task_x"].parameters()}


def test_shared_experts_run_once_on_the_shared_stream(mlp64, inputs64):
    sharing = built(PLE, mlp64)
    runs = []
    sharing.experts["level_1_shared"].register_forward_hook(lambda *_: runs.append(1))
    sharing(inputs64, ["x", "y"])
    assert runs == [1]


def test_a_dropped_gate_weight_leaves_a_sum_of_one(mlp64, inputs64):
    for dropout in (0.3, 0.999):
        sharing = shaken(built(MMoE, mlp64, experts=4, dropout=dropout)).train()
        sharing(inputs64, ["x"])
        weights = sharing.gates["level_0_task_x"].last.values["weights"]
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(9, dtype=torch.float64))
    # With nearly all dropped, the largest is what is left.
    whole = shaken(built(MMoE, mlp64, experts=4)).eval()
    whole(inputs64, ["x"])
    assert torch.equal(weights.argmax(dim=1), whole.gates["level_0_task_x"].last.values["weights"].argmax(dim=1))


def test_records_tell_shares_entropies_and_loads(mlp64, inputs64):
    sharing = built(PLE, mlp64, experts=2, task_experts=1)
    assert sharing.records() == {}
    sharing(inputs64, ["x", "y"])
    records = sharing.records()
    first = records["gates, level 0"]
    assert (first.rows, first.columns) == (("x", "y", "shared"), ("x 1", "y 1", "shared 1", "shared 2"))
    torch.testing.assert_close(
        torch.tensor(first.values), torch.tensor([[1 / 3, 0, 1 / 3, 1 / 3], [0, 1 / 3, 1 / 3, 1 / 3], [0.25] * 4])
    )
    entropies = [row[0] for row in records["gate entropy, level 1"].values]
    torch.testing.assert_close(torch.tensor(entropies), torch.tensor([3.0, 3.0]).log())


def test_experts_are_normalised_where_asked(mlp64, inputs64):
    sharing = built(MMoE, mlp64, experts=1, is_normalised=True)
    found = last(sharing, inputs64)["x"]
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(9, dtype=torch.float64), atol=1e-6, rtol=0)
    assert torch.all(found.var(dim=1, correction=0) < 1 + 1e-6)


def test_every_way_of_differentiating_agrees(mlp64, inputs64, assert_paths_agree):
    tasks = {"x": (-1,), "y": (-1,), "z": (-1,)}
    for scheme, settings in ((MMoE, {"experts": 3}), (PLE, {}), (CGC, {"experts": 2})):
        sharing = shaken(built(scheme, mlp64, tasks, **settings))

        def losses(sharing=sharing):
            return {
                t: (f[-1].values - k).square().mean() for k, (t, f) in enumerate(sharing(inputs64, list(tasks)).items())
            }

        shared = list(sharing.shared_parameters())
        for by_products in (None, True, False):
            assert_paths_agree(losses, shared, by_products=by_products, batched=None, chunk=None)


@pytest.mark.parametrize(
    ("scheme", "settings", "sentence"),
    [
        (MMoE, {"experts": 0}, "mmoe: there are no experts: at least one is wanted"),
        (MMoE, {"experts": -2}, "mmoe: experts=-2: a whole number from 0 is wanted"),
        (CGC, {"task_experts": -2}, "cgc: task_experts=-2: a whole number from 0"),
        (PLE, {"experts": 0, "task_experts": 0}, "ple: there are no experts"),
        (MMoE, {"split": 0}, "mmoe: split=0: gates read what a shared stem gives, so it has at least 1 stage"),
        (MMoE, {"split": 3}, "mmoe: split=3 with 1 level of experts needs 4 stages or more, but the encoder has 3"),
        (PLE, {"levels": 3}, "ple: split=1 with 3 levels of experts needs 4 stages or more, but the encoder has 3"),
        (PLE, {"levels": 0}, "ple: levels=0: at least 1"),
        (MMoE, {"dropout": 1.0}, r"mmoe: dropout is in \[0, 1\), got 1.0"),
        (CGC, {"dropout": -0.1}, r"cgc: dropout is in \[0, 1\)"),
        (MMoE, {"balance": -1.0}, "mmoe: balance is a penalty's factor, 0 or more, got -1.0"),
        (MMoE, {"balance": float("nan")}, "mmoe: balance is a penalty's factor"),
    ],
)
def test_what_cannot_be_is_one_sentence(mlp64, scheme, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        built(scheme, mlp64, **settings)
