import pytest
import torch

from polytask.feature import Feature
from polytask.sharing.film import Modulation


class Given(torch.nn.Module):
    """A stage that gives what it was told to."""

    def __init__(self, values, mask=None):
        super().__init__()
        self.feature = Feature(values, mask)

    def forward(self, source):
        return self.feature


@pytest.mark.parametrize(("shape", "axis"), [((2, 3), 1), ((2, 5, 3), 2), ((2, 3, 4, 5), 1)])
def test_channels_are_scaled_and_shifted_wherever_they_stand(shape, axis):
    values, mask = torch.randn(shape), torch.ones(2, 5, dtype=torch.bool)
    part = Modulation(3)
    with torch.no_grad():
        part.gain.copy_(torch.tensor([0.0, 1.0, -1.0]))
        part.shift.copy_(torch.tensor([0.0, 10.0, 20.0]))
    found = part(Given(values, mask), {})
    for channel, (gain, shift) in enumerate([(1, 0), (2, 10), (0, 20)]):
        expected = gain * values.select(axis, channel) + shift
        torch.testing.assert_close(found.values.select(axis, channel), expected)
    assert found.mask is mask


def test_worked_by_hand():
    """h = (2, -1), g = (1, 2), b = (0, 5): (1 + 1) 2 + 0 = 4, (1 + 2)(-1) + 5 = 2."""
    part = Modulation(2)
    with torch.no_grad():
        part.gain.copy_(torch.tensor([1.0, 2.0]))
        part.shift.copy_(torch.tensor([0.0, 5.0]))
    assert part(Given(torch.tensor([[2.0, -1.0]])), {}).values.tolist() == [[4.0, 2.0]]
