"""What the losses' graphs are made of."""

from collections.abc import Iterable, Iterator

from torch import Tensor
from torch.autograd.graph import get_gradient_edge


def leaves(losses: Iterable[Tensor]) -> Iterator[Tensor]:
    """The leaves of the losses' graphs, each once; every node is visited once, without recursion."""
    nodes = [get_gradient_edge(loss).node for loss in losses]
    seen = set(nodes)  # holding a node keeps its Python object, and so its identity, alive
    while nodes:
        node = nodes.pop()
        if (leaf := getattr(node, "variable", None)) is not None:
            yield leaf
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                nodes.append(below)
