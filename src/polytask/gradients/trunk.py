"""A backward pass a task through the shared part, one after another or side by side."""

from collections.abc import Sequence
from math import frexp, isfinite, isnan
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge

from polytask.gradients.crossing import Crossed
from polytask.gradients.graph import Edge
from polytask.gradients.task_gradients import dense

#: [tasks, *shape], or one by one with None where a task's gradient does not reach.
Rows = Tensor | Sequence[Tensor | None]
#: Sums of squares between its inverse and this are as good as any: nothing over- or underflows on the way.
SAFE = 1e20


class Trunk:
    """What the tasks' gradients are where they enter the shared part, and how they go on from there.

    Where some are very large or small, every task's are scaled by a power of two to about 1, so that no square over-
    or underflows on the way; `scale` undoes it.

    Args:
        crossed: shared edge -> gradient of each task there.
        num_tasks: how many there are.

    Attributes:
        entering: shared edge -> each task's, None where a task does not cross.
        scale: what each task's gradients were divided by, float64 on the CPU.
    """

    def __init__(self, crossed: Crossed, num_tasks: int) -> None:
        self.num_tasks = num_tasks
        self.entering = {edge: row for edge, row in crossed.items() if any(g is not None for g in row)}
        self.scale = torch.ones(num_tasks, dtype=torch.float64)
        if not self._is_safe():
            self.scale = _scale(list(self.entering.values()), num_tasks)
            self.entering = {edge: _divided(row, self.scale.tolist()) for edge, row in self.entering.items()}

    def _is_safe(self) -> bool:
        """Whether the squares of all that enters are well within what its numbers can hold."""
        known = [g for row in self.entering.values() for g in row if g is not None and not g.is_sparse]
        if not known:
            return True
        norms = torch._foreach_norm(known)
        lengths = torch.stack([norm.to(norms[0].device) for norm in norms])
        # Apple's GPUs have no float64.
        squares = (lengths.cpu() if lengths.device.type == "mps" else lengths).double() ** 2
        return bool(((squares > 1 / SAFE) & (squares < SAFE)).all())

    def edges(self, leaves: frozenset[Edge]) -> list[Edge]:
        """Where gradients go on: all edges but the leaves, where they end."""
        return [edge for edge in self.entering if edge not in leaves]

    def each(self, edges: Sequence[Edge], inputs: Sequence[Any], *, is_batched: bool, retain_graph: bool) -> list[Rows]:
        """Every task's gradient at every input, scaled."""
        if not edges or not inputs:
            return [[None] * self.num_tasks] * len(inputs)
        if is_batched:
            rows = [known(stack(self.entering[edge])) for edge in edges]
            try:  # retained, to go on one by one where a hook of the user's cannot be passed side by side
                together = _grad(edges, inputs, rows, retain_graph=True, is_grads_batched=True)
                return [[None] * self.num_tasks if g is None else g for g in together]
            except RuntimeError as error:
                if "atching rule" not in str(error) and "vmap" not in str(error):
                    raise
        found = []
        for task in range(self.num_tasks):
            own = [(edge, g) for edge in edges if (g := self.entering[edge][task]) is not None]
            keep = retain_graph or task < self.num_tasks - 1
            places, rows = [edge for edge, _ in own], [g for _, g in own]
            found.append(_grad(places, inputs, rows, retain_graph=keep) if own else [None] * len(inputs))
        return list(zip(*found, strict=True))

    def mixed(
        self, weights: Float[Tensor, " tasks"], edges: Sequence[Edge], inputs: Sequence[Any], *, retain_graph: bool
    ) -> list[Tensor | None]:
        """The scaled gradients' sum with these weights, in one pass."""
        if not edges or not inputs:
            return [None] * len(inputs)
        found = _grad(edges, inputs, self._weighted(edges, weights), retain_graph=retain_graph)
        # autograd may hand out one tensor for several inputs, or an expanded one.
        return [None if g is None else dense(g).clone(memory_format=torch.contiguous_format) for g in found]

    def accumulate(
        self, weights: Float[Tensor, " tasks"], edges: Sequence[Edge], leaves: Sequence[Tensor], *, retain_graph: bool
    ) -> None:
        """As `mixed`, added to the leaves' `.grad`."""
        if edges and leaves:
            outputs = [GradientEdge(*edge) for edge in edges]
            starts = self._weighted(edges, weights)
            torch.autograd.backward(outputs, starts, retain_graph=retain_graph, inputs=list(leaves))

    def _weighted(self, edges: Sequence[Edge], weights: Float[Tensor, " tasks"]) -> list[Tensor]:
        return [known(weighted(self.entering[edge], weights)) for edge in edges]


def filled(rows: Rows) -> list[Tensor] | None:
    """One by one, zero where a task's gradient does not reach; None where none does. Sparse ones become dense."""
    if isinstance(rows, Tensor):
        return list(rows)
    first = next((g for g in rows if g is not None), None)
    if first is None:
        return None
    empty = torch.zeros_like(first) if any(g is None for g in rows) else first
    return [dense(empty if g is None else g) for g in rows]


def stack(rows: Rows) -> Tensor | None:
    """[tasks, *shape], zero where a task's gradient does not reach; None where none does."""
    if isinstance(rows, Tensor):
        return rows
    pieces = filled(rows)
    return None if pieces is None else torch.stack(pieces)


def weighted(rows: Sequence[Tensor | None], weights: Float[Tensor, " tasks"]) -> Tensor | None:
    """Σ w_t g_t; None where there is none."""
    total: Tensor | None = None
    for weight, row in zip(weights.tolist(), rows, strict=True):
        if row is not None:
            total = dense(row) * weight if total is None else total.add_(dense(row), alpha=weight)
    return total


def known(rows: Tensor | None) -> Tensor:
    """Rows of an edge that some task crosses."""
    assert rows is not None, "only edges that some task crosses are kept"
    return rows


def _grad(
    edges: Sequence[Edge], inputs: Sequence[Any], rows: Sequence[Tensor], **settings: bool
) -> list[Tensor | None]:
    outputs = [GradientEdge(*edge) for edge in edges]
    return list(torch.autograd.grad(outputs, list(inputs), rows, allow_unused=True, **settings))


def _divided(row: Sequence[Tensor | None], scale: Sequence[float]) -> list[Tensor | None]:
    return [None if g is None else g / factor for g, factor in zip(row, scale, strict=True)]


def _scale(entering: Sequence[Sequence[Tensor | None]], num_tasks: int) -> Float[Tensor, " tasks"]:
    """The power of two above the largest entry; 1 where that is 0 or not finite."""
    largest = [0.0] * num_tasks
    for row in entering:
        for task, gradient in enumerate(row):
            if gradient is not None and gradient.numel():
                found = float(dense(gradient).abs().amax())
                largest[task] = found if isnan(found) else max(largest[task], found)
    # Not beyond what float32 holds.
    return torch.tensor(
        [2.0 ** min(frexp(m)[1], 126) if isfinite(m) and m > 0 else 1.0 for m in largest], dtype=torch.float64
    )
