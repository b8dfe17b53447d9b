"""Stages that are a chain of layers over a vector, and how copies of one run together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

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
        # What is frozen in the encoder stays so.
        weights = torch.stack([copy.weight.detach().T.contiguous() for copy in copies])
        self.weight = nn.Parameter(weights, requires_grad=copies[0].weight.requires_grad)
        biases = [copy.bias.detach().unsqueeze(0) for copy in copies if copy.bias is not None]
        is_bias_trained = copies[0].bias is not None and copies[0].bias.requires_grad
        self.bias = nn.Parameter(torch.stack(biases), requires_grad=is_bias_trained) if biases else None

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


class StackedBatchNorm(nn.Module):
    """Several batch norms of one form, each with statistics of its own: `[copies, channels]`."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, copies: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        weights, biases = ([getattr(copy, name).detach() for copy in copies] for name in ("weight", "bias"))
        self.weight = nn.Parameter(torch.stack(weights), requires_grad=copies[0].weight.requires_grad)
        self.bias = nn.Parameter(torch.stack(biases), requires_grad=copies[0].bias.requires_grad)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, torch.stack([getattr(copy, name) for copy in copies]))
        self.momentum, self.eps = float(copies[0].momentum or 0.0), copies[0].eps

    @staticmethod
    def can_stack(layer: nn.Module) -> bool:
        """Whether it is a batch norm with running statistics of a fixed momentum, and with weights."""
        return (
            type(layer) is nn.BatchNorm1d and layer.affine and layer.track_running_stats and layer.momentum is not None
        )

    def forward(self, values: Float[Tensor, "copies batch channels"]) -> Float[Tensor, "copies batch channels"]:
        """Every copy's channels by the statistics of its rows; all at once, as channels of one batch norm."""
        copies, rows, channels = values.shape
        joined = values.transpose(0, 1).reshape(rows, copies * channels)
        self._count(self.num_batches_tracked)
        mean, variance = self.running_mean.view(-1), self.running_var.view(-1)
        normal = self._normalise(joined, mean, variance, self.weight.view(-1), self.bias.view(-1))
        return normal.view(rows, copies, channels).transpose(0, 1)

    def members(self) -> list[Callable[[Tensor], Tensor]]:
        """The copies, one by one."""

        def normalise(place: int, weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
            def run(values: Tensor) -> Tensor:
                self._count(self.num_batches_tracked[place])
                return self._normalise(values, self.running_mean[place], self.running_var[place], weight, bias)

            return run

        weights, biases = self.weight.unbind(0), self.bias.unbind(0)
        return [normalise(place, *both) for place, both in enumerate(zip(weights, biases, strict=True))]

    def _count(self, batches: Tensor) -> None:
        if self.training:
            batches.add_(1)

    def _normalise(self, values: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(values, mean, variance, weight, bias, self.training, self.momentum, self.eps)


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
        self.layers = nn.ModuleList(map(_stacked, layers))

    @staticmethod
    def can_stack(copies: Sequence[nn.Module]) -> bool:
        """Whether these stages, two or more, may run as one."""
        return len(copies) > 1 and all(
            isinstance(copy, LayeredStage)
            and all(isinstance(x, (nn.Linear, *ELEMENTWISE)) or StackedBatchNorm.can_stack(x) for x in copy.layers)
            and type(copy) is type(copies[0])
            for copy in copies
        )

    def runs_together(self, num_rows: int, device: torch.device) -> bool:
        """Whether one batched multiplication is the faster way for this many rows."""
        # A graph that is exported or compiled is for any number of rows, and has one way.
        if device.type != "cpu" or torch.compiler.is_compiling():
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
            layer.members() if isinstance(layer, StackedLinear | StackedBatchNorm) else [layer] * self.num_copies
            for layer in self.layers
        ]

        def member(layers: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Feature], Feature]:
            def run(feature: Feature) -> Feature:
                values = self.enter(feature)
                for layer in layers:
                    values = layer(values)
                return Feature(values)

            return run

        return [member(layers) for layers in zip(*rows, strict=True)]


def _stacked(copies: Sequence[nn.Module]) -> nn.Module:
    """One layer for these; what has no state is the same for all."""
    if isinstance(copies[0], nn.Linear):
        return StackedLinear(cast(Sequence[nn.Linear], copies))
    return (
        StackedBatchNorm(cast(Sequence[nn.BatchNorm1d], copies)) if StackedBatchNorm.can_stack(copies[0]) else copies[0]
    )
