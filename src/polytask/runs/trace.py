"""The graph of a model, found by running it once: no scheme and no encoder has to describe itself.

Every part's outputs are copied by one operation, whose node in autograd's graph marks them. From there the way back is
walked until other marks are met, or parameters: these are what the part reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from polytask.encoders import Encoder
from polytask.feature import Inputs
from polytask.model import Blueprint, Model
from polytask.runs.codes import Codes, GradNode, tensors_in
from polytask.runs.graph import ModelGraph, Node, closure

#: A module that is run whole, or a parameter that a scheme uses itself.
Part = nn.Module | nn.Parameter

#: How many made-up rows are run: a number that no axis of features is likely to have.
ROWS = 7

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def graph_of(blueprint: Blueprint, weights: Mapping[str, Tensor] | None = None) -> ModelGraph:
    """The graph of the model of this blueprint.

    Args:
        blueprint: of the model.
        weights: its state, for schemes whose ways depend on what they learnt; fresh where not given.
    """
    chains: list[Encoder] = []
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        model = blueprint.build(chains.append).eval()
        if weights is not None:
            model.load_state_dict(weights)
        for parameter in model.parameters():
            parameter.requires_grad_()  # what is frozen is part of it too
        numbers = {id(stage): number for chain in chains for number, stage in enumerate(chain.stages)}
        return _Trace(model, numbers).graph(blueprint.spec.example(ROWS))


class _Trace:
    """One forward of a model, and who gave what to whom in it."""

    def __init__(self, model: Model, stages: Mapping[int, int]) -> None:
        self.model, self.stages = model, stages
        self.parts = parts_of(model, stages)
        self.held: dict[str, list[nn.Parameter]] = {name: [] for name in self.parts}
        self.owner: dict[int, str] = {}  # of a parameter that two parts have, the first is
        for name, part in self.parts.items():
            for parameter in [part] if isinstance(part, nn.Parameter) else part.parameters():
                if id(parameter) not in self.owner:
                    self.owner[id(parameter)] = name
                    self.held[name].append(parameter)
        # Of a task's own parts, some take no part in its output: a head that only its loss in training has.
        self.declared = {task: {self.owner[id(p)] for p in model.task_parameters(task)} for task in model.tasks}
        self.calls: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.marks: dict[GradNode, str] = {}
        self.read: dict[str, set[str]] = {}  # of parts whose outputs carry no gradient: what they were given
        self.running: list[str] = []
        self.within: dict[str, set[str]] = {}  # of parts that another one runs in its midst: those others
        self.codes = Codes()

    def graph(self, inputs: Inputs) -> ModelGraph:
        """Runs the model on these rows."""
        shapes = {f"inputs.{key}": tuple(value.shape[1:]) for key, value in inputs.items()}
        given = {key: self._given(key, value) for key, value in inputs.items()}
        modules = {name: part for name, part in self.parts.items() if isinstance(part, nn.Module)}
        handles = [module.register_forward_pre_hook(self._begins(name)) for name, module in modules.items()]
        handles += [module.register_forward_hook(self._ends(name)) for name, module in modules.items()]
        try:
            with self.codes if self.codes.names else nullcontext():
                outputs = self.model(given)
            reached = {task: self._reached(output) for task, output in outputs.items()}
        finally:
            for handle in handles:
                handle.remove()
        ends = {f"tasks.{task}": [get_gradient_edge(o).node] for task, o in outputs.items() if o.requires_grad}
        shapes |= {f"tasks.{task}": tuple(output.shape[1:]) for task, output in outputs.items()}
        edges = self._edges(ends)
        names = [*(n for n in shapes if n.startswith("inputs.")), *self._in_order(), *(f"tasks.{t}" for t in outputs)]
        nodes = tuple(self._node(name, shapes | self.shapes, reached, edges) for name in names)
        place = {name: number for number, name in enumerate(names)}
        return ModelGraph(self.model.tasks, nodes, tuple(sorted(edges, key=lambda e: (place[e[0]], place[e[1]]))))

    def _given(self, key: str, value: Tensor) -> Tensor:
        """An input that is known again: numbers by their gradient, codes by what is made of them."""
        if not value.is_floating_point():
            self.codes.note(value, {f"inputs.{key}"})
            return value
        return self._marked(f"inputs.{key}", value.requires_grad_())

    def _marked(self, name: str, value: Tensor) -> Tensor:
        """The same values, from an operation of their own: in-place changes and views later leave it as it is."""
        copy = value.clone()
        self.marks[copy.grad_fn] = name
        return copy

    def _begins(self, name: str) -> Any:
        def note(module: nn.Module, args: Any) -> None:
            self.within.setdefault(name, set()).update(self.running)
            self.running.append(name)

        return note

    def _ends(self, name: str) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> Any:
            self.running.pop()
            self.calls[name] = self.calls.get(name, 0) + 1

            def mark(value: Tensor) -> Tensor:
                if not value.is_floating_point():
                    return value
                self.shapes[name] = _of_a_row(value.shape)
                if not value.requires_grad:
                    self.read.setdefault(name, set()).update(self._sources(tensors_in(args)))
                    value = value.detach().requires_grad_()
                with torch.enable_grad():
                    return self._marked(name, value)

            return _mapped(output, mark)

        return note

    def _sources(self, values: Iterable[Tensor]) -> set[str]:
        """The parts that these values are from."""
        found: set[str] = set()
        for value in values:
            found |= self.codes.of(value)
            if value.requires_grad:
                found |= self._behind([get_gradient_edge(value).node])
        return found

    def _behind(self, nodes: Sequence[GradNode]) -> set[str]:
        """The first parts and inputs that are met on the way back from these nodes, these included."""
        found: set[str] = set()
        seen: set[GradNode] = set()
        ahead = list(nodes)
        while ahead:
            node = ahead.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            found |= self.codes.used.get(node, set())
            if node in self.marks:
                found.add(self.marks[node])
            elif node.name() == "torch::autograd::AccumulateGrad":
                found.update({self.owner[id(node.variable)]} if id(node.variable) in self.owner else ())
            else:
                ahead += [below for below, _ in node.next_functions]
        return found

    def _edges(self, ends: Mapping[str, Sequence[GradNode]]) -> set[tuple[str, str]]:
        found = {(source, name) for name, sources in self.read.items() for source in sources}
        for name, nodes in ends.items():
            found |= {(source, name) for source in self._behind(nodes)}
        for mark, name in self.marks.items():
            below = [node for node, _ in mark.next_functions]
            found |= {(source, name) for source in self._behind(below) if not name.startswith("inputs.")}
        # What a part is given in another's midst is not from the other: it is a step on its way.
        return {(one, other) for one, other in found if one != other and one not in self.within.get(other, ())}

    def _reached(self, output: Tensor) -> set[str]:
        """The parts to whose parameters this output's gradient comes."""
        parameters = [p for held in self.held.values() for p in held]
        if not output.requires_grad or not parameters:
            return set()
        gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True, retain_graph=True)
        return {self.owner[id(p)] for p, g in zip(parameters, gradients, strict=True) if g is not None}

    def _in_order(self) -> list[str]:
        """Parts as they were first run; before them those that are never run whole."""
        return [*(name for name in self.parts if name not in self.calls), *self.calls]

    def _node(
        self,
        name: str,
        shapes: Mapping[str, tuple[int, ...]],
        reached: Mapping[str, set[str]],
        edges: set[tuple[str, str]],
    ) -> Node:
        held = self.held.get(name, [])
        is_reached = any(name in found for found in reached.values())
        whose = reached if is_reached else self.declared
        after = closure([name], edges)
        part = self.parts.get(name)
        stage = None if part is None else self.stages.get(id(part))
        kinds = {"inputs": "input", "heads": "head", "tasks": "task"}
        kind: Any = kinds.get(name.partition(".")[0], "mixer" if stage is None else "stage")
        return Node(
            name=name,
            kind=kind,
            stage=stage,
            parameters=sum(p.numel() for p in held),
            bytes=sum(p.numel() * p.element_size() for p in held),
            shape=shapes.get(name),
            calls=self.calls.get(name, 0),
            tasks=tuple(t for t in reached if (name in whose[t] if held else f"tasks.{t}" in after)),
        )


def _of_a_row(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape without the axis of rows, which is the first one that has as many as were run.

    Example:
        >>> _of_a_row((ROWS, 16)), _of_a_row((4, ROWS, 16)), _of_a_row((3, 3))
        ((16,), (4, 16), (3, 3))
    """
    place = list(shape).index(ROWS) if ROWS in shape else len(shape)
    return (*shape[:place], *shape[place + 1 :])


def parts_of(model: Model, stages: Mapping[int, int]) -> dict[str, Part]:
    """The parts of a model by their place in it: stages, heads, and what else has parameters, as large as can be.

    Args:
        model: whose parts.
        stages: identity of each stage of the encoder -> its number.
    """
    found: dict[str, Part] = {}
    seen: set[int] = set()

    def look(module: nn.Module, place: str) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            found[f"{place}.{name}"] = parameter
        for name, child in module.named_children():
            if id(child) in seen:
                continue
            seen.add(id(child))
            is_part = id(child) in stages
            if not is_part and (isinstance(child, CONTAINERS) or any(id(m) in stages for m in child.modules())):
                look(child, f"{place}.{name}")
            elif is_part or next(child.parameters(), None) is not None:
                found[f"{place}.{name}"] = child

    for name, child in model.named_children():
        if child is not model.heads:
            look(child, name)
    return found | {f"heads.{name}": head for name, head in model.heads.items()}


def _mapped(values: Any, change: Any) -> Any:
    """The same nested values, their tensors changed."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        return type(values)(*(_mapped(value, change) for value in values))
    if type(values) in (list, tuple):
        return type(values)(_mapped(value, change) for value in values)
    if type(values) is dict:
        return {key: _mapped(value, change) for key, value in values.items()}
    return values
