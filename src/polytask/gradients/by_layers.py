"""J and G layer by layer: one pass through the tasks' own parts, activation gradients alone through the shared part.

Where a layer is recognised its weight's gradient is formed once, for the solved weights; of all others it is taken
explicitly. What comes out is the loop's J and G to rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge

from polytask.gradients.cost import is_batched, keeps_outputs
from polytask.gradients.crossing import cross
from polytask.gradients.graph import SHARED, Edge, Node, StepGraph, edge_of
from polytask.gradients.layers import Bias, Consumers, Embedding, Layer, Linear, recognise
from polytask.gradients.parts import MOST_FEW, Explicit, Few, Forgotten, Part, products
from polytask.gradients.task_gradients import Own, TaskGradients, row_dtype
from polytask.gradients.trunk import Rows, Trunk, filled, stack, weighted


class Layers(TaskGradients):
    """A part a shared parameter, of gradients that were divided by `scale`."""

    def __init__(
        self,
        names: Sequence[str],
        shared: Sequence[Tensor],
        own: Own,
        parts: Sequence[Part | None],
        scale: Float[Tensor, " tasks"],
    ) -> None:
        super().__init__(names, shared, [part is not None for part in parts], own)
        self._parts = parts
        self._scale = scale

    @torch.no_grad()
    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """The parts' products, summed in float64."""
        known = [part for part in self._parts if part is not None]
        small = [part.rows() for part in known if part.is_small]
        found = [part.gramian() for part in known if not part.is_small]
        if small:  # together, since each product costs a dozen calls
            rows = torch.cat(small, dim=1)
            found.append(products(rows, rows))
        if not found:
            return torch.zeros(len(self.names), len(self.names), dtype=torch.float64)
        total = torch.stack(found).sum(dim=0).cpu()
        return (total + total.T) / 2 * self._scale * self._scale[:, None]

    @torch.no_grad()
    def jacobian(self) -> Float[Tensor, "tasks params"]:
        """The parts' rows, side by side."""
        dtype, tasks = row_dtype(self.shared), len(self.names)
        pieces = [
            p.new_zeros(tasks, p.numel(), dtype=dtype) if part is None else part.rows().to(dtype)
            for p, part in zip(self.shared, self._parts, strict=True)
        ]
        if not pieces:
            return torch.zeros(tasks, 0, dtype=dtype)
        rows = torch.cat(pieces, dim=1)
        return rows * self._scale.to(rows)[:, None]

    def combined(self, weights: Float[Tensor, " tasks"]) -> list[Tensor | None]:
        """A weighted sum a part; one pass for all that was forgotten."""
        scaled = weights * self._scale
        forgotten = [part for part in self._parts if isinstance(part, Forgotten)]
        again = iter(forgotten[0].again(scaled, [part.leaf for part in forgotten]) if forgotten else ())
        return [
            None if part is None else next(again) if isinstance(part, Forgotten) else part.combined(scaled)
            for part in self._parts
        ]


def by_layers(
    losses: Mapping[str, Tensor],
    shared: Sequence[Tensor],
    *,
    retain_graph: bool,
    with_own: bool,
    chunk: int | None,
    batched: bool | None = None,
    by_products: bool | None = None,
) -> Layers:
    """The tasks' gradients; changes no `.grad`.

    Args:
        losses: task -> scalar loss.
        shared: the leaves that J is over.
        retain_graph: keep the graph for another backward pass.
        with_own: also the gradients of all other leaves.
        chunk: at most so many numbers of J at once.
        batched: whether tasks pass the shared part side by side; the cost model decides where not given.
        by_products: whether linear layers keep what they saw; likewise.
    """
    graph = StepGraph(losses, shared)
    crossed, own = cross(graph, losses, graph.own_leaves() if with_own else [], retain_graph=retain_graph)
    inner = graph.inner_leaves() if with_own else []
    plan = _Plan(graph, shared, Trunk(crossed, len(losses)), batched, by_products)
    parts = plan.parts(chunk, retain_graph=retain_graph or bool(inner))
    if inner:
        is_needed = retain_graph or any(isinstance(part, Forgotten) for part in parts)
        own += plan.plain(inner, retain_graph=is_needed)
    return Layers(tuple(losses), shared, own, parts, plan.trunk.scale)


