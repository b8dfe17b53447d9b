"""The tasks' gradients on one shared parameter, in the form that is cheapest to keep.

Each part knows its share of the Gramian, its rows of J, and any weighted sum of them. For a linear layer
y = xWᵀ the gradient of task t is δ_tᵀA, with A the layer's inputs and δ_t the gradient at its outputs, so that
⟨δ_tᵀA, δ_sᵀA⟩ = ⟨AAᵀδ_t, δ_s⟩: nothing of the size of W is formed for a task.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: Coordinates that are summed in the rows' own precision; the blocks' sums are added in float64. The rounding of a
#: float32 product grows with its length, to 1e-4 over a million.
BLOCK = 4096
#: At most so many rows are multiplied pair by pair.
MOST_FEW = 3
#: Parameters of at most so many numbers are multiplied together.
SMALL = 2**14
#: Squared gradients below this share of the largest they could be have lost digits in single precision.
LOST = 1e-3


class Part(ABC):
    """The tasks' gradients on one parameter."""

    #: Whether its rows are short enough to be copied beside those of others.
    is_small: bool = False

    @abstractmethod
    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """The parameter's share of G, float64, on its device."""

    @abstractmethod
    def rows(self) -> Float[Tensor, "tasks size"]:
        """The parameter's columns of J."""

    @abstractmethod
    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """Σ w_t g_t, of the parameter's shape."""


@dataclass(frozen=True)
class Explicit(Part):
    """The rows themselves, [tasks, *shape of the parameter]."""

    gradients: Float[Tensor, "tasks ..."]

    @property
    def is_small(self) -> bool:  # type: ignore[override]
        """By the parameter's size."""
        return self.gradients[0].numel() <= SMALL

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """The rows' products."""
        return products(self.rows(), self.rows())

    def rows(self) -> Float[Tensor, "tasks size"]:
        """Flattened."""
        return self.gradients.flatten(1)

    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """One product."""
        rows = self.rows()
        return (weights.to(rows) @ rows).view(self.gradients.shape[1:])


@dataclass(frozen=True)
class Few(Part):
    """The rows of few tasks as they came: multiplied pair by pair, which copies nothing."""

    gradients: Sequence[Tensor]

    @property
    def is_small(self) -> bool:  # type: ignore[override]
        """By the parameter's size."""
        return self.gradients[0].numel() <= SMALL

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """The rows' products."""
        flat = [gradient.reshape(1, -1) for gradient in self.gradients]
        found = [[products(row, flat[j])[0, 0] for j in range(k + 1)] for k, row in enumerate(flat)]
        return torch.stack(
            [torch.stack([found[max(k, j)][min(k, j)] for j in range(len(flat))]) for k in range(len(flat))]
        )

    def rows(self) -> Float[Tensor, "tasks size"]:
        """One below the other."""
        return torch.stack(list(self.gradients)).flatten(1)

    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """Row by row."""
        first, *others = self.gradients
        total = first * float(weights[0])
        for weight, gradient in zip(weights[1:].tolist(), others, strict=True):
            total.add_(gradient, alpha=weight)
        return total


@dataclass(frozen=True)
class Product(Part):
    """δ_tᵀA of one or more linear layers with the same weight: what they saw, one below the other.

    Attributes:
        inputs: A.
        outputs: δ_t.
        is_transposed: whether the parameter is [outputs, inputs], as `nn.Linear` keeps it.
    """

    inputs: Float[Tensor, "examples in"]
    outputs: Float[Tensor, "tasks examples out"]
    is_transposed: bool

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """⟨AAᵀδ_t, δ_s⟩, in double precision where that would be lost to rounding.

        The error is a share of ‖A‖²‖δ_t‖², which is far above ‖δ_tᵀA‖² where inputs are far from 0 and gradients add
        up to little.
        """
        found = self._products()
        largest = self.inputs.square().sum().to(found) * self.outputs.flatten(1).square().sum(dim=1).to(found)
        if bool((found.diagonal() >= LOST * largest).all()):
            return found
        if self.inputs.device.type == "mps":  # Apple's GPUs have no float64
            return products(self.rows(), self.rows())
        return Product(self.inputs.double(), self.outputs.double(), self.is_transposed)._products()

    def _products(self) -> Float[Tensor, "tasks tasks"]:
        alike = self.inputs @ self.inputs.T
        if self.outputs.device.type == "cpu":  # faster one by one than batched
            turned = torch.empty_like(self.outputs)
            for given, result in zip(self.outputs, turned, strict=True):
                torch.mm(alike, given, out=result)
        else:
            turned = torch.matmul(alike, self.outputs)
        return products(turned.flatten(1), self.outputs.flatten(1))

    def rows(self) -> Float[Tensor, "tasks size"]:
        """δ_tᵀA, or its transpose."""
        if self.is_transposed:
            return torch.matmul(self.outputs.transpose(1, 2), self.inputs).flatten(1)
        return torch.matmul(self.inputs.T, self.outputs).flatten(1)

    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """One product of matrices for all tasks."""
        mixed = torch.tensordot(weights.to(self.outputs), self.outputs, 1)
        return mixed.T @ self.inputs if self.is_transposed else self.inputs.T @ mixed


