"""The gradient engine: J against PyTorch's own backward, G against an 80-bit reference."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from polytask.gradients import Engine, cosines, gramian, loss_values
from polytask.gradients.checks import trainable_parameters


class TwoHeads(nn.Module):
    """A trunk with batch norm, dropout, an in-place activation, a frozen and an unused layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, 4)
        )
        self.trunk[4].bias.requires_grad_(False)
        self.unused = nn.Linear(3, 3)
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 1), "b": nn.Linear(4, 2)})

    def shared(self) -> list[nn.Parameter]:
        return [*self.trunk.parameters(), *self.unused.parameters()]

    def losses(self, seed: int = 3) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        features = self.trunk(torch.randn(16, 5, dtype=self.trunk[0].weight.dtype))
        return {name: head(features).square().mean() for name, head in self.heads.items()}


def plain_gradients(model: TwoHeads, task: str) -> dict[str, Tensor]:
    model.zero_grad()
    model.losses()[task].backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_the_gradients_that_backward_gives(dtype: torch.dtype) -> None:
    model = TwoHeads().to(dtype)
    plain = {task: plain_gradients(model, task) for task in "ab"}
    found = Engine().differentiate(model.losses(), model.shared())
    names = {id(p): n for n, p in model.named_parameters()}
    assert found.jacobian().dtype == dtype
    assert [names[id(p)] for p in found.shared if "unused" not in names[id(p)]] == [
        n for n in plain["a"] if n.startswith("trunk")
    ]
    for row, task in zip(found.jacobian(), "ab", strict=True):
        pieces = row.split([p.numel() for p in found.shared])
        for parameter, piece in zip(found.shared, pieces, strict=True):
            expected = plain[task].get(names[id(parameter)], torch.zeros_like(parameter))
            assert torch.equal(piece.view(parameter.shape), expected)
    own = {names[id(p)]: g for p, g in found.own}
    assert set(own) == {n for n in names.values() if n.startswith("heads")}
    assert all(torch.equal(g, plain[n.split(".")[1]][n]) for n, g in own.items())
    assert all(p.grad is None for p in model.parameters())


def test_accumulate_with_ones_is_the_sum_and_leaves_unreached_parameters_alone() -> None:
    model = TwoHeads().double()
    sum(model.losses().values()).backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for times in (1, 2):
        Engine().differentiate(model.losses(), model.shared()).accumulate(torch.ones(2, dtype=torch.float64))
        got = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert set(got) == set(expected)
        for name, gradient in got.items():
            torch.testing.assert_close(gradient, times * expected[name], rtol=1e-12, atol=1e-14)


def test_written_gradients_do_not_share_memory() -> None:
    a, b, w = (nn.Parameter(torch.ones(3)) for _ in range(3))
    Engine().differentiate({"x": (a + b + w).sum(), "y": w.sum()}, [w]).accumulate(torch.ones(2, dtype=torch.float64))
    a.grad.add_(5)
    assert b.grad.tolist() == [1, 1, 1]
    assert w.grad.tolist() == [2, 2, 2]


def test_tied_repeated_and_partly_reached_parameters() -> None:
    tied, only_b = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([3.0]))
    losses = {"a": (tied * tied).sum(), "b": (tied * only_b).sum()}
    found = Engine().differentiate(losses, iter([tied, only_b, tied]))
    assert found.jacobian().tolist() == [[4, 0], [3, 2]]


def test_sparse_embedding() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    losses = {"a": table(torch.tensor([1, 1])).sum(), "b": table(torch.tensor([4])).sum()}
    found = Engine().differentiate(losses, table.parameters())
    assert found.jacobian().tolist() == [[0, 0, 2, 2, 0, 0, 0, 0, 0, 0], [0] * 8 + [1, 1]]