class _Plan:
    """Which parameter's gradients are taken how."""

    def __init__(
        self,
        graph: StepGraph,
        shared: Sequence[Tensor],
        trunk: Trunk,
        batched: bool | None,
        by_products: bool | None,
    ) -> None:
        self.shared, self.trunk = shared, trunk
        self.edges = trunk.edges(graph.ends())
        self.leaf_edges = graph.leaf_edges
        consumers = graph.consumers()
        self.layers = [
            self._layer(p, edge, consumers, by_products) for p, edge in zip(shared, graph.leaf_edges, strict=True)
        ]
        # What leaves no matrix to its outputs is not worth them: a bias alone is as cheap explicitly.
        matrices = {node for layer in self.layers if isinstance(layer, Linear) for node in layer.nodes}
        self.layers = [None if isinstance(la, Bias) and not matrices.issuperset(la.nodes) else la for la in self.layers]
        self.explicit = [
            k
            for k, (layer, edge) in enumerate(zip(self.layers, graph.leaf_edges, strict=True))
            if layer is None and consumers.get(edge)
        ]
        untouched = {n for layer in self.layers if isinstance(layer, Embedding) for n in layer.nodes}
        below = (n for n, task in graph.owner.items() if task == SHARED and n not in untouched)
        self.is_batched = is_batched(trunk.num_tasks, below) if batched is None else batched

    def _layer(self, parameter: Tensor, edge: Edge, consumers: Consumers, by_products: bool | None) -> Layer | None:
        """The parameter's layer, where its outputs are cheaper than its gradients."""
        turned = [(node, 0) for node, _ in consumers.get(edge, ()) if node.name() == "TBackward0"]
        if any(e in self.trunk.entering for e in (edge, *turned)):
            return None

        def is_wanted(examples: int) -> bool:
            if by_products is not None:
                return by_products
            outputs, inputs = parameter.shape if turned else parameter.shape[::-1]
            return keeps_outputs(self.trunk.num_tasks, examples, inputs, outputs)

        return recognise(parameter, edge, consumers, is_wanted)

    def parts(self, chunk: int | None, *, retain_graph: bool) -> list[Part | None]:
        """The part of each parameter; None where no task reaches it."""
        again = partial(self._mixed, retain_graph=True)
        nodes = list(dict.fromkeys(node for layer in self.layers if layer is not None for node in layer.nodes))
        groups = list(self._groups(chunk))
        is_kept = len(groups) < 2
        parts: list[Part | None] = [None] * len(self.shared)
        for number, group in enumerate(groups):
            wanted = nodes if number == 0 else []
            inputs = [*(GradientEdge(node, 0) for node in wanted), *(self.shared[k] for k in group)]
            keep = retain_graph or not is_kept
            found = self.trunk.each(self.edges, inputs, is_batched=self.is_batched, retain_graph=keep)
            if number == 0:
                self._from_layers(parts, dict(zip(nodes, found, strict=False)))
            for k, rows in zip(group, found[len(wanted) :], strict=True):
                part = self._explicit(k, rows)
                parts[k] = part if is_kept or part is None else Forgotten(part.gramian(), self.shared[k], again)
        for k, edge in enumerate(self.leaf_edges):
            if k not in self.explicit and edge in self.trunk.entering:
                parts[k] = self._explicit(k, [])
        return parts

    def _groups(self, chunk: int | None) -> Iterator[list[int]]:
        """Parameters whose rows are held at once; the first also goes with the layers' outputs."""
        group: list[int] = []
        held = 0
        for k in self.explicit:
            size = self.trunk.num_tasks * self.shared[k].numel()
            if group and chunk is not None and held + size > chunk:
                yield group
                group, held = [], 0
            group.append(k)
            held += size
        yield group

    def _from_layers(self, parts: list[Part | None], outputs: Mapping[Node, Rows]) -> None:
        together = {node: stack(rows) for node, rows in outputs.items()}
        for k, layer in enumerate(self.layers):
            if layer is not None:
                parts[k] = layer.part([together.get(node) for node in layer.nodes])

    def _explicit(self, k: int, rows: Rows) -> Part | None:
        dtype = row_dtype([self.shared[k]])
        direct = self.trunk.entering.get(self.leaf_edges[k])
        if direct is None and self.trunk.num_tasks <= MOST_FEW:
            pieces = filled(rows)
            return None if pieces is None else Few([g.to(dtype) for g in pieces])
        found = [r.to(dtype) for r in (stack(rows), None if direct is None else stack(direct)) if r is not None]
        return Explicit(found[0] if len(found) == 1 else found[0] + found[1]) if found else None

    def plain(self, leaves: Sequence[Tensor], *, retain_graph: bool) -> list[tuple[Tensor, Tensor]]:
        """The plain sum of the tasks' gradients at leaves that are shared in fact, not by declaration."""
        found = self._mixed(self.trunk.scale, leaves, retain_graph=retain_graph)
        return [(leaf, g) for leaf, g in zip(leaves, found, strict=True) if g is not None]

    def _mixed(
        self, scaled: Float[Tensor, " tasks"], leaves: Sequence[Tensor], *, retain_graph: bool
    ) -> list[Tensor | None]:
        """The tasks' gradients summed with these weights: what comes through the shared part, and what enters there."""
        found = self.trunk.mixed(scaled, self.edges, leaves, retain_graph=retain_graph)
        for k, leaf in enumerate(leaves):
            direct = self.trunk.entering.get(edge_of(leaf))
            entered = None if direct is None else weighted(direct, scaled)
            if entered is not None:
                passed = found[k]
                found[k] = entered if passed is None else passed + entered
        return found
