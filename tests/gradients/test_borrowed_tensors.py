"""Gradients that autograd lends, hooks of users, saved tensors: what goes wrong in silence where nobody looks."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polytask.balance import MGDA, CAGrad, Engine, PCGrad
from polytask.gradients.by_layers import by_layers
from polytask.gradients.loop import by_loop

TASKS = tuple("abcde")
ENGINES = {"exact": Engine(), "chunk": Engine(chunk=1), "representation": Engine(level="representation")}


class Net(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, width), nn.Linear(width, 5)
        self.heads = nn.ModuleDict({task: nn.Linear(5, 1) for task in TASKS})

    def features(self) -> Tensor:
        return self.second(self.first(torch.linspace(-1, 1, 32).reshape(8, 4)).tanh())

    def losses(self, features: Tensor | None = None) -> dict[str, Tensor]:
        features = self.features() if features is None else features
        return {task: (head(features) - k).square().mean() for k, (task, head) in enumerate(self.heads.items())}

    def shared(self) -> list[nn.Parameter]:
        return [*self.first.parameters(), *self.second.parameters()]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_looped", [True, False])
def test_no_two_parameters_hold_one_gradient(engine: str, is_looped: bool, monkeypatch) -> None:
    if not is_looped:
        monkeypatch.setattr("polytask.gradients.engine.is_looped", lambda *_: False)
    weight, change, bias = (nn.Parameter(torch.ones(3)) for _ in range(3))

    def losses() -> dict[str, Tensor]:
        features = (torch.arange(3.0) * (weight + change)).tanh() + bias.sum()
        return {task: (features * (k + 1)).sum() for k, task in enumerate(TASKS)}

    shared = [weight, change, bias]
    for times in (1, 2):
        PCGrad(TASKS, engine=ENGINES[engine]).backward(losses(), shared=shared, penalty=change.sum())
        torch.testing.assert_close(change.grad - weight.grad, torch.full((3,), float(times)))
        assert len({p.grad.data_ptr() for p in shared}) == 3
        assert all(p.grad.is_contiguous() for p in shared)


def test_a_chunk_and_a_parameter_that_nobody_declared() -> None:
    net, extra = Net(), nn.Parameter(torch.tensor(0.5))
    losses = {task: loss * (1 + extra) for task, loss in net.losses().items()}
    PCGrad(TASKS, engine=Engine(chunk=1)).backward(losses, shared=net.shared())
    assert extra.grad is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_representation_in_half_precision(dtype: torch.dtype) -> None:
    net = Net()
    with torch.autocast("cpu", dtype=dtype):
        features = net.features()
        losses = {task: loss.float() * 300 for task, loss in net.losses(features).items()}
    found = ENGINES["representation"].differentiate(losses, net.shared(), retain_graph=True).gramian()
    rows = torch.stack(
        [torch.autograd.grad(loss, features, retain_graph=True)[0].flatten().double() for loss in losses.values()]
    )
    assert (found - rows @ rows.T).norm() <= 1e-5 * found.trace()


def test_a_scaler_at_the_representation_does_not_fall_back_to_a_sum() -> None:
    net, scaler = Net(), torch.amp.GradScaler("cpu", init_scale=1024.0)
    with torch.autocast("cpu", dtype=torch.float16):
        losses = {task: loss.float() for task, loss in net.losses().items()}
    weights = MGDA(TASKS, engine=ENGINES["representation"]).backward(losses, shared=net.shared(), scaler=scaler)
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("offset", [10.0, 300.0, 3000.0])
def test_inputs_far_from_zero_lose_no_digits(offset: float) -> None:
    layer, heads = nn.Linear(64, 64), [nn.Linear(64, 1) for _ in range(6)]
    inputs = torch.randn(32, 64) + offset

    def losses() -> dict[str, Tensor]:
        features = layer(inputs)
        outputs = [head(features)[:, 0] for head in heads]
        return {str(k): ((out - out.detach().mean()) * torch.randn(32)).mean() for k, out in enumerate(outputs)}

    torch.manual_seed(0)
    found = by_layers(
        losses(), list(layer.parameters()), retain_graph=False, with_own=False, chunk=None, by_products=True
    )
    torch.manual_seed(0)
    exact = by_loop(losses(), list(layer.parameters()), retain_graph=False, with_own=False)
    assert (found.gramian() - exact.gramian()).norm() <= 2e-5 * exact.gramian().trace()
    assert (found.gramian().diagonal() > 0).all()


def test_a_hook_on_a_parameter_is_called() -> None:
    net = Net(width=64)
    net.first.weight.register_hook(lambda gradient: gradient * 0)
    CAGrad(TASKS).backward(net.losses(), shared=net.shared())
    assert not net.first.weight.grad.any()
    assert net.second.weight.grad.any()


def test_a_hook_that_cannot_see_all_tasks_at_once_is_called_task_by_task() -> None:
    net, seen = Net(width=200), []
    features = net.features()
    early = net.first(torch.ones(8, 4)).tanh()
    early.register_hook(lambda gradient: seen.append(bool(torch.isnan(gradient).any())))
    features = net.second(early)
    PCGrad(TASKS).backward(net.losses(features), shared=net.shared())
    assert len(seen) >= len(TASKS)
    assert not any(seen)


def test_a_hook_between_stages_that_heads_read_is_never_called_with_nothing() -> None:
    net = Net()
    early = net.first(torch.ones(8, 4)).tanh()
    early.register_hook(lambda gradient: gradient * 1.0)
    late = net.second(early)
    losses = net.losses(late)
    losses["e"] = early.square().mean()
    expected = by_loop(losses, net.shared(), retain_graph=True, with_own=True)
    found = by_layers(losses, net.shared(), retain_graph=True, with_own=True, chunk=None)
    torch.testing.assert_close(found.gramian(), expected.gramian(), rtol=1e-5, atol=1e-6)


def test_checkpointed_layers_are_computed_once_more_for_each_task_only() -> None:
    calls: list[int] = []

    class Counted(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            calls.append(1)
            return super().forward(inputs)

    layer, heads = Counted(4, 4), [nn.Linear(4, 1) for _ in TASKS]
    inputs = torch.randn(2000, 4)  # so many that nothing it saw is kept
    features = checkpoint(layer, inputs, use_reentrant=False)
    losses = {task: head(features).square().mean() for task, head in zip(TASKS, heads, strict=True)}
    by_layers(losses, list(layer.parameters()), retain_graph=False, with_own=True, chunk=None)
    assert len(calls) <= 1 + len(TASKS)


def test_one_row_of_a_table() -> None:
    table, heads = nn.Embedding(5, 3), [nn.Linear(3, 1) for _ in TASKS]

    def losses() -> dict[str, Tensor]:
        row = table(torch.tensor(3))
        return {task: head(row).square().mean() for task, head in zip(TASKS, heads, strict=True)}

    found = by_layers(losses(), list(table.parameters()), retain_graph=False, with_own=True, chunk=None)
    exact = by_loop(losses(), list(table.parameters()), retain_graph=False, with_own=True)
    torch.testing.assert_close(found.jacobian(), exact.jacobian())


def test_sparse_and_dense_gradients_add_up() -> None:
    table, heads = nn.Embedding(5, 3, sparse=True), [nn.Linear(3, 1) for _ in TASKS]
    balancer = PCGrad(TASKS, engine=Engine(every=2))
    for _ in range(3):
        features = table(torch.tensor([1, 3]))
        losses = {task: head(features).square().mean() for task, head in zip(TASKS, heads, strict=True)}
        balancer.backward(losses, shared=list(table.parameters()))
    assert table.weight.grad.to_dense().isfinite().all()


def test_nothing_shared_between_two_solutions() -> None:
    w = nn.Parameter(torch.ones(2))
    balancer = PCGrad(["a", "b"], engine=Engine(every=2))
    for _ in range(2):
        balancer.backward({"a": w.sum(), "b": w.square().sum()}, shared=[])
    assert w.grad.tolist() == [6, 6]


def test_complex_parameters_are_refused() -> None:
    w = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"shared\[0\] \[2\] is complex"):
        PCGrad(["a", "b"]).backward({"a": w.abs().sum(), "b": w.real.sum()}, shared=[w])
