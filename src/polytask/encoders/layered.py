"""Stages that are a chain of layers over a vector, and how copies of one run together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import Feature

#: Layers without state that work on every number by itself: the same for one copy and for several at once.
ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Identity)

#: On a CPU copies run one by one where there are more rows, or the results of all have more numbers: they would not
#: stay in its cache from one layer to the next (benchmarks/sharing_cost.py).
MANY_ROWS = 512
LARGE_RESULT = 1_200_000


class LayeredStage(nn.Module, ABC):
    """A stage that makes a vector of its feature and sends it through `layers`."""

    layers: nn.Sequential

    @staticmethod
    @abstractmethod
    def enter(feature: Feature) -> Float[Tensor, "batch channels"]:
        """The vector of a row that the layers take."""

    def forward(self, feature: Feature) -> Feature:
        """`[B, C]`."""
        return Feature(self.layers(self.enter(feature)))


class StackedLinear(nn.Module):
    """Several linear layers of one shape: weight `[copies, in, out]`, bias `[copies, 1, out]`.

    A weight lies in memory as its product reads it: transposed, the batched multiplication is up to 1.4 times as slow.
    """

    def __init__(self, copies: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([copy.weight.detach().T.contiguous() for copy in copies]))
        biases = [copy.bias.detach().unsqueeze(0) for copy in copies if copy.bias is not None]
        self.bias = nn.Parameter(torch.stack(biases)) if biases else None

    def forward(self, values: Float[Tensor, "copies batch before"]) -> Float[Tensor, "copies batch after"]:
        """Every copy's product, in one batched multiplication."""
        if self.bias is None:
            return torch.bmm(values, self.weight)
        return torch.baddbmm(self.bias, values, self.weight)

    def members(self) -> list[Callable[[Tensor], Tensor]]:
        """The copies, one by one."""
        weights = self.weight.unbind(0)
        biases: Sequence[Tensor | None] = [None] * len(weights) if self.bias is None else self.bias.unbind(0)

        def linear(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
            return lambda values: values @ weight if bias is None else torch.addmm(bias, values, weight)

        return [linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)]


class StackedStage(nn.Module):
    """Copies of one layered stage, whose linear layers are stacked: `[B, C]` or `[copies, B, C]` to `[copies, B, C']`.

    Args:
        copies: stages of the same form; `can_stack` says which do.
    """

    def __init__(self, copies: Sequence[LayeredStage]) -> None:
        super().__init__()
        self.num_copies = len(copies)
        #: How a feature becomes the layers' vector.
        self.enter = type(copies[0]).enter
        layers = zip(*(copy.layers for copy in copies), strict=True)
        self.layers = nn.ModuleList([StackedLinear(x) if isinstance(x[0], nn.Linear) else x[0] for x in layers])

    @staticmethod
    def can_stack(copies: Sequence[nn.Module]) -> bool:
        """Whether these stages, two or more, may run as one."""
        return len(copies) > 1 and all(
            isinstance(copy, LayeredStage)
            and all(isinstance(layer, (nn.Linear, *ELEMENTWISE)) for layer in copy.layers)
            and type(copy) is type(copies[0])
            for copy in copies
        )

    def runs_together(self, num_rows: int, device: torch.device) -> bool:
        """Whether one batched multiplication is the faster way for this many rows."""
        if device.type != "cpu":
            return True
        widest = max((layer.weight.shape[2] for layer in self.layers if isinstance(layer, StackedLinear)), default=0)
        return num_rows <= MANY_ROWS and self.num_copies * num_rows * widest <= LARGE_RESULT

    def forward(self, values: Tensor) -> Float[Tensor, "copies batch after"]:
        """All copies at once; a vector without an axis of copies is what each of them takes."""
        if values.ndim == 2:
            values = values.expand(self.num_copies, *values.shape)
        for layer in self.layers:
            values = layer(values)
        return values

    def members(self) -> list[Callable[[Feature], Feature]]:
        """The copies, one by one."""
        rows = [
            layer.members() if isinstance(layer, StackedLinear) else [layer] * self.num_copies for layer in self.layers
        ]

        def member(layers: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Feature], Feature]:
            def run(feature: Feature) -> Feature:
                values = self.enter(feature)
                for layer in layers:
                    values = layer(values)
                return Feature(values)

            return run

        return [member(layers) for layers in zip(*rows, strict=True)]
