"""A backward pass a task through the shared part, one after another or side by side."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge

from polytask.gradients.crossing import Crossed
from polytask.gradients.graph import Edge


class Trunk:
    """What the tasks' gradients are where they enter the shared part, and how they go on from there.

    Every task's are scaled by a power of two to about 1, so that no square over- or underflows on the way; `scale`
    undoes it.

    Args:
        crossed: shared edge -> gradient of each task there.
        num_tasks: how many there are.

    Attributes:
        entering: shared edge -> [tasks, *shape], zero where a task does not cross.
        scale: what each task's gradients were divided by, float64 on the CPU.
    """

    def __init__(self, crossed: Crossed, num_tasks: int) -> None:
        self.is_crossed = {edge: [g is not None for g in row] for edge, row in crossed.items()}
        stacks = {edge: _stack(row) for edge, row in crossed.items()}
        self.scale = _scale(list(stacks.values()), num_tasks)
        inverse = 1 / self.scale
        self.entering: dict[Edge, Tensor] = {}
        for edge, rows in stacks.items():
            # In the widest type: what half precision cannot hold would become 0.
            factors = inverse.to(device=rows.device, dtype=torch.float32 if rows.dtype.itemsize < 4 else rows.dtype)
            self.entering[edge] = (rows * factors.view(-1, *[1] * (rows.ndim - 1))).to(rows.dtype)
        self.num_tasks = num_tasks

    def edges(self, leaves: frozenset[Edge]) -> list[Edge]:
        """Where gradients go on: all edges but the leaves, where they end."""
        return [edge for edge in self.entering if edge not in leaves]

    def each(
        self, edges: Sequence[Edge], inputs: Sequence[Any], *, is_batched: bool, retain_graph: bool
    ) -> list[Tensor | None]:
        """[tasks, *shape] gradients at every input, scaled; None where no task reaches it."""
        if not edges or not inputs:
            return [None] * len(inputs)
        if is_batched:
            rows = [self.entering[edge] for edge in edges]
            return _grad(edges, inputs, rows, retain_graph=retain_graph, is_grads_batched=True)
        found = []
        for task in range(self.num_tasks):
            own = [edge for edge in edges if self.is_crossed[edge][task]]
            keep = retain_graph or task < self.num_tasks - 1
            rows = [self.entering[edge][task] for edge in own]
            found.append(_grad(own, inputs, rows, retain_graph=keep) if own else [None] * len(inputs))
        return [_stack(row) if any(g is not None for g in row) else None for row in zip(*found, strict=True)]

    def mixed(
        self, weights: Float[Tensor, " tasks"], edges: Sequence[Edge], inputs: Sequence[Any], *, retain_graph: bool
    ) -> list[Tensor | None]:
        """The scaled gradients' sum with these weights, in one pass."""
        if not edges or not inputs:
            return [None] * len(inputs)
        rows = [torch.tensordot(weights.to(r), r, 1) for r in (self.entering[edge] for edge in edges)]
        return _grad(edges, inputs, rows, retain_graph=retain_graph)


def _grad(
    edges: Sequence[Edge], inputs: Sequence[Any], rows: Sequence[Tensor], **settings: bool
) -> list[Tensor | None]:
    outputs = [GradientEdge(*edge) for edge in edges]
    return list(torch.autograd.grad(outputs, list(inputs), rows, allow_unused=True, **settings))


def _stack(row: Sequence[Tensor | None]) -> Tensor:
    """One below the other; zeros where a task has none. Sparse ones become dense."""
    known = next(g for g in row if g is not None)
    empty = torch.zeros_like(known) if any(g is None for g in row) else known
    pieces = [empty if g is None else g for g in row]
    return torch.stack([g.to_dense() if g.is_sparse else g for g in pieces])


def _scale(stacks: Sequence[Tensor], num_tasks: int) -> Float[Tensor, " tasks"]:
    """The power of two above the largest entry; 1 where that is 0 or not finite."""
    largest = torch.zeros(num_tasks, dtype=torch.float64)
    for rows in stacks:
        if rows.numel():
            found = rows.flatten(1).abs().amax(dim=1).cpu().double()
            largest = torch.where(found.isnan(), found, torch.maximum(largest, found))
    exponent = torch.frexp(largest).exponent.double()
    return torch.where(largest.isfinite() & (largest > 0), torch.exp2(exponent), 1.0)
