"""What tasks' own stages start from: equal weights, or draws of each task's own."""

import pytest
import torch

from polytask.sharing import NDDR, Branching, CrossStitch, Hard, Independent, Soft
from polytask.sharing.starts import check_initialisation

OWN = [(Independent, {}), (Hard, {"split": 1}), (Soft, {}), (CrossStitch, {}), (NDDR, {}), (Branching, {})]


@pytest.mark.parametrize(("scheme", "settings"), OWN)
def test_equal_starts_are_equal_and_own_ones_differ(scheme, settings, chains):
    tasks = {"x": (-1,), "y": (-1,)}
    for initialisation in ("equal", "own"):
        sharing = scheme(chains.mlp, tasks, torch.Generator(), initialisation=initialisation, **settings)
        features = Independent(chains.mlp, tasks, torch.Generator(), initialisation=initialisation)
        state = sharing.state_dict()
        pairs = [(key, key.replace("task_x", "task_y")) for key in state if "task_x.2.layers.0.weight" in key]
        assert len(pairs) == (0 if scheme is Branching else 1) or scheme is Hard, "the last stage, a task"
        for one, other in pairs:
            assert torch.equal(state[one], state[other]) == (initialisation == "equal")
        assert features.widths == sharing.widths


@pytest.mark.parametrize(("scheme", "settings"), OWN)
def test_own_starts_depend_on_the_name_not_on_the_order(scheme, settings, chains):
    one = scheme(chains.mlp, {"x": (-1,), "y": (-1,)}, torch.Generator(), initialisation="own", **settings).eval()
    other = scheme(chains.mlp, {"y": (-1,), "x": (-1,)}, torch.Generator(), initialisation="own", **settings).eval()
    inputs = chains.inputs()
    for task in "xy":
        for a, b in zip(one(inputs, ["x", "y"])[task], other(inputs, ["x", "y"])[task], strict=True):
            torch.testing.assert_close(a.values, b.values)


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="nddr: initialisation='same', one of 'equal' and 'own' is wanted"):
        check_initialisation("nddr", "same")


@pytest.mark.parametrize("split", [None, 3])
def test_hard_refuses_one_that_has_no_effect(split, chains):
    with pytest.raises(ValueError, match=r"no effect where all 3 stages are shared: leave it out, or set split to 0"):
        Hard(chains.mlp, chains.tasks, torch.Generator(), split=split, initialisation="own")


def test_hard_with_own_tails_has_the_trunk_of_a_twin(chains):
    sharing = Hard(chains.mlp, chains.tasks, torch.Generator(), split=2, initialisation="own")
    plain = chains.mlp(0)(chains.inputs())
    found = sharing(chains.inputs(), ["x"])["x"]
    assert [torch.equal(a.values, b.values) for a, b in zip(plain, found, strict=True)] == [True, True, False]
