"""Auto-λ: against the exact slope of its look ahead, and where it leads."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polytask.balance import AutoLambda, Probe, Smooth

TASKS = ("a", "b", "c")


class Quadratics(nn.Module):
    """A parameter vector, and a quadratic loss a task on training and on validation rows."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draws = np.random.default_rng(seed)
        self.w = nn.Parameter(torch.tensor(draws.normal(size=5)))
        self.x = {part: torch.tensor(draws.normal(size=(3, 12, 5))) for part in ("training", "validation")}
        goals = torch.tensor(3 * draws.normal(size=(3, 5, 1)))
        self.y = {part: (x @ goals).squeeze(2) + 1 for part, x in self.x.items()}

    def losses(self, part: str, w: Tensor | None = None) -> dict[str, Tensor]:
        residuals = self.x[part] @ (self.w if w is None else w) - self.y[part]
        return dict(zip(TASKS, residuals.square().mean(dim=1), strict=True))

    def probe(self, rate: float) -> Probe:
        look = {"losses": lambda: self.losses("training"), "validation": lambda: self.losses("validation")}
        return Probe(self, learning_rate=rate, **look)

    def slope(self, weights: Tensor, rate: float, primary: tuple[str, ...]) -> Tensor:
        """d Σ L_val(w − η ∇ Σ λ L)/dλ by autograd through the step."""
        weights = weights.clone().requires_grad_()
        training = torch.stack(list(self.losses("training").values()))
        (step,) = torch.autograd.grad(weights @ training, self.w, create_graph=True)
        ahead = self.losses("validation", self.w - rate * step)
        (slope,) = torch.autograd.grad(sum(ahead[name] for name in primary), weights)
        return slope


@pytest.mark.parametrize("primary", [None, ["b"], ["c", "a"]])
@pytest.mark.parametrize("rate", [0.001, 0.1])
def test_it_follows_the_exact_slope_over_many_steps(primary: list[str] | None, rate: float) -> None:
    net = Quadratics(3)
    balancer = AutoLambda(TASKS, primary=primary, learning_rate=0.01)
    weights = torch.full((3,), 0.1, dtype=torch.float64, requires_grad=True)
    adam, optimizer = torch.optim.Adam([weights], lr=0.01), torch.optim.SGD(net.parameters(), lr=rate)
    for _ in range(25):
        weights.grad = net.slope(weights.detach(), rate, tuple(primary or TASKS))
        adam.step()
        with torch.no_grad():
            weights.clamp_(min=0)
        optimizer.zero_grad()
        found = balancer.backward(net.losses("training"), shared=[net.w], probe=net.probe(rate))
        np.testing.assert_allclose(list(found.values()), weights.detach(), rtol=1e-6, atol=1e-9)
        optimizer.step()
    assert weights.std() > 0.01, "they went different ways"


def test_the_difference_is_as_good_as_the_slope_in_single_precision() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 3))
    x, y = torch.randn(2, 40, 6), torch.randn(2, 40, 3)

    def losses(part: int) -> dict[str, Tensor]:
        return dict(zip(TASKS, (net(x[part]) - y[part]).square().mean(dim=0), strict=True))

    balancer = AutoLambda(TASKS)
    probe = Probe(net, losses=lambda: losses(0), validation=lambda: losses(1), learning_rate=0.01)
    balancer.backward(losses(0), shared=list(net[0].parameters()), probe=probe)
    parameters = list(net.parameters())
    step = probe.gradient(dict.fromkeys(TASKS, 0.1))
    with probe.moved(step, -0.01):
        direction = probe.validation_gradient(TASKS)
    for k, loss in enumerate(losses(0).values()):
        gradient = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        exact = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True) if g is not None)
        assert float(balancer.adam.mean[k]) * 10 == pytest.approx(-0.01 * exact, rel=2e-3)


