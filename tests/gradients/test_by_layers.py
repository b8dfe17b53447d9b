"""Layer by layer, side by side, in chunks: what comes out is what the loop gives, on every kind of graph."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch._functorch.config
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polytask.gradients import Engine
from polytask.gradients.by_layers import by_layers
from polytask.gradients.loop import by_loop
from polytask.gradients.parts import Explicit, Forgotten, Lookup, Product
from polytask.gradients.trunk import Trunk

TASKS = ("a", "b", "c", "d")


class Net(nn.Module):
    """A trunk that a head a task reads; what it reads is drawn from a fixed seed."""

    def __init__(self, body: Callable[[Tensor], Tensor], modules: list[nn.Module], inputs: Tensor, width: int) -> None:
        super().__init__()
        self.body, self.parts = body, nn.ModuleList(modules)
        self.heads = nn.ModuleDict({task: nn.Linear(width, 1) for task in TASKS})
        self.register_buffer("inputs", inputs)

    def losses(self) -> dict[str, Tensor]:
        torch.manual_seed(5)
        features = self.body(self.inputs)
        return {task: (head(features) - k).square().mean() for k, (task, head) in enumerate(self.heads.items())}

    def shared(self) -> list[nn.Parameter]:
        return [p for p in self.parts.parameters() if p.requires_grad]


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def indices(*shape: int) -> Tensor:
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(0))


def sequential(*layers: nn.Module, inputs: Tensor, width: int) -> Net:
    trunk = nn.Sequential(*layers)
    return Net(trunk, [trunk], inputs, width)


def mlp() -> Net:
    return sequential(
        nn.Linear(6, 9), nn.ReLU(inplace=True), nn.Linear(9, 9, bias=False), nn.Tanh(), nn.Dropout(0.3),
        nn.Linear(9, 5), inputs=numbers(12, 6), width=5,
    )  # fmt: skip


def with_batch_norm() -> Net:
    return sequential(
        nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(inplace=True), nn.Linear(9, 5), nn.LayerNorm(5), nn.GELU(),
        inputs=numbers(12, 6), width=5,
    )  # fmt: skip


def partly_frozen() -> Net:
    model = mlp()
    model.parts[0][0].weight.requires_grad_(False)
    model.parts[0][5].bias.requires_grad_(False)
    model.parts.append(nn.Linear(3, 3))  # reached by nobody
    return model


def convolutions() -> Net:
    return sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=2, stride=2),
        nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), inputs=numbers(7, 2, 12, 12), width=5,
    )  # fmt: skip


def sequences() -> Net:
    layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 5, bias=False)])

    def body(inputs: Tensor) -> Tensor:
        return layers[1](layers[0](inputs).tanh()).mean(dim=1)

    return Net(body, [layers], numbers(4, 6, 3), 5)


def recurrent(kind: type[nn.RNNBase]) -> Callable[[], Net]:
    def make() -> Net:
        layer = kind(3, 5, batch_first=True)
        return Net(lambda inputs: layer(inputs)[0][:, -1], [layer], numbers(4, 6, 3), 5)

    return make


def attention() -> Net:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return Net(lambda inputs: layer(inputs).mean(dim=1), [layer], numbers(4, 6, 8), 8)


def embedding(**settings: bool | int) -> Callable[[], Net]:
    def make() -> Net:
        table, after = nn.Embedding(11, 5, **settings), nn.Linear(5, 5)
        return Net(lambda places: after(table(places).mean(dim=1)).tanh(), [table, after], indices(6, 4), 5)

    return make


def tied() -> Net:
    """One layer twice; a table that is also multiplied by; a bias used outside its layer."""
    twice, table = nn.Linear(5, 5), nn.Embedding(11, 5)

    def body(places: Tensor) -> Tensor:
        features = table(places).mean(dim=1)
        features = twice(twice(features).tanh()) + twice.bias
        return (features @ table.weight.T) @ table.weight

    return Net(body, [twice, table], indices(6, 4), 5)


def untransposed() -> Net:
    weight = nn.Parameter(numbers(6, 5))
    holder = nn.Module()
    holder.weight = weight
    return Net(lambda inputs: torch.addmm(torch.zeros(5).to(inputs), inputs, weight, alpha=0.5).relu() + (inputs @ weight),
                 [holder], numbers(9, 6), 5)  # fmt: skip


def scaled_bias() -> Net:
    layer = nn.Linear(6, 5)

    def body(inputs: Tensor) -> Tensor:
        return torch.addmm(layer.bias, inputs, layer.weight.T, beta=0.25, alpha=2.0).relu()

    return Net(body, [layer], numbers(9, 6), 5)


def checkpointed() -> Net:
    layers = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 5))
    return Net(lambda inputs: checkpoint(layers, inputs, use_reentrant=False), [layers], numbers(9, 6), 5)


GRAPHS = {
    "mlp": mlp, "batch norm": with_batch_norm, "partly frozen": partly_frozen, "convolutions": convolutions,
    "sequences": sequences, "gru": recurrent(nn.GRU), "lstm": recurrent(nn.LSTM), "attention": attention,
    "embedding": embedding(), "padding": embedding(padding_idx=3), "sparse": embedding(sparse=True),
    "by frequency": embedding(scale_grad_by_freq=True), "tied": tied, "untransposed": untransposed,
    "scaled bias": scaled_bias, "checkpoint": checkpointed,
}  # fmt: skip
#: Whose nodes `torch.vmap` cannot pass.
ONE_BY_ONE = {"lstm", "sparse", "checkpoint", "attention", "embedding", "padding", "by frequency", "tied"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("graph", GRAPHS)
def test_paths_agree(graph: str, dtype: torch.dtype, assert_paths_agree) -> None:
    model = GRAPHS[graph]().to(dtype)
    for batched in (None, False, *([] if graph in ONE_BY_ONE else [True])):
        for by_products in (None, False, True):
            for chunk in (None, 40):
                settings = {"batched": batched, "by_products": by_products, "chunk": chunk}
                assert_paths_agree(model.losses, model.shared(), **settings)


def parts_of(model: Net, **settings) -> list[object]:
    found = by_layers(model.losses(), model.shared(), retain_graph=False, with_own=True, chunk=None, **settings)
    return [type(part) for part in found._parts]


def test_what_is_recognised_is_not_taken_explicitly() -> None:
    assert parts_of(mlp(), by_products=True) == [Product, Explicit, Product, Product, Explicit]
    assert parts_of(sequences(), by_products=True) == [Product, Explicit, Product]
    assert parts_of(untransposed(), by_products=True) == [Explicit]  # two scales
    assert parts_of(embedding()())[0] is Lookup
    assert parts_of(recurrent(nn.GRU)(), by_products=True)[:2] == [Product, Product]


def test_the_layers_of_a_wide_batch_are_taken_as_is_cheaper() -> None:
    few = sequential(nn.Linear(64, 64), nn.ReLU(), inputs=numbers(8, 64), width=64)
    many = sequential(nn.Linear(8, 8), nn.ReLU(), inputs=numbers(2000, 8), width=8)
    assert parts_of(few)[0] is Product
    assert parts_of(many)[0] is not Product


def test_a_chunk_forgets_rows_and_takes_them_again_in_one_pass(monkeypatch) -> None:
    model = convolutions()
    found = by_layers(model.losses(), model.shared(), retain_graph=False, with_own=True, chunk=1)
    assert sum(isinstance(part, Forgotten) for part in found._parts) >= 4
    passes: list[int] = []
    mixed = Trunk.mixed
    monkeypatch.setattr(Trunk, "mixed", lambda *args, **settings: passes.append(1) or mixed(*args, **settings))
    found.combined(torch.ones(4, dtype=torch.float64))
    assert len(passes) == 1
    assert Engine(chunk=1).differentiate(model.losses(), model.shared()).jacobian().isfinite().all()


class TwoTables(nn.Module):
    """A table a task: graphs that meet in the parameters alone."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5))
        self.heads = nn.ModuleDict({task: nn.Linear(5, 1) for task in TASKS})

    def losses(self) -> dict[str, Tensor]:
        found = {}
        for k, (task, head) in enumerate(self.heads.items()):
            rows = torch.randn(5 + k, 6, generator=torch.Generator().manual_seed(k)).to(head.weight)
            found[task] = head(self.trunk(rows)).square().mean()
        return found


