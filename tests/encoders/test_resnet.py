"""ResNet for tables against its formula."""

import torch
from torch.nn import functional

from polytask.encoders import ResNet
from polytask.feature import NUMBERS, InputSpec


def test_blocks_are_their_formula():
    encoder = ResNet(InputSpec(numbers=("a", "b")), width=4, blocks=2).eval()
    values = torch.randn(5, 2)
    found = encoder({NUMBERS: values})
    for stage, feature in zip(encoder.stages[1:], found[1:], strict=True):
        values = stage.enter(values)
        norm, first, _, _, second, _ = stage.block
        # Fresh statistics: mean 0, variance 1.
        inner = second(functional.relu(first(values / (1 + norm.eps) ** 0.5)))
        values = stage.leave(values + inner)
        torch.testing.assert_close(feature.values, values)
    assert (found[-1].values >= 0).all()
    assert (found[1].values < 0).any()
