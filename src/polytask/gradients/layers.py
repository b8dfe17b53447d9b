"""Layers whose weights' gradients follow from what they saw and from the gradients at their outputs.

They are recognised by their nodes in the graph: each keeps its input for the backward pass. What is not recognised
(convolutions, norms, compiled or custom layers, weights cast by autocast) has its gradient taken explicitly.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from polytask.gradients.graph import Edge, Node
from polytask.gradients.parts import Explicit, Part, Product, lookup, stacked, wide

Consumers = Mapping[Edge, Sequence[tuple[Node, int]]]


@dataclass(frozen=True)
class Layer(ABC):
    """How recognised layers use a parameter.

    Attributes:
        nodes: those at whose outputs gradients are wanted.
    """

    nodes: Sequence[Node]

    @abstractmethod
    def part(self, outputs: Sequence[Tensor | None]) -> Part | None:
        """The part, from [tasks, *shape] gradients at the output of each node; None where there are none."""


@dataclass(frozen=True)
class Linear(Layer):
    """A matrix that multiplies (`addmm`, `mm`), as it is or transposed; `inputs` are what each node multiplied."""

    inputs: Sequence[Tensor]
    is_transposed: bool
    scale: float

    def part(self, outputs: Sequence[Tensor | None]) -> Part | None:
        """Products."""
        known = [(x, d) for x, d in zip(self.inputs, outputs, strict=True) if d is not None]
        if not known:
            return None
        given = _scaled(stacked([d for _, d in known], 1), self.scale)
        return Product(wide(stacked([x for x, _ in known], 0)), given, self.is_transposed)


@dataclass(frozen=True)
class Bias(Layer):
    """A vector that is added to every row (`addmm`)."""

    scale: float

    def part(self, outputs: Sequence[Tensor | None]) -> Part | None:
        """Sums over rows."""
        known = [d for d in outputs if d is not None]
        return Explicit(_scaled(stacked(known, 1), self.scale).sum(dim=1)) if known else None


@dataclass(frozen=True)
class Embedding(Layer):
    """A table that rows are looked up in."""

    indices: Tensor
    num_rows: int
    padding: int

    def part(self, outputs: Sequence[Tensor | None]) -> Part | None:
        """Sums over the places that were looked up."""
        (given,) = outputs
        return None if given is None else lookup(self.indices, wide(given), self.num_rows, self.padding)


def recognise(parameter: Tensor, edge: Edge, consumers: Consumers, is_wanted: Callable[[int], bool]) -> Layer | None:
    """How the shared part of the graph uses a parameter; None where only its gradient says.

    Args:
        parameter: a leaf.
        edge: where its gradient arrives.
        consumers: who uses what.
        is_wanted: whether a matrix that multiplied so many examples is worth it; asked before anything that was saved
            is read, since checkpointing computes it again.
    """
    if parameter._backward_hooks:  # they want the parameter's own gradient
        return None
    uses = consumers.get(edge, ())
    names = {node.name() for node, _ in uses}
    if names == {"EmbeddingBackward0"}:
        return _embedding(parameter, uses)
    if parameter.ndim == 1 and names == {"AddmmBackward0"} and all(slot == 0 for _, slot in uses):
        nodes = [node for node, _ in uses]
        scales = {float(node._saved_beta) for node in nodes}
        is_plain = all(node._saved_mat2_sym_sizes[1] == len(parameter) for node in nodes)
        return Bias(nodes, scales.pop()) if len(scales) == 1 and is_plain else None
    if parameter.ndim != 2:
        return None
    if names == {"TBackward0"}:
        turned = [use for node, _ in uses for use in consumers.get((node, 0), ())]
        return _linear(turned, is_wanted, is_transposed=True)
    return _linear(uses, is_wanted, is_transposed=False)


def _linear(
    uses: Sequence[tuple[Node, int]], is_wanted: Callable[[int], bool], *, is_transposed: bool
) -> Linear | None:
    scales, examples = set(), 0
    for node, slot in uses:
        if node.name() == "AddmmBackward0" and slot == 2:
            examples += int(node._saved_mat1_sym_sizes[0])
            scales.add(float(node._saved_alpha))
        elif node.name() == "MmBackward0" and slot == 1:
            examples += int(node._saved_self_sym_sizes[0])
            scales.add(1.0)
        else:
            return None
    if len(scales) != 1 or not is_wanted(examples):
        return None
    nodes = [node for node, _ in uses]
    inputs = [n._saved_mat1 if n.name() == "AddmmBackward0" else n._saved_self for n in nodes]
    return Linear(nodes, inputs, is_transposed, scales.pop())


def _embedding(parameter: Tensor, uses: Sequence[tuple[Node, int]]) -> Embedding | None:
    node = uses[0][0]
    if len(uses) > 1 or node._saved_scale_grad_by_freq:
        return None
    padding = node._saved_padding_idx
    # An unsigned number stands for "none".
    return Embedding([node], node._saved_indices, len(parameter), padding if padding < len(parameter) else -1)


def _scaled(given: Tensor, scale: float) -> Tensor:
    return wide(given) if scale == 1 else wide(given) * scale
