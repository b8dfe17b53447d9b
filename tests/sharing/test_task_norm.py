import pytest
import torch

from polytask.encoders import ResNet


def norms(sharing, task):
    group = sharing._group_of(task)
    return [norm for stage in sharing.names for norm in sharing._norms_of(group, stage)]


def test_one_group_of_all_tasks_is_hard_sharing_bit_for_bit(conditioned):
    one = conditioned.build("task_norm", {"groups": [["z", "x", "y"]]})
    hard = conditioned.build("hard", encoder=conditioned.make_normed)
    for _ in range(3):
        found, expected = conditioned.losses(one.train()), conditioned.losses(hard.train())
        assert all(torch.equal(found[task], expected[task]) for task in found)
    state = hard.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


def test_it_is_a_chain_a_group_whose_norms_are_its_own(conditioned):
    """Against whole copies of the trunk, the groups' norms put in by hand."""
    sharing = conditioned.disturb(conditioned.build("task_norm", {"groups": [["x"], ["y", "z"]]})).eval()
    state = sharing.trunk.state_dict()
    for task in conditioned.tasks:
        plain = conditioned.make_normed(0).eval()
        plain.stages.load_state_dict(state)
        for stage, norm in zip((1, 2), norms(sharing, task), strict=True):
            plain.stages[stage].layers[1].load_state_dict(norm.state_dict())
        assert torch.equal(sharing(conditioned.inputs, [task])[task][-1].values, plain(conditioned.inputs)[-1].values)


def test_only_the_groups_that_are_asked_move_their_statistics(conditioned):
    sharing = conditioned.build("task_norm", {"groups": [["x"], ["y", "z"]]}).train()
    sharing(conditioned.inputs, ["y"])
    assert [int(n.num_batches_tracked) for n in norms(sharing, "x")] == [0, 0]
    assert [int(n.num_batches_tracked) for n in norms(sharing, "z")] == [1, 1]
    sharing(conditioned.inputs, ["x", "y", "z"])
    assert [int(n.num_batches_tracked) for n in norms(sharing, "x")] == [1, 1]
    assert [int(n.num_batches_tracked) for n in norms(sharing, "z")] == [2, 2]


def test_statistics_are_those_of_each_source(conditioned):
    """Rows of two sources that are alike once normalised: their features are the same, which one norm cannot give."""
    sharing = conditioned.build("task_norm", tasks={"x": (-1,), "y": (-1,)}).train()
    near = conditioned.inputs
    categories = dict.fromkeys(near, near["<categories>"] * 0)
    far = categories | {"<numbers>": near["<numbers>"] * 5 + 3}
    near = categories | {"<numbers>": near["<numbers>"]}
    with torch.no_grad():
        for _ in range(300):
            sharing(near, ["x"])
            sharing(far, ["y"])
    sharing.eval()
    torch.testing.assert_close(
        sharing(near, ["x"])["x"][-1].values, sharing(far, ["y"])["y"][-1].values, rtol=0.01, atol=0.01
    )


def test_a_group_of_two_shares_its_norms(conditioned):
    sharing = conditioned.build("task_norm", {"groups": [["x"], ["y", "z"]]})
    shared = {id(p) for p in sharing.shared_parameters()}
    assert all(id(p) in shared for norm in norms(sharing, "y") for p in norm.parameters())
    assert {id(p) for p in sharing.task_parameters("x")} == {id(p) for n in norms(sharing, "x") for p in n.parameters()}


def test_the_order_of_groups_and_tasks_changes_nothing(conditioned):
    one = conditioned.build("task_norm", {"groups": [["x"], ["y", "z"]]})
    other = conditioned.build("task_norm", {"groups": [["z", "y"], ["x"]]})
    assert one.state_dict().keys() == other.state_dict().keys()


def test_residual_blocks_with_two_norms(conditioned):
    def make_encoder(copy):
        torch.manual_seed(0)
        return ResNet(conditioned.spec, width=6, blocks=2, dropout=0.0)

    sharing = conditioned.build("task_norm", encoder=make_encoder)
    assert [len(names) for names in sharing.names.values()] == [1, 2]
    assert len(list(sharing.task_parameters("x"))) == 6


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ([["x", "y"]], "groups leaves out task 'z'; a group of its own would work"),
        ([["x", "y", "z", "x"]], "groups has task 'x' twice"),
        ([["x", "y"], ["zz"]], "groups names the unknown task 'zz'; did you mean 'z'"),
    ],
)
def test_groups_that_cannot_be_are_refused(conditioned, groups, sentence):
    with pytest.raises(ValueError, match=f"sharing 'task_norm': {sentence}"):
        conditioned.build("task_norm", {"groups": groups})


def test_an_encoder_without_batch_norm_is_refused(conditioned):
    with pytest.raises(ValueError, match=r"sharing 'task_norm' .* has none .*batch_norm: true") as error:
        conditioned.build("task_norm", encoder=conditioned.make_encoder)
    assert "\n" not in str(error.value)
