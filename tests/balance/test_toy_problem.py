"""The published toy problem: its functions, its front, and that Nash-MTL reaches it when it should."""

import importlib
import math
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("toy_problem")


def written_out(x1, x2, scale):
    """The paper's formulas, number by number."""
    u1 = torch.log((0.5 * (-x1 - 7) - torch.tanh(-x2)).abs().clamp_min(5e-6)) + 6
    u2 = torch.log((0.5 * (-x1 + 3) + torch.tanh(-x2) + 2).abs().clamp_min(5e-6)) + 6
    c1, c2 = torch.tanh(0.5 * x2).clamp_min(0), torch.tanh(-0.5 * x2).clamp_min(0)
    q1 = ((-x1 + 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    q2 = ((-x1 - 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    return scale * (u1 * c1 + q1 * c2), u2 * c1 + q2 * c2


@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize("start", range(7))
def test_values_and_gradients_at_the_starts_and_beyond(toy, start, scale):
    points = (*toy.STARTS, (-3.3, -8.4), (-7.0, 1e-7))
    x = torch.tensor(points[start], requires_grad=True)
    found = toy.losses_at(x, scale)
    exact = x.detach().double().requires_grad_()
    for (name, loss), known in zip(found.items(), written_out(*exact, scale), strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.double(), known, rtol=1e-6, atol=1e-6, msg=name)
        (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
        (slope,) = torch.autograd.grad(known, exact, retain_graph=True)
        torch.testing.assert_close(gradient.double(), slope, rtol=1e-6, atol=1e-6, msg=name)


def test_losses_above_their_least_have_the_same_gradients(toy):
    x = torch.tensor(toy.STARTS[2], requires_grad=True)
    for plain, above in zip(toy.losses_at(x, 0.1).values(), toy.losses_at(x, 0.1, toy.LEAST).values(), strict=True):
        assert above.item() > 0
        (gradient,) = torch.autograd.grad(plain, x, retain_graph=True)
        torch.testing.assert_close(torch.autograd.grad(above, x, retain_graph=True)[0], gradient)


def test_the_front_is_where_it_is_known_to_be(toy):
    points = toy.front()
    middle = points[:, points.shape[1] // 2]
    assert middle == pytest.approx([-15.0916, -15.0916], abs=1e-4)
    for x1, x2, column in ((0.0, -8.355, 1400), (7.0, -8.434, 2800), (-7.0, -8.434, 0)):
        known = [float(loss) for loss in toy.losses_at(torch.tensor([x1, x2]), 1.0).values()]
        assert points[:, column] == pytest.approx(known, abs=1e-4)
        assert toy.distance(*known) < 1e-4


def test_no_point_nearby_is_better_in_both(toy):
    points = torch.from_numpy(toy.front())
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        x = torch.rand(2, generator=generator) * torch.tensor([16.0, 3.0]) - torch.tensor([8.0, 10.0])
        f1, f2 = (float(loss) for loss in toy.losses_at(x, 1.0).values())
        assert not bool(((points[0] > f1 + 1e-4) & (points[1] > f2 + 1e-4)).any())


def test_a_far_point_is_far(toy):
    f1, f2 = (float(loss) for loss in toy.losses_at(torch.tensor(toy.STARTS[0]), 1.0).values())
    assert toy.distance(f1, f2) > 0.5
    assert math.isfinite(toy.distance(f1, f2))


@pytest.mark.slow
@pytest.mark.parametrize("start", [3, 4])
def test_nash_reaches_the_front_in_the_known_number_of_steps(toy, start):
    row = toy.run("nash_mtl", 0.1, starts=(toy.STARTS[start],))
    assert row["steps"] == [pytest.approx(toy.NASH_STEPS[start], rel=0.2)]


def test_every_balancer_can_be_used_or_is_said_not_to_be(toy, monkeypatch):
    monkeypatch.setattr(toy, "BUDGETS", {0.1: 12, 1.0: 12})
    assert set(toy.BALANCERS) <= {name for name, _ in toy.methods().values()} | set(toy.LEFT_OUT)
    for label in toy.methods():
        row = toy.run(label, 0.1, starts=((0.0, -8.356), toy.STARTS[2]))
        assert row["steps"] == [0, None], label
