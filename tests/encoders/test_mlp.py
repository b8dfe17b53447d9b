"""MLP: plain layers behind the embedding."""

import pytest
import torch
from torch import nn

from polytask.encoders import MLP
from polytask.feature import NUMBERS, InputSpec

SPEC = InputSpec(numbers=("a", "b"))


def test_it_is_plain_pytorch():
    torch.manual_seed(4)
    encoder = MLP(SPEC, widths=(16, 8), dropout=0.5)
    torch.manual_seed(4)
    plain = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5))
    x = torch.randn(32, 2)
    torch.manual_seed(5)
    found = encoder({NUMBERS: x})[-1].values
    torch.manual_seed(5)
    assert torch.equal(found, plain(x))


def test_batch_norm_stands_before_the_activation():
    kinds = [type(layer) for layer in MLP(SPEC, widths=(4,), batch_norm=True).stages[1].layers]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"widths": (8, 0)}, r"widths are whole numbers >= 1, got \[8, 0\]"),
        ({"dropout": 1.0}, r"dropout is in \[0, 1\), got 1.0"),
        ({"activation": "tanh"}, r"activation is one of \['relu', 'gelu', 'silu'\], got 'tanh'"),
    ],
)
def test_settings_that_cannot_be(settings, text):
    with pytest.raises(ValueError, match=text):
        MLP(SPEC, **settings)
