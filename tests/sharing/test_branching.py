import pytest
import torch

from polytask.sharing import Branching, Hard, Independent

ALL = [["x", "y", "z"]]
ALONE = [["x"], ["y"], ["z"]]


def branching(chains, tree=None, tasks=None, **settings):
    return Branching(chains.mlp, tasks or chains.tasks, torch.Generator(), tree=tree, **settings)


@pytest.mark.parametrize(
    ("tree", "split"), [([ALL], None), ([ALL, ALL, ALL], None), ([ALL, ALONE], 1), ([ALL, ALL, ALONE], 2), (None, 2)]
)
@pytest.mark.parametrize("initialisation", ["equal", "own"])
def test_a_trunk_that_parts_once_is_hard_sharing(tree, split, initialisation, chains):
    start = {} if split is None else {"initialisation": initialisation}
    hard = Hard(chains.mlp, chains.tasks, torch.Generator(), split=split, **start)
    sharing = branching(chains, tree, initialisation=initialisation)
    assert chains.same(hard(chains.inputs(), ["x", "y", "z"]), sharing(chains.inputs(), ["x", "y", "z"]))
    assert sum(p.numel() for p in hard.shared_parameters()) == sum(p.numel() for p in sharing.shared_parameters())


@pytest.mark.parametrize("initialisation", ["equal", "own"])
def test_tasks_alone_throughout_are_independent(initialisation, chains):
    other = Independent(chains.mlp, chains.tasks, torch.Generator(), initialisation=initialisation)
    sharing = branching(chains, [ALONE], initialisation=initialisation)
    assert chains.same(other(chains.inputs(), ["x", "y", "z"]), sharing(chains.inputs(), ["x", "y", "z"]))
    assert not list(sharing.shared_parameters())


def test_groups_of_a_stage_run_it_once_and_train_it_together(chains):
    tree = [ALL, [["x", "z"], ["y"]], ALONE]
    tasks = dict.fromkeys("xyz", (-1,))
    sharing = branching(chains, tree, tasks)
    features = sharing(chains.inputs(), list("xyz"))
    assert [a is b for a, b in zip(features["x"], features["z"], strict=True)] == [True, True, False]
    assert [a is b for a, b in zip(features["x"], features["y"], strict=True)] == [True, False, False]
    (record,) = sharing.records().values()
    assert (record.kind, record.values) == ("groups", [[0, 0, 0], [0, 1, 0], [0, 1, 2]])
    assert record.columns == ["x", "y", "z"]


def test_branches_start_equal_or_from_draws_of_their_own(chains):
    tree = [[["x", "z"], ["y"]]]
    for initialisation in ("equal", "own"):
        features = branching(chains, tree, initialisation=initialisation)(chains.inputs(), ["x", "y"])
        assert torch.equal(features["x"][-1].values, features["y"][-1].values) == (initialisation == "equal")


def test_neither_the_order_of_tasks_nor_that_of_groups_matters(chains):
    tree = [ALL, [["x", "z"], ["y"]]]
    turned = [[["z", "x", "y"]], [["y"], ["z", "x"]]]
    one = branching(chains, tree, initialisation="own")
    other = branching(chains, turned, dict(reversed(chains.tasks.items())), initialisation="own")
    assert one.state_dict().keys() == other.state_dict().keys()
    assert chains.same(one(chains.inputs(), list("xyz")), other(chains.inputs(), list("xyz")))


def test_a_branch_that_no_head_reads_is_not_built(chains):
    tasks = {"x": (-1,), "y": (0,), "z": (0,)}
    sharing = branching(chains, [ALL, [["x"], ["y", "z"]]], tasks)
    assert sum(p.numel() for p in sharing.parameters()) == sum(p.numel() for p in chains.mlp(0).parameters())


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ([ALL, [["x", "y"]]], r"tree\[1\] lacks task 'z'"),
        ([[["x", "y", "z", "w"]]], r"tree\[0\] names task 'w', which is not there: there are \['x', 'y', 'z'\]"),
        ([[["x", "y"], ["y", "z"]]], r"tree\[0\] names task 'y' twice"),
        ([[["x", "y"], ["z"]], [["x"], ["y", "z"]]], r"tree\[1\] joins tasks 'y' and 'z', which tree\[0\] has parted"),
        ([ALL, ALONE, ALL], r"tree\[2\] joins tasks 'x' and 'y', which tree\[1\] has parted"),
        ([ALL] * 4, r"tree has 4 partitions, but the encoder has 3 stages: give 1 to 3"),
        ([], r"tree has 0 partitions"),
        ([[["x", "y", "z"], []]], r"tree\[0\] has an empty group"),
    ],
)
def test_what_is_no_tree_is_one_sentence(tree, says, chains):
    with pytest.raises(ValueError, match=says) as error:
        branching(chains, tree)
    assert str(error.value).startswith("branching: ")
    assert "\n" not in str(error.value)
