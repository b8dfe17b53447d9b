"""LeNet: known sizes."""

import pytest
import torch

from polytask.encoders import LeNet
from polytask.feature import InputSpec


def test_it_has_the_parameters_of_lenet_5():
    encoder = LeNet(InputSpec(images={"digit": (1, 28, 28)}))
    sizes = [sum(p.numel() for p in stage.parameters()) for stage in encoder.stages]
    # 61,706 with the last layer of 84 · 10 + 10, which is the head's.
    assert sizes == [6 * 25 + 6, 16 * 6 * 25 + 16, 400 * 120 + 120 + 120 * 84 + 84]
    assert sum(sizes) == 61_706 - 850


@pytest.mark.parametrize("size", [(12, 12), (13, 17), (28, 28), (33, 64)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_channels_and_size(size, channels):
    encoder = LeNet(InputSpec(images={"x": (channels, *size)}))
    features = encoder({"x": torch.randn(2, channels, *size)})
    assert [tuple(f.values.shape[1:]) for f in features] == [
        (6, size[0] // 2, size[1] // 2),
        (16, (size[0] // 2 - 4) // 2, (size[1] // 2 - 4) // 2),
        (84,),
    ]


@pytest.mark.parametrize("size", [(11, 40), (40, 11), (8, 8)])
def test_too_small_a_picture(size):
    with pytest.raises(ValueError, match=rf"12 x 12 pixels or more, but column 'x' has {size[0]} x {size[1]}"):
        LeNet(InputSpec(images={"x": (1, *size)}))


def test_a_layer_is_wanted():
    with pytest.raises(ValueError, match="at least one fully connected layer"):
        LeNet(InputSpec(images={"x": (1, 28, 28)}), widths=())
