"""The tests' own ground: shapes are checked, seeds are fixed."""

import jaxtyping
import pytest
import torch

from polytask.gradients import cosines


def test_shapes_are_checked_at_every_call():
    assert cosines(torch.eye(2, dtype=torch.float64)).shape == (2, 2)
    with pytest.raises(jaxtyping.TypeCheckError):
        cosines(torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("_", range(2))
def test_every_test_starts_from_the_same_state(_):
    assert torch.initial_seed() == 0
    assert torch.get_num_threads() == 1