def test_a_harmful_task_ends_at_zero_and_comes_back() -> None:
    w = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    goals = {"wanted": 1.0, "harmful": -1.0}

    def losses() -> dict[str, Tensor]:
        return {name: (w - goal).square() for name, goal in goals.items()}

    balancer = AutoLambda(list(goals), primary=["wanted"], learning_rate=0.01)
    assert not balancer.is_impartial
    optimizer = torch.optim.SGD([w], lr=0.05)

    def step() -> dict[str, float]:
        probe = Probe(nn.ParameterList([w]), losses=losses, validation=losses, learning_rate=0.05)
        optimizer.zero_grad()
        weights = balancer.backward(losses(), shared=[w], probe=probe)
        optimizer.step()
        return weights

    for _ in range(30):
        weights = step()
    assert weights["harmful"] == 0.0
    assert weights["wanted"] > 0.3
    goals["harmful"] = 1.0
    for _ in range(60):
        weights = step()
    assert weights["harmful"] > 0


def test_a_validation_batch_that_says_nothing_moves_no_weight() -> None:
    w = nn.Parameter(torch.ones(2))

    def look(validation: dict[str, float]) -> dict[str, float]:
        def losses() -> dict[str, Tensor]:
            return {"a": w[0], "b": w[1]}

        def ahead() -> dict[str, Tensor]:
            return {name: (w * 0).sum() + value for name, value in validation.items()}

        probe = Probe(nn.ParameterList([w]), losses=losses, validation=ahead, learning_rate=0.1)
        return balancer.backward(losses(), shared=[w], probe=probe)

    balancer = AutoLambda(["a", "b"], primary=["a"])
    assert look({"b": 1.0}) == look({"a": 1.0}) == look({}) == {"a": 0.1, "b": 0.1}
    assert balancer.adam.count.tolist() == [0, 0]


def test_a_task_that_is_not_in_the_step_may_be_what_counts() -> None:
    net = Quadratics(1)
    balancer = AutoLambda(TASKS, primary=["c"], learning_rate=0.01)
    probe = Probe(
        net,
        losses=lambda: {"a": net.losses("training")["a"]},
        validation=lambda: net.losses("validation"),
        learning_rate=0.1,
    )
    balancer.backward({"a": net.losses("training")["a"]}, shared=[net.w], probe=probe)
    assert balancer.weights[0] != 0.1
    assert balancer.weights[1:].tolist() == [0.1, 0.1]


def test_momentum_around_it_looks_ahead_too() -> None:
    net = Quadratics(0)
    smooth = Smooth(TASKS, of={"auto_lambda": {"learning_rate": 0.05}}, momentum=0.5)
    assert smooth.looks_ahead
    for _ in range(2):
        found = smooth.backward(net.losses("training"), shared=[net.w], probe=net.probe(0.1))
    assert list(found.values()) == pytest.approx(
        (smooth.of.weights - smooth.of.weights.sub(0.1) / 4).tolist(), abs=1e-3
    )


def test_without_a_probe() -> None:
    net = Quadratics(0)
    with pytest.raises(ValueError, match=r"looks ahead: make a Probe before the forward pass and hand it over"):
        AutoLambda(TASKS).backward(net.losses("training"), shared=[net.w])
    assert net.w.grad is None


def test_losses_that_are_not_finite() -> None:
    w = nn.Parameter(torch.tensor([1.0, 0.005]))
    balancer = AutoLambda(["a", "b"])

    def losses() -> dict[str, Tensor]:
        return {"a": w[0] ** 2, "b": w[1].sqrt() + w[1]}

    probe = Probe(nn.ParameterList([w]), losses=losses, validation=lambda: {"b": w[1] * 1.0}, learning_rate=0.0)
    with pytest.raises(ValueError, match=r"task 'b': its loss is not finite 0.01 away: lower the learning rate"):
        balancer.backward(losses(), shared=[w], probe=probe)
    probe = Probe(nn.ParameterList([w]), losses=losses, validation=lambda: {"a": (w[0] * 0).sqrt()}, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"the gradient of the validation losses of .* is not finite after a step"):
        balancer.backward(losses(), shared=[w], probe=probe)
    assert balancer.weights.tolist() == [0.1, 0.1]
    assert w.tolist() == pytest.approx([1.0, 0.005])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"primary": ["incom"]}, "the unknown task 'incom' in primary; did you mean 'income'"),
        ({"primary": []}, r"primary is empty: name a task, primary=\['income'\]"),
        ({"start": 0.0}, "start=0.0, a number above 0"),
        ({"learning_rate": -1.0}, "auto_lambda: learning_rate=-1.0"),
    ],
)
def test_settings_that_cannot_be(settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AutoLambda(["income", "age"], **settings)
