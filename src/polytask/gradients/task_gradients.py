"""What every way of differentiating a step hands over: the tasks' gradients, not yet combined."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: Own parameters with the plain sum of the tasks' gradients.
Own = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Direction:
    """An update that no weights on the tasks' gradients give, by methods with coordinates or buffers of their own.

    Attributes:
        update: what is added to `.grad` of the shared parameters, flattened one after another.
        weights: what each present task counts for, to be recorded.
    """

    update: Float[Tensor, " params"]
    weights: Float[Tensor, " present"]


class TaskGradients(ABC):
    """The gradients of one step: J, one row a task over the shared parameters, and what belongs to one task alone.

    Args:
        names: tasks, in the order of the rows.
        shared: the trainable shared parameters, each once.
        reached: whether any task reaches each of `shared`.
        own: everything else the losses reach (heads, own stages), with the plain sum of the tasks' gradients.
    """

    def __init__(self, names: Iterable[str], shared: Sequence[Tensor], reached: Sequence[bool], own: Own) -> None:
        self.names = tuple(names)
        self.shared = tuple(shared)
        self.reached = tuple(reached)
        self.own = tuple(own)

    @abstractmethod
    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """G = J Jᵀ, float64 on the CPU."""

    @abstractmethod
    def jacobian(self) -> Float[Tensor, "tasks params"]:
        """J over all of `shared`, flattened; zero where a task does not reach a parameter."""

    @abstractmethod
    def combined(self, weights: Float[Tensor, " tasks"]) -> list[Tensor | None]:
        """Jᵀw, one piece a shared parameter, of its shape; None where no task reaches it."""

    @torch.no_grad()
    def accumulate(self, weights: Float[Tensor, " tasks"]) -> None:
        """Adds Jᵀw to `.grad` of the shared parameters and the own gradients, unweighted, to `.grad` of the rest.

        A parameter that no task reached keeps its `.grad` (None, not zero, after `zero_grad`).
        """
        # A weight beyond float32 belongs to a gradient near its other end: taken in two factors.
        excess = max(1.0, float(weights.abs().max()) / 1e30)
        for parameter, piece in zip(self.shared, self.combined(weights / excess), strict=True):
            if piece is not None:
                add_gradient(parameter, (piece * excess if excess > 1 else piece).to(parameter.dtype))
        self.accumulate_own()

    @torch.no_grad()
    def accumulate_update(self, update: Float[Tensor, " params"]) -> None:
        """As `accumulate`, with an update of the method's own in place of Jᵀw."""
        pieces = split(update, self.shared)
        for parameter, piece, is_reached in zip(self.shared, pieces, self.reached, strict=True):
            if is_reached:
                add_gradient(parameter, piece.to(parameter.dtype))
        self.accumulate_own()

    def accumulate_own(self) -> None:
        """Adds the own gradients, unweighted, to `.grad`."""
        for parameter, gradient in self.own:
            add_gradient(parameter, gradient)


def split(flat: Float[Tensor, " params"], parameters: Sequence[Tensor]) -> list[Tensor]:
    """A flattened row as one piece a parameter, of its shape."""
    pieces = flat.split([p.numel() for p in parameters]) if parameters else []
    return [piece.view(p.shape) for p, piece in zip(parameters, pieces, strict=True)]


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Adds to `.grad`, which takes the tensor over where there is none."""
    if parameter.grad is None:
        parameter.grad = gradient
    elif parameter.grad.is_sparse:
        parameter.grad = gradient + parameter.grad  # dense where the new one is
    else:
        parameter.grad.add_(gradient)


def dense(gradient: Tensor) -> Tensor:
    """The gradient of a sparse embedding as a full tensor."""
    return gradient.to_dense() if gradient.is_sparse else gradient


def row_dtype(parameters: Iterable[Tensor]) -> torch.dtype:
    """Of J: the widest of the parameters', at least float32, since bfloat16 would lose the weights' precision."""
    dtype = torch.float32
    for parameter in parameters:
        dtype = torch.promote_types(dtype, parameter.dtype)
    return dtype
