"""Fusion: each modality through its own encoder, then layers over all."""

import pytest
import torch

from polytask.encoders import Fusion, LeNet, ResNet
from polytask.errors import ConfigError
from polytask.feature import NUMBERS, InputSpec

SPEC = InputSpec(numbers=("a", "b"), images={"left": (1, 16, 16), "right": (1, 16, 16)})


def some_inputs():
    return {NUMBERS: torch.randn(5, 2), "left": torch.randn(5, 1, 16, 16), "right": torch.randn(5, 1, 16, 16)}


def test_stage_zero_joins_the_ends_of_the_encoders():
    encoder = Fusion(SPEC, table={"resnet": {"width": 7}}, widths=(3,)).eval()
    table, left, right = encoder.stages[0].encoders
    assert (type(table), type(left), type(right)) == (ResNet, LeNet, LeNet)
    inputs = some_inputs()
    parts = [part(inputs)[-1].values for part in (table, left, right)]
    torch.testing.assert_close(encoder(inputs)[0].values, torch.cat(parts, dim=1))
    assert encoder.widths == (7 + 84 + 84, 3)


def test_each_image_column_has_its_own_copy():
    encoder = Fusion(SPEC).eval()
    inputs = some_inputs()
    swapped = {**inputs, "left": inputs["right"], "right": inputs["left"]}
    assert not torch.equal(encoder(inputs)[-1].values, encoder(swapped)[-1].values)
    left, right = encoder.stages[0].encoders[1:]
    assert not torch.equal(left.stages[0].layers[0].weight, right.stages[0].layers[0].weight)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"table": "mpl"}, r"unknown table encoder 'mpl'; did you mean 'mlp'\?"),
        ({"images": "resnet"}, r"unknown image encoder 'resnet'; did you mean 'lenet'"),
        ({"table": {"mlp": {"width": [3]}}}, r"unknown setting 'width'; did you mean 'widths'"),
    ],
)
def test_a_part_that_is_not_known(settings, text):
    for spec in (SPEC, InputSpec(numbers=("a",)), InputSpec(images={"x": (1, 28, 28)})):
        with pytest.raises(ConfigError, match=text):
            Fusion(spec, **settings)
