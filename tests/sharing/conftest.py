"""A small table, a maker of chains whose copies differ, and features to compare."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from polytask.config import as_choice
from polytask.encoders import ENCODERS, MLP
from polytask.feature import CATEGORIES, NUMBERS, Feature, InputSpec
from polytask.sharing import SHARINGS

SPEC = InputSpec(numbers=("a", "b"), categories=(("c", 3),))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})


def inputs(rows=6):
    generator = torch.Generator().manual_seed(2)
    numbers = torch.randn(rows, 2, generator=generator)
    return {NUMBERS: numbers, CATEGORIES: torch.randint(0, 3, (rows, 1), generator=generator)}


def pictures(rows=6):
    return {"photo": torch.randn(rows, 1, 16, 16, generator=torch.Generator().manual_seed(2))}


def mlp(copy, **settings):
    torch.manual_seed(sum(f"copy {copy}".encode()))
    return as_choice({"mlp": {"widths": [8, 4], "dropout": 0.0} | settings}, ENCODERS, "encoder")(SPEC)


def wide(copy):
    return mlp(copy, widths=[64, 48])


def lenet(copy):
    torch.manual_seed(sum(f"copy {copy}".encode()))
    return as_choice({"lenet": {"channels": [3, 4], "widths": [6]}}, ENCODERS, "encoder")(PICTURE)


class TokenStage(nn.Module):
    """A layer at every position; the first makes positions of the numbers and counts those of the row."""

    def __init__(self, before, after, *, is_first):
        super().__init__()
        self.layer, self.is_first = nn.Linear(before, after), is_first

    def forward(self, source):
        if self.is_first:
            tokens = source["tokens"]
            return Feature(self.layer(tokens).tanh(), source["lengths"].unsqueeze(1) > torch.arange(tokens.shape[1]))
        return Feature(self.layer(source.values).tanh(), source.mask)


class Tokens(nn.Module):
    """Sequences of three channels with padding, in two stages."""

    widths = (5, 4)

    def __init__(self, copy):
        super().__init__()
        torch.manual_seed(sum(f"copy {copy}".encode()))
        self.stages = nn.ModuleList([TokenStage(3, 5, is_first=True), TokenStage(5, 4, is_first=False)])

    def kinds(self):
        return ("sequence", "sequence")


def sequences(padding=0.0):
    tokens, lengths = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(2)), torch.tensor([7, 3, 1, 5])
    is_padding = torch.arange(7) >= lengths.unsqueeze(1)
    return {"tokens": tokens.masked_fill(is_padding.unsqueeze(-1), padding), "lengths": lengths}


def same(one, other):
    """Whether two forwards gave the same features, bit for bit, as far as both go."""
    return one.keys() == other.keys() and all(
        torch.equal(a.values, b.values) for task in one for a, b in zip(one[task], other[task], strict=False)
    )


@pytest.fixture
def chains():
    """Makers of chains and inputs for them: see the functions above."""
    return SimpleNamespace(
        mlp=mlp,
        wide=wide,
        lenet=lenet,
        tokens=Tokens,
        inputs=inputs,
        pictures=pictures,
        sequences=sequences,
        same=same,
        tasks={"x": (-1,), "y": (0, -1), "z": (1,)},
    )


@pytest.fixture
def mlp64():
    """A maker of chains of three stages in float64."""
    return lambda copy: mlp(copy).double()


@pytest.fixture
def inputs64():
    """Nine rows for them."""
    return {name: values.double() if values.is_floating_point() else values for name, values in inputs(9).items()}


# Conditioned schemes ------------------------------------------------------------------------------------------------

TASKS = {"x": (-1,), "y": (-1,), "z": (0, -1)}
INPUTS = {
    NUMBERS: torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0], [-2.0, 0.3]]),
    CATEGORIES: torch.tensor([[0], [1], [2], [2]]),
}


def make_encoder(copy: int | str) -> MLP:
    torch.manual_seed(sum(f"copy {copy}".encode()))
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def make_normed(copy: int | str) -> MLP:
    torch.manual_seed(sum(f"copy {copy}".encode()))
    return MLP(SPEC, widths=(8, 4), dropout=0.0, batch_norm=True)


def build(name: str, settings: dict[str, Any] | None = None, *, encoder: Any = None, tasks: Any = None) -> Any:
    maker = encoder or (make_normed if name == "task_norm" else make_encoder)
    return SHARINGS[name](maker, tasks or TASKS, torch.Generator().manual_seed(3), **(settings or {}))


def outputs(sharing: Any, tasks: Any = None) -> dict[str, list[torch.Tensor]]:
    found = sharing(INPUTS, list(tasks or sharing.tasks))
    return {task: [found[task][stage].values for stage in sharing.reads(task)] for task in found}


def losses(sharing: Any, tasks: Any = None) -> dict[str, torch.Tensor]:
    """A loss a task that differs from the others'."""
    found = outputs(sharing, tasks)
    return {task: sum(((v - k) ** 2).mean() for v in found[task]) for k, task in enumerate(found)}


def disturb(sharing: Any, size: float = 0.3) -> Any:
    """The scheme away from its start."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in sharing.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return sharing


@pytest.fixture(name="conditioned")
def conditioned_fixture() -> SimpleNamespace:
    return SimpleNamespace(
        build=build,
        outputs=outputs,
        losses=losses,
        disturb=disturb,
        inputs=INPUTS,
        tasks=TASKS,
        make_encoder=make_encoder,
        make_normed=make_normed,
        spec=SPEC,
    )


@pytest.fixture
def train_alone() -> Callable[..., None]:
    """Some steps on the loss of one task, of all parameters that train."""

    def train(sharing: Any, task: str, steps: int = 5) -> None:
        sharing.train()
        optimizer = torch.optim.SGD([p for p in sharing.parameters() if p.requires_grad], lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            losses(sharing, [task])[task].backward()
            optimizer.step()
        sharing.eval()

    return train
