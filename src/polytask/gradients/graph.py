"""The graph of a step's losses, cut where the tasks meet.

A node that one task alone reaches is its own; one that several reach is shared, and so is all below it. The
edges from own to shared nodes are where a task's gradient crosses: for hard sharing with one head a task, all of
them end at the shared representation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

#: A node of the graph, as `Tensor.grad_fn` gives it; it lives as long as somebody holds it.
Node = Any
#: A node and which of its outputs.
Edge = tuple[Node, int]

SHARED = -1


@dataclass(frozen=True)
class Crossing:
    """Where a task's gradient leaves its own part: at input `slot` of `node`, towards `edge`."""

    task: int
    node: Node
    slot: int
    edge: Edge


class StepGraph:
    """Who reaches what.

    Args:
        losses: of the tasks, in order.
        shared: leaves that count as shared whoever reaches them.
        features: tensors that count as shared, with all below them.

    Attributes:
        roots: the node and output of each loss.
        below: node -> its edges to the nodes that it passes gradients to.
        owner: node -> the number of its task, or SHARED.
    """

    def __init__(self, losses: Mapping[str, Tensor], shared: Iterable[Tensor], features: Iterable[Tensor] = ()) -> None:
        self.below: dict[Node, Sequence[Edge]] = {}
        self.owner: dict[Node, int] = {}
        self.roots: list[Edge] = [edge_of(loss) for loss in losses.values()]
        self.leaf_edges: list[Edge] = [edge_of(leaf) for leaf in shared]
        for node, _ in self.leaf_edges:
            self._share(node)
        for feature in features:
            self._share(edge_of(feature)[0])
        for task, (node, _) in enumerate(self.roots):
            self._claim(node, task)

    @cached_property
    def crossings(self) -> list[Crossing]:
        """Every edge from an own node to a shared one."""
        return list(self._crossings())

    def _crossings(self) -> Iterator[Crossing]:
        for node, task in self.owner.items():
            if task != SHARED:
                for slot, edge in enumerate(self.below[node]):
                    if edge[0] is not None and self.owner[edge[0]] == SHARED:
                        yield Crossing(task, node, slot, edge)

    def is_nested(self, edges: Sequence[Edge]) -> bool:
        """Whether a gradient that arrives at one of these edges goes on to another."""
        ends = {node for node, _ in edges}
        if len(ends) < 2:  # the graph has no cycles
            return False
        seen: set[Node] = set()
        nodes = [below for node, _ in edges for below in self._below(node)]
        while nodes:
            node = nodes.pop()
            if node in ends:
                return True
            if node not in seen:
                seen.add(node)
                nodes.extend(self._below(node))
        return False

    def own_leaves(self) -> list[Tensor]:
        """Leaves that one task alone reaches."""
        return [leaf for node, task in self.owner.items() if task != SHARED and (leaf := _leaf(node)) is not None]

    def inner_leaves(self) -> list[Tensor]:
        """Leaves that several tasks reach although they are not among the shared ones."""
        known = {node for node, _ in self.leaf_edges}
        shared = (node for node, task in self.owner.items() if task == SHARED and node not in known)
        return [leaf for node in shared if (leaf := _leaf(node)) is not None]

    def is_reached(self) -> list[bool]:
        """Whether some task reaches each of the shared leaves."""
        reached = {edge for edges in self.below.values() for edge in edges}
        return [edge in reached for edge in self.leaf_edges]

    def ends(self) -> frozenset[Edge]:
        """The edges of all leaves."""
        return frozenset((node, 0) for node in self.owner if _leaf(node) is not None)

    def consumers(self) -> dict[Edge, list[tuple[Node, int]]]:
        """Edge -> the shared nodes that pass gradients to it, each with the slot of its input."""
        found: dict[Edge, list[tuple[Node, int]]] = {}
        for node, task in self.owner.items():
            if task == SHARED:
                for slot, edge in enumerate(self.below[node]):
                    found.setdefault(edge, []).append((node, slot))
        return found

    def _claim(self, root: Node, task: int) -> None:
        nodes = [root]
        while nodes:
            node = nodes.pop()
            held = self.owner.get(node)
            if held is None:
                self.owner[node] = task
                nodes.extend(self._below(node))
            elif held not in (task, SHARED):
                self._share(node)

    def _share(self, root: Node) -> None:
        nodes = [root]
        while nodes:
            node = nodes.pop()
            if self.owner.get(node) != SHARED:
                self.owner[node] = SHARED
                nodes.extend(self._below(node))

    def _below(self, node: Node) -> list[Node]:
        edges = self.below.get(node)
        if edges is None:
            edges = self.below[node] = node.next_functions
        return [below for below, _ in edges if below is not None]


def leaves(losses: Iterable[Tensor]) -> list[Tensor]:
    """The leaves of the losses' graphs, each once."""
    graph = StepGraph({str(k): loss for k, loss in enumerate(losses)}, [])
    return [leaf for node in graph.owner if (leaf := _leaf(node)) is not None]


def edge_of(tensor: Tensor) -> Edge:
    """Where a tensor's gradient arrives."""
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def _leaf(node: Node) -> Tensor | None:
    return node.variable if node.name() == "torch::autograd::AccumulateGrad" else None
