"""What the tests of sharing schemes build upon."""

import pytest
import torch

from polytask.encoders import MLP, LeNet
from polytask.feature import CATEGORIES, NUMBERS, InputSpec

SPEC = InputSpec(numbers=("a", "b"), categories=(("c", 3),))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})


def number_of(copy):
    """Text and numbers as a seed."""
    return sum(str(copy).encode()) + 1


@pytest.fixture
def mlp():
    """`make_encoder` of a small MLP of three stages without dropout, in float64."""

    def make_encoder(copy):
        torch.manual_seed(number_of(copy))
        return MLP(SPEC, widths=(8, 4), dropout=0.0).double()

    return make_encoder


@pytest.fixture
def inputs():
    """Nine rows of a table, in float64."""
    generator = torch.Generator().manual_seed(5)
    return {
        NUMBERS: torch.randn(9, 2, generator=generator, dtype=torch.float64),
        CATEGORIES: torch.randint(0, 3, (9, 1), generator=generator),
    }


@pytest.fixture
def lenet():
    """`make_encoder` of a small LeNet, in float64."""

    def make_encoder(copy):
        torch.manual_seed(number_of(copy))
        return LeNet(PICTURE, channels=(3, 4), widths=(6,)).double()

    return make_encoder


@pytest.fixture
def pictures():
    """Five pictures, in float64."""
    return {"photo": torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(5), dtype=torch.float64)}
