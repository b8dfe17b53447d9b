import pytest
import torch

from polytask.encoders import MLP
from polytask.feature import CATEGORIES, NUMBERS, InputSpec
from polytask.sharing import Hard, Independent

SPEC = InputSpec(numbers=("a", "b"), categories=(("c", 3),))
INPUTS = {
    NUMBERS: torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]),
    CATEGORIES: torch.tensor([[0], [1], [2]]),
}
TASKS = {"x": (-1,), "y": (-1,)}


def make_encoder(copy):
    torch.manual_seed(copy)
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def hard(split):
    return Hard(make_encoder, TASKS, torch.Generator(), split=split)


def test_all_stages_are_one_object_for_every_task():
    features = hard(None)(INPUTS, ["x", "y"])
    assert features["x"][-1].values is features["y"][-1].values


@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_a_split_shares_the_stages_before_it(split):
    sharing = hard(split)
    features = sharing(INPUTS, ["x", "y"])
    same = [a.values is b.values for a, b in zip(features["x"], features["y"], strict=True)]
    assert same == [stage < split for stage in range(3)]


def test_split_zero_is_independent_from_the_same_start():
    one = hard(0)(INPUTS, ["x", "y"])
    other = Independent(make_encoder, TASKS, torch.Generator())(INPUTS, ["x", "y"])
    for task in TASKS:
        assert torch.equal(one[task][-1].values, other[task][-1].values)


def test_trunk_gradient_is_the_weighted_sum_of_task_gradients():
    sharing = hard(None)
    shared = [p for p in sharing.shared_parameters() if p.requires_grad]

    def losses():
        features = sharing(INPUTS, ["x", "y"])
        return features["x"][-1].values.square().mean(), features["y"][-1].values.sin().mean()

    x, y = (torch.autograd.grad(losses()[k], shared, allow_unused=True) for k in (0, 1))
    first, second = losses()
    both = torch.autograd.grad(0.3 * first + 2 * second, shared, allow_unused=True)
    for a, b, c in zip(x, y, both, strict=True):
        if c is not None:
            torch.testing.assert_close(c, 0.3 * a + 2 * b)


def test_a_split_beyond_the_encoder_is_refused():
    with pytest.raises(ValueError, match="split=4, but the encoder has 3 stages: 0 to 3"):
        hard(4)