def test_half_precision_rows_are_kept_in_float32() -> None:
    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    found = Engine().differentiate({"a": weight.sum(), "b": (2 * weight).sum()}, [weight])
    assert found.jacobian().dtype == torch.float32
    found.accumulate(torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert weight.grad.dtype == torch.bfloat16
    assert weight.grad.tolist() == [2] * 4


def test_the_graph_can_be_kept_and_own_gradients_left_out() -> None:
    model = TwoHeads()
    losses = model.losses()
    assert Engine().differentiate(losses, model.shared(), retain_graph=True, with_own=False).own == ()
    Engine().differentiate(losses, model.shared())
    with pytest.raises(RuntimeError, match="second time"):
        Engine().differentiate(losses, model.shared())


def test_nothing_shared_is_an_empty_row() -> None:
    model = TwoHeads()
    found = Engine().differentiate(model.losses(), [])
    assert found.jacobian().shape == (2, 0)
    assert gramian(found.jacobian()).tolist() == [[0, 0], [0, 0]]
    assert len(found.own) == len([p for p in model.parameters() if p.requires_grad]) - 2


@pytest.mark.parametrize("chunk", [1, 1000, 2**16, 2**30])
def test_gramian_against_extended_precision(chunk: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([1.0, 1e-15, 1e12, 1e-3])
    jacobian = torch.randn(4, 3000 if chunk == 1 else 200_000, generator=generator) * scales[:, None]
    rows = jacobian.numpy().astype(np.longdouble)
    reference = np.stack([(rows * row).sum(axis=1) for row in rows])
    found = gramian(jacobian, chunk)
    assert found.dtype == torch.float64
    norms = np.sqrt(reference.diagonal())
    assert np.abs((found.numpy() - reference) / np.outer(norms, norms)).max() < 1e-12


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_do_not_over_or_underflow(scale: float) -> None:
    row = torch.tensor([[3.0, 4.0]]) * scale
    assert gramian(row).item() == pytest.approx(25 * scale**2, rel=1e-6)


def test_cosines() -> None:
    found = cosines(gramian(torch.tensor([[1.0, 0.0], [-2.0, 0.0], [3.0, 3.0], [0.0, 0.0]])))
    torch.testing.assert_close(found[:3, 2], torch.tensor([0.5**0.5, -(0.5**0.5), 1.0], dtype=torch.float64))
    assert found[0, 1] == -1
    assert found[3].isnan().all()


def test_loss_values_are_doubles_in_order() -> None:
    w = nn.Parameter(torch.tensor(0.1))
    assert loss_values({"b": w * 2, "a": w * 1}).tolist() == [float(np.float32(0.2)), float(np.float32(0.1))]


W = nn.Parameter(torch.ones(2))


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ({}, "losses is empty"),
        ({"a": 1.0}, "task 'a': its loss is a float"),
        ({"a": W.sum(), "b": W * 2}, r"task 'b': its loss has shape \[2\]"),
        ({"a": W.detach().sum()}, "task 'a': its loss has no graph"),
        ({"a": W.sum(), "b": W.sum() / 0}, "task 'b': its loss is inf"),
        ({"a": W.sum() * float("nan")}, "task 'a': its loss is nan"),
    ],
)
def test_a_loss_that_cannot_be_differentiated(losses: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        loss_values(losses)


@pytest.mark.parametrize(
    ("shared", "says"),
    [
        (W, "shared is a Parameter"),
        (nn.Linear(1, 1), r"shared is a Linear: pass its parameters"),
        ([W, W * 2], r"shared\[1\] is no parameter but a computed tensor of shape \[2\]"),
        ([("weight", W)], r"shared\[0\] is no parameter but a tuple"),
        ([W, nn.Parameter(torch.ones(3, device="meta"))], "are on cpu and meta"),
    ],
)
def test_what_is_no_parameter(shared: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trainable_parameters(shared)


def test_shared_parameters_that_no_loss_reaches() -> None:
    with pytest.raises(ValueError, match=r"no loss reaches.*shared\[0\] \[3, 2\]"):
        Engine().differentiate({"a": W.sum()}, [nn.Parameter(torch.ones(3, 2))])


def test_losses_on_two_devices() -> None:
    other = nn.Parameter(torch.ones((), device="meta"))
    with pytest.raises(ValueError, match="task 'b': its loss is on meta, that of task 'a' on cpu"):
        loss_values({"a": W.sum(), "b": other * 1})


def test_engine_refuses_an_empty_chunk() -> None:
    with pytest.raises(ValueError, match="chunk=0"):
        Engine(chunk=0)


def test_shared_parameters_that_no_loss_need_reach() -> None:
    unreached = nn.Parameter(torch.ones(3, 2))
    w = nn.Parameter(torch.ones(2))
    found = Engine().differentiate({"a": w.sum(), "b": 2 * w.sum()}, [unreached], allow_unreached=True)
    assert found.jacobian().tolist() == [[0.0] * 6] * 2
    found.accumulate(torch.ones(2, dtype=torch.float64))
    assert unreached.grad is None
    assert w.grad.tolist() == [3, 3]
