"""The tasks' gradients at the shared representation: one backward pass through the shared part for all of them."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.gradients.crossing import cross
from polytask.gradients.graph import Edge, StepGraph, edge_of
from polytask.gradients.parts import piecewise_products
from polytask.gradients.task_gradients import Own, TaskGradients
from polytask.gradients.trunk import Trunk, filled


class AtRepresentation(TaskGradients):
    """Gradients with respect to what the tasks' own parts read; angles and lengths are those of the representation."""

    def __init__(
        self,
        names: Sequence[str],
        shared: Sequence[Tensor],
        own: Own,
        graph: StepGraph,
        trunk: Trunk,
        *,
        retain_graph: bool,
    ) -> None:
        super().__init__(names, shared, graph.is_reached(), own)
        self._trunk = trunk
        self._retain_graph = retain_graph

    @torch.no_grad()
    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """Z Zᵀ, with the gradients of a task over the batch as its row of Z."""
        total = torch.zeros(len(self.names), len(self.names), dtype=torch.float64)
        for entering in self._trunk.entering.values():
            total += piecewise_products(filled(entering) or []).cpu()
        return total * self._trunk.scale * self._trunk.scale[:, None]

    def jacobian(self) -> Float[Tensor, "tasks params"]:
        """Not taken at this level."""
        raise ValueError("level='representation' takes no gradients of the shared parameters: use level='exact'")

    def combined(self, weights: Float[Tensor, " tasks"]) -> list[Tensor | None]:
        """One backward pass of Zᵀw, which frees the graph unless it is to be retained."""
        found = iter(self._trunk.mixed(*self._pass(weights), retain_graph=self._retain_graph))
        return [next(found) if is_reached else None for is_reached in self.reached]

    def accumulate(self, weights: Float[Tensor, " tasks"]) -> None:
        """As `combined`, straight to `.grad`."""
        self._trunk.accumulate(*self._pass(weights), retain_graph=self._retain_graph)
        self.accumulate_own()

    def _pass(self, weights: Float[Tensor, " tasks"]) -> tuple[Tensor, list[Edge], list[Tensor]]:
        """Weights of the scaled gradients, where they start, and the leaves where they end."""
        ends = [p for p, is_reached in zip(self.shared, self.reached, strict=True) if is_reached]
        return weights * self._trunk.scale, list(self._trunk.entering), ends


def at_representation(
    losses: Mapping[str, Tensor],
    shared: Sequence[Tensor],
    features: Sequence[Tensor],
    *,
    retain_graph: bool,
    with_own: bool,
) -> AtRepresentation:
    """The tasks' gradients at `features`, or, where none are given, at the one tensor where the tasks' graphs meet.

    Raises:
        ValueError: the tasks do not meet in one tensor, or reach shared parameters past it; names task and parameter.
    """
    graph = StepGraph(losses, shared, features)
    _check(graph, list(losses), shared, [edge_of(feature) for feature in features])
    inner = graph.inner_leaves() if with_own else []
    crossed, own = cross(graph, losses, graph.own_leaves() if with_own else [], retain_graph=retain_graph)
    trunk = Trunk(crossed, len(losses))
    if inner:
        plain = trunk.mixed(trunk.scale, list(trunk.entering), inner, retain_graph=True)
        own += [(leaf, g) for leaf, g in zip(inner, plain, strict=True) if g is not None]
    return AtRepresentation(tuple(losses), shared, own, graph, trunk, retain_graph=retain_graph)


def _check(graph: StepGraph, names: Sequence[str], shared: Sequence[Tensor], features: Sequence[Edge]) -> None:
    leaves = graph.ends()
    for place, edge in enumerate(features):
        if not any(crossing.edge == edge for crossing in graph.crossings):
            raise ValueError(
                f"level='representation': no loss of this step reads features[{place}]: is it an older one?"
            )
    places = {edge: k for k, edge in enumerate(graph.leaf_edges)}
    met: dict[Edge, set[int]] = {}
    for crossing in graph.crossings:
        name, edge = names[crossing.task], crossing.edge
        if edge in leaves:
            k = places.get(edge)
            what = "a parameter that is not in shared" if k is None else f"shared[{k}] {list(shared[k].shape)}"
            raise ValueError(
                f"level='representation': task {name!r} reaches {what} past the representation; use level='exact'"
            )
        if features and edge not in features:
            raise ValueError(
                f"level='representation': task {name!r} reaches the shared part past features: pass the very tensor "
                "that all heads read, or use level='exact'"
            )
        met.setdefault(edge, set()).add(crossing.task)
    if not features and (len(met) != 1 or any(len(tasks) < len(names) for tasks in met.values())):
        raise ValueError(
            f"level='representation': the tasks {', '.join(names)} do not read one and the same representation "
            f"(their graphs meet in {len(met)} tensors): use level='exact', or, in your own loop, pass features=h"
        )
