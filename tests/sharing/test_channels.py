"""Channels of vectors, sequences and pictures alike; batch norm that padding does not enter."""

import pytest
import torch
from torch import nn

from polytask.feature import Feature
from polytask.sharing.channels import ChannelNorm, along_channels, joined, mapped

SHAPES = [(6, 3), (6, 5, 3), (6, 3, 4, 5)]


def last(values):
    return values.movedim(1, -1) if values.ndim == 4 else values


@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_map_of_channels_is_the_same_at_every_position(shape):
    values, linear = torch.randn(shape), nn.Linear(3, 2)
    torch.testing.assert_close(last(mapped(linear, values)), linear(last(values)))
    if len(shape) == 4:
        convolution = nn.functional.conv2d(values, linear.weight[:, :, None, None], linear.bias)
        torch.testing.assert_close(mapped(linear, values), convolution)


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_a_channel_and_joined_channels(shape):
    values, factor = torch.randn(shape), torch.tensor([1.0, 2.0, -3.0])
    torch.testing.assert_close(last(along_channels(factor, values) * values), factor * last(values))
    assert torch.equal(last(joined([values, 2 * values])), torch.cat([last(values), 2 * last(values)], dim=-1))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_over_all_but_channels(shape):
    values, norm, plain = torch.randn(shape), ChannelNorm(3, momentum=0.3), nn.BatchNorm1d(3, momentum=0.3)
    for mode in (True, True, False):
        found = norm.train(mode)(Feature(values))
        expected = plain.train(mode)(last(values).reshape(-1, 3)).view(last(values).shape)
        torch.testing.assert_close(last(found), expected)
    for name, buffer in norm.layer.named_buffers():
        torch.testing.assert_close(buffer, dict(plain.named_buffers())[name])


def test_padding_enters_no_statistic():
    values, mask = torch.randn(4, 5, 3), torch.arange(5) < torch.tensor([[5], [2], [1], [3]])
    results = []
    for padding in (0.0, 1e4):
        norm = ChannelNorm(3)
        feature = Feature(values.masked_fill(~mask.unsqueeze(-1), padding), mask)
        results.append((norm(feature)[mask], norm.layer.running_mean, norm.layer.running_var))
        assert torch.isfinite(norm(feature)).all()
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
    plain = nn.BatchNorm1d(3)
    torch.testing.assert_close(results[0][0], plain(values[mask]))


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3), (1, 3, 1, 1)])
def test_a_single_value_a_channel_is_normalised_by_running_statistics(shape):
    norm = ChannelNorm(3)
    norm(Feature(torch.randn(8, 3)))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    values = torch.randn(shape)
    assert torch.equal(norm.train()(Feature(values)), norm.eval()(Feature(values)))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_a_sequence_with_one_token_in_all():
    mask = torch.tensor([[True, False]])
    assert torch.isfinite(ChannelNorm(3)(Feature(torch.randn(1, 2, 3), mask))).all()


def test_half_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask = torch.tensor([[True, False], [True, True]])
        assert torch.isfinite(ChannelNorm(3)(Feature(torch.randn(2, 2, 3).bfloat16(), mask))).all()
