import pytest
import torch

from polytask.feature import Feature
from polytask.sharing.residual_adapters import Adapter


class Given(torch.nn.Module):
    """A stage that gives what it was told to."""

    def __init__(self, values, mask=None):
        super().__init__()
        self.feature = Feature(values, mask)

    def forward(self, source):
        return self.feature


@pytest.mark.parametrize("down", [None, torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 0.5]])])
@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (2, 3, 4, 5)])
def test_an_adapter_is_one_map_over_the_channels_of_every_position(down, shape):
    values = torch.randn(shape)
    part = Adapter(3, down)
    last = part.layers[-1]
    with torch.no_grad():
        last.weight.copy_(torch.randn(last.weight.shape))
    found = part(Given(values), {}).values
    rows = values if values.ndim < 4 else values.permute(0, 2, 3, 1)
    inner = rows if down is None else (rows @ down.T).clamp_min(0)
    expected = rows + inner @ last.weight.T
    torch.testing.assert_close(found, expected if values.ndim < 4 else expected.permute(0, 3, 1, 2))


def test_an_adapter_is_a_convolution_of_one_pixel():
    part, values = Adapter(3, None), torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        part.layers[0].weight.copy_(torch.randn(3, 3))
    convolved = torch.nn.functional.conv2d(values, part.layers[0].weight[:, :, None, None])
    torch.testing.assert_close(part(Given(values), {}).values, values + convolved)


def test_adapters_start_alike_whichever_tasks_there_are(conditioned):
    whole = conditioned.build("residual_adapters", {"bottleneck": 2})
    alone = conditioned.build("residual_adapters", {"bottleneck": 2}, tasks={"y": (-1,)})
    for one, other in zip(whole.task_parameters("y"), alone.chain.parts_of("y").parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_bottleneck_that_cannot_be_is_refused(conditioned):
    with pytest.raises(ValueError, match="sharing 'residual_adapters': bottleneck=0, 1 or more is wanted, or null"):
        conditioned.build("residual_adapters", {"bottleneck": 0})
