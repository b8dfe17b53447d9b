"""A linear layer drawn from a generator of its own."""

import math

import torch
from torch import nn


def drawn_linear(before: int, after: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """`nn.Linear` with torch's own initialisation, U(±1/√before), drawn from this generator alone."""
    layer = nn.utils.skip_init(nn.Linear, before, after, bias=bias)
    bound = 1 / math.sqrt(before)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer
