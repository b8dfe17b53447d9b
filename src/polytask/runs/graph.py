"""A model as a graph: its parts, what flows where, and which tasks reach each of them."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Node:
    """One part of a model, or what goes in or comes out.

    Attributes:
        name: where it is in the model, `"sharing.trunk.0"`, `"heads.task_price"`; `"inputs.…"` or `"tasks.…"` else.
        kind: `"stage"` of the encoder, `"head"`, `"mixer"` (all else that a sharing scheme has: gates, stitches,
            adapters, what a penalty alone reaches), `"input"` or `"task"`.
        stage: the number of the stage, 0 the first; None where it is none.
        parameters: how many numbers are learnt in it.
        bytes: that its parameters take.
        shape: of its output for one row; None where it gives none.
        calls: how often one forward for all tasks runs it.
        tasks: whose gradients reach it, in order: several share it, one owns it. Of what takes part in no output, those
            whose own it is.
    """

    name: str
    kind: Literal["input", "stage", "mixer", "head", "task"]
    stage: int | None = None
    parameters: int = 0
    bytes: int = 0
    shape: tuple[int, ...] | None = None
    calls: int = 0
    tasks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name as people read it.

        Example:
            >>> Node("sharing.tails.task_price.1", "stage").label, Node("sharing.experts.0.stages.2", "stage").label
            ('tails.price.1', 'experts.0.2')
            >>> Node("heads.task_price", "head").label
            'head of price'
            >>> Node("inputs.<mask> words", "input").label
            'places of words'
        """
        place = self.name.partition(".")[2]
        if self.kind == "input":
            return re.sub("^<mask> ", "places of ", place).strip("<>")
        bare = place if self.kind == "task" else re.sub(r"(^|\.)task_|(?<=\.)stages\.", r"\1", place)
        return f"head of {bare}" if self.kind == "head" else bare


@dataclass(frozen=True)
class ModelGraph:
    """The parts of a model and what flows from which to which.

    Attributes:
        tasks: all, in order.
        nodes: inputs first, then in the order in which a forward has run them, tasks last; the sum of their
            parameters is that of the model.
        edges: (from, to), names of nodes.

    Example:
        >>> parts = (Node("inputs.x", "input", tasks=("a",)), Node("tasks.a", "task", tasks=("a",)))
        >>> print(ModelGraph(("a",), parts, (("inputs.x", "tasks.a"),)).to_mermaid())
        flowchart LR
          n0(["x"])
          n1(["a"])
          n0 --> n1
          class n0,n1 task0
          classDef task0 stroke:#1f5fbf,stroke-width:2px
    """

    tasks: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            KeyError: there is none.
        """
        return {node.name: node for node in self.nodes}[name]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        nodes = [{**asdict(n), "shape": None if n.shape is None else list(n.shape)} for n in self.nodes]
        return {
            "tasks": list(self.tasks),
            "nodes": [{**node, "tasks": list(node["tasks"])} for node in nodes],
            "edges": [list(edge) for edge in self.edges],
        }

    def to_mermaid(self) -> str:
        """A Mermaid flowchart, as README files and notebooks draw it: what one task owns has a border of its colour."""
        numbers = {node.name: f"n{number}" for number, node in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        for node in self.nodes:
            opened, closed = ('(["', '"])') if node.kind in ("input", "task") else ('["', '"]')
            said = "<br>".join([_escaped(node.label), *([_escaped(facts)] if (facts := facts_of(node)) else [])])
            lines.append(f"  {numbers[node.name]}{opened}{said}{closed}")
        lines += [f"  {numbers[one]} --> {numbers[other]}" for one, other in self.edges]
        looks = {owner: [numbers[n.name] for n in self.nodes if n.tasks == (owner,)] for owner in self.tasks}
        for number, names in enumerate(looks.values()):
            if names:
                lines.append(f"  class {','.join(names)} task{number}")
                lines.append(f"  classDef task{number} stroke:{COLOURS[number % len(COLOURS)]},stroke-width:2px")
        return "\n".join(lines)


#: Colours of the tasks where nothing else gives them one.
COLOURS = ("#1f5fbf", "#b5460f", "#0b7a57", "#8a3fa0", "#8a6a00", "#b02a5b", "#0e7490", "#5b5bd6", "#5f6b1a", "#7a4a2b")


def facts_of(node: Node) -> str:
    """Parameters and output of a part, in few words; "" where it has neither.

    Example:
        >>> facts_of(Node("sharing.trunk.0", "stage", parameters=1200, shape=(16, 7, 7)))
        '1,200 → 16×7×7'
    """
    shape = "" if not node.shape or node.kind in ("task", "head") else f"→ {'×'.join(map(str, node.shape))}"
    number = f"{node.parameters:,}" if node.parameters else ""
    return " ".join(part for part in (number, shape.removeprefix("→ ") if not number else shape) if part)


def closure(start: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    """All that can be come to from these along edges, these included."""
    after: dict[str, list[str]] = {}
    for one, other in edges:
        after.setdefault(one, []).append(other)
    found, ahead = set(), list(start)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += after.get(name, [])
    return found


def _escaped(text: str) -> str:
    return re.sub(r"[^\w .,→×-]", lambda found: f"#{ord(found[0])};", text)
