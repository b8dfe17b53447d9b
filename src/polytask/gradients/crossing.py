"""One backward pass through the tasks' own parts, whatever their number is.

Own parts are disjoint, so the gradients of all losses travel side by side; hooks take each task's apart where it
crosses into the shared part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from polytask.gradients.graph import SHARED, Crossing, Edge, Node, StepGraph
from polytask.gradients.task_gradients import add_gradient

#: Shared edge -> the gradient of each task's loss there, None where it does not cross.
Crossed = dict[Edge, list[Tensor | None]]


def cross(
    graph: StepGraph, losses: Mapping[str, Tensor], own: Sequence[Tensor], *, retain_graph: bool
) -> tuple[Crossed, list[tuple[Tensor, Tensor]]]:
    """Takes every task's gradient to where it crosses.

    Args:
        graph: of the losses.
        losses: the scalars.
        own: leaves whose gradients are wanted too.
        retain_graph: keep the own parts of the graph.

    Returns:
        The gradients at the crossings, and those of the own leaves.
    """
    found: Crossed = {}
    outputs = []
    for task, (loss, (node, slot)) in enumerate(zip(losses.values(), graph.roots, strict=True)):
        if graph.owner[node] == SHARED:  # the loss itself is part of another
            _put(found, (node, slot), task, torch.ones_like(loss), len(losses))
        else:
            outputs.append(loss)

    edges = list(dict.fromkeys(crossing.edge for crossing in graph.crossings))
    # The pass ends at these edges. Where one lies below another (heads that read several stages) it goes on to it:
    # then zeros are let through, and what the pass would free on the way is kept.
    is_nested = graph.is_nested(edges)

    def take(node: Node, leaving: Sequence[Crossing]) -> Callable[[Any, Any], tuple[Tensor | None, ...] | None]:
        def hook(inputs: Sequence[Tensor | None], _: Any) -> tuple[Tensor | None, ...] | None:
            for crossing in leaving:
                gradient = inputs[crossing.slot]
                if gradient is not None:
                    _put(found, crossing.edge, crossing.task, gradient, len(losses))
            slots = {crossing.slot for crossing in leaving}
            if not is_nested:
                return None
            return tuple(torch.zeros_like(g) if k in slots and g is not None else g for k, g in enumerate(inputs))

        return hook

    with hooked(graph, take):
        inputs = [*own, *(GradientEdge(*edge) for edge in edges)]
        gradients = _grad(outputs, inputs, retain_graph=retain_graph or is_nested)
    # autograd may hand out one tensor for several leaves, or an expanded one.
    pairs = [(leaf, g.clone()) for leaf, g in zip(own, gradients, strict=False) if g is not None]
    return found, pairs


def backward_weighted(
    graph: StepGraph,
    losses: Mapping[str, Tensor],
    shared: Sequence[Tensor],
    weights: Sequence[float],
    *,
    retain_graph: bool,
) -> None:
    """Adds the gradient of Σ w_i L_i below the crossings, and of Σ L_i above them, to `.grad`: one pass."""

    def scale(node: Node, leaving: Sequence[Crossing]) -> Callable[[Any, Any], tuple[Tensor | None, ...]]:
        def hook(inputs: Sequence[Tensor | None], _: Any) -> tuple[Tensor | None, ...]:
            changed = list(inputs)
            for crossing in leaving:
                gradient = changed[crossing.slot]
                if gradient is not None:
                    changed[crossing.slot] = gradient * weights[crossing.task]
            return tuple(changed)

        return hook

    inner = graph.inner_leaves()
    if inner:  # shared in fact, not by declaration: the plain sum
        plain = torch.autograd.grad(list(losses.values()), inner, retain_graph=True, allow_unused=True)
    starts = [
        torch.full_like(loss, weights[task] if graph.owner[node] == SHARED else 1.0)
        for task, (loss, (node, _)) in enumerate(zip(losses.values(), graph.roots, strict=True))
    ]
    reached = [leaf for leaf, is_reached in zip(shared, graph.is_reached(), strict=True) if is_reached]
    leaves = [*graph.own_leaves(), *reached]
    with hooked(graph, scale):
        if leaves:
            torch.autograd.backward(list(losses.values()), starts, retain_graph=retain_graph, inputs=leaves)
    for leaf, gradient in zip(inner, plain if inner else (), strict=True):
        if gradient is not None:
            add_gradient(leaf, gradient.clone())


@contextmanager
def hooked(graph: StepGraph, make: Callable[[Node, Sequence[Crossing]], Callable[[Any, Any], Any]]) -> Iterator[None]:
    """Hooks on the nodes that gradients leave the own parts from."""
    leaving: dict[Node, list[Crossing]] = {}
    for crossing in graph.crossings:
        leaving.setdefault(crossing.node, []).append(crossing)
    handles = [node.register_hook(make(node, crossings)) for node, crossings in leaving.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _put(found: Crossed, edge: Edge, task: int, gradient: Tensor, num_tasks: int) -> None:
    row = found.setdefault(edge, [None] * num_tasks)
    held = row[task]
    row[task] = gradient if held is None else held + gradient


def _grad(outputs: list[Tensor], inputs: list[Any], *, retain_graph: bool) -> Sequence[Tensor | None]:
    if not outputs or not inputs:
        return []
    return torch.autograd.grad(outputs, inputs, retain_graph=retain_graph, allow_unused=True)