def test_a_table_a_task(assert_paths_agree) -> None:
    model = TwoTables().double()
    assert_paths_agree(model.losses, list(model.trunk.parameters()))


def test_one_task_alone(assert_paths_agree) -> None:
    model = mlp().double()
    assert_paths_agree(lambda: {"b": model.losses()["b"]}, model.shared())


def test_losses_made_of_other_losses(assert_paths_agree) -> None:
    model = mlp().double()

    def losses() -> dict[str, Tensor]:
        plain = model.losses()
        return {"a": plain["a"], "both": plain["a"] + 2 * plain["b"], "again": plain["a"]}

    assert_paths_agree(losses, model.shared())


def test_a_shared_parameter_that_a_head_reads_too(assert_paths_agree) -> None:
    model = mlp().double()

    def losses() -> dict[str, Tensor]:
        found = model.losses()
        first = model.parts[0][0]
        found["b"] = found["b"] + F.linear(model.inputs, first.weight, first.bias).square().mean()
        found["c"] = found["c"] + first.weight.square().sum()
        return found

    assert_paths_agree(losses, model.shared())


def test_parameters_that_several_tasks_reach_and_nobody_declared(assert_paths_agree) -> None:
    model = mlp().double()
    extra = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def losses() -> dict[str, Tensor]:
        return {task: loss * (1 + extra) if task != "c" else loss for task, loss in model.losses().items()}

    assert_paths_agree(losses, list(model.parts[0][3:].parameters()))
    assert_paths_agree(losses, model.shared())


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_sizes_far_apart(size: float) -> None:
    model = mlp()
    model.inputs.copy_(numbers(12, 6))

    def losses() -> dict[str, Tensor]:
        plain = model.losses()
        return {"a": plain["a"] * size, "b": plain["b"]}

    found = by_layers(losses(), model.shared(), retain_graph=False, with_own=True, chunk=None, by_products=True)
    exact = by_loop(losses(), model.shared(), retain_graph=False, with_own=True)
    lengths = exact.gramian().diagonal().sqrt()
    assert ((found.gramian() - exact.gramian()) / torch.outer(lengths, lengths)).abs().max() < 1e-5
    weights = torch.tensor([1 / size, -1.0], dtype=torch.float64)
    mixed = torch.cat([g.flatten() for g in found.combined(weights)])
    torch.testing.assert_close(mixed, torch.cat([g.flatten() for g in exact.combined(weights)]), rtol=1e-4, atol=1e-5)