@dataclass(frozen=True)
class Lookup(Part):
    """Rows of an embedding: only those that were looked up.

    Attributes:
        gradients: of the rows at `places`.
        places: which rows of the parameter were looked up, each once.
        num_rows: of the parameter.
    """

    gradients: Float[Tensor, "tasks places width"]
    places: Int[Tensor, " places"]
    num_rows: int

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """Only where something was looked up."""
        flat = self.gradients.flatten(1)
        return products(flat, flat)

    def rows(self) -> Float[Tensor, "tasks size"]:
        """Zero where nothing was looked up."""
        tasks, _, width = self.gradients.shape
        full = self.gradients.new_zeros(tasks, self.num_rows, width)
        full[:, self.places] = self.gradients
        return full.flatten(1)

    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """Dense, like every gradient here."""
        full = self.gradients.new_zeros(self.num_rows, self.gradients.shape[2])
        full[self.places] = torch.tensordot(weights.to(self.gradients), self.gradients, 1)
        return full


@dataclass(frozen=True)
class Forgotten(Part):
    """Rows that were too many to keep: their products remain, and a backward pass that can be taken again.

    Attributes:
        products: the share of G.
        leaf: the parameter.
        again: the gradients of Σ w_t L_t at leaves.
    """

    products: Float[Tensor, "tasks tasks"]
    leaf: Tensor
    again: Callable[[Float[Tensor, " tasks"], Sequence[Tensor]], list[Tensor | None]]

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """As it was when the rows were there."""
        return self.products

    def rows(self) -> Float[Tensor, "tasks size"]:
        """A pass a task."""
        return torch.stack([self.combined(one).flatten() for one in torch.eye(len(self.products)).double()])

    def combined(self, weights: Float[Tensor, " tasks"]) -> Tensor:
        """One pass."""
        (gradient,) = self.again(weights, [self.leaf])
        assert gradient is not None, "only what was reached is forgotten"
        return gradient


def products(left: Float[Tensor, "tasks size"], right: Float[Tensor, "tasks size"]) -> Float[Tensor, "tasks tasks"]:
    """⟨left_t, right_s⟩: blocks in the rows' own precision, their sum in float64."""
    tasks, size = left.shape
    whole = size - size % BLOCK
    total = left[:, whole:] @ right[:, whole:].T
    # Apple's GPUs have no float64.
    total = total.cpu().double() if left.device.type == "mps" else total.double()
    if whole:
        blocks = [side[:, :whole].view(tasks, -1, BLOCK).transpose(0, 1) for side in (left, right)]
        total += torch.bmm(blocks[0], blocks[1].transpose(1, 2)).to(total).sum(dim=0)
    return total


def piecewise_products(rows: Sequence[Tensor]) -> Float[Tensor, "tasks tasks"]:
    """⟨g_t, g_s⟩ of tensors that lie apart: brought together piece by piece, so that each is read once."""
    flat = [row.reshape(-1) for row in rows]
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for pieces in zip(*(row.split(2 * BLOCK) for row in flat), strict=True):
        block = wide(torch.stack(pieces))
        total += (block @ block.T).cpu().double()
    return total


def lookup(
    indices: Int[Tensor, " ..."], outputs: Float[Tensor, "tasks ... width"], num_rows: int, padding: int
) -> Lookup:
    """The part of an embedding from what was looked up and the gradients there; `padding` has none."""
    flat, gradients = indices.flatten(), outputs.reshape(len(outputs), indices.numel(), outputs.shape[-1])
    if padding >= 0:
        kept = flat != padding
        flat, gradients = flat[kept], gradients[:, kept]
    places, where = flat.unique(return_inverse=True)
    tasks, _, width = gradients.shape
    summed = gradients.new_zeros(tasks, len(places), width).index_add_(1, where, gradients)
    return Lookup(summed, places, num_rows)


def wide(given: Tensor) -> Tensor:
    """At least float32: half precision would lose the products."""
    return given.float() if given.dtype.itemsize < 4 else given


def stacked(pieces: Sequence[Tensor], dim: int) -> Tensor:
    """One below the other; the piece itself where it is alone."""
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces), dim=dim)
