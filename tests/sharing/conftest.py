"""A small table, a maker of chains whose copies differ, and features to compare."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from polytask.config import as_choice
from polytask.encoders import ENCODERS
from polytask.feature import CATEGORIES, NUMBERS, Feature, InputSpec

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