def test_more_exact_than_a_product_of_long_rows() -> None:
    """Float32 rows of a million coordinates, multiplied at once, are wrong in the fourth digit."""
    model = sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 512), inputs=numbers(32, 512), width=512)
    double = copy.deepcopy(model).double()
    exact = by_loop(double.losses(), double.shared(), retain_graph=False, with_own=False).gramian()
    for settings in ({"by_products": True}, {"by_products": False}, {"by_products": False, "batched": False}):
        found = by_layers(model.losses(), model.shared(), retain_graph=False, with_own=False, chunk=None, **settings)
        assert float((found.gramian() - exact).norm() / exact.trace()) < 2e-6


def test_the_graph_can_be_kept() -> None:
    model = mlp()
    losses = model.losses()
    for _ in range(2):
        by_layers(losses, model.shared(), retain_graph=True, with_own=True, chunk=None)
    sum(losses.values()).backward()


def test_half_precision_by_autocast(assert_paths_agree) -> None:
    model = mlp()

    def losses() -> dict[str, Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return {task: loss.float() for task, loss in model.losses().items()}

    assert_paths_agree(losses, model.shared(), tolerance=1e-5)


def compiled(whole: bool) -> tuple[Net, Callable[[], dict[str, Tensor]]]:
    model = mlp()
    model.parts[0][4].p = 0.0
    if not whole:
        model.body = torch.compile(model.body, backend="aot_eager")
        return model, model.losses
    outputs = torch.compile(lambda x: [head(model.body(x)) for head in model.heads.values()], backend="aot_eager")
    return model, lambda: {task: out.square().mean() for task, out in zip(TASKS, outputs(model.inputs), strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_compiled(whole: bool, assert_paths_agree) -> None:
    """A compiled part is one node: nothing in it is recognised, and each task passes it alone."""
    with torch._functorch.config.patch(donated_buffer=False):
        model, losses = compiled(whole)
        assert_paths_agree(losses, model.shared())
