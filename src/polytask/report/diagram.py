"""A model's graph as a diagram: stages from left to right, what a task owns in its colour."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile

from polytask.report.blocks import Box, Diagram
from polytask.report.charts import series_style
from polytask.runs import ModelGraph, Node, facts_of

#: Tasks that are drawn at most, and boxes above each other.
MOST_TASKS = 12
MOST_BOXES = 16

#: Width and height of a box, and the space between two, in pixels.
BOX = (104, 44)
GAP = (28, 12)
#: Height of the place where a line passes a column of boxes.
PASSAGE = 8

#: Letters that fit into a box.
LETTERS = 14

#: Of lines that are no task's own.
QUIET = "var(--quiet)"

#: A box, or the place where the lines from one pass a column.
Place = str | tuple[str, int]


def diagram_of(graph: ModelGraph) -> Diagram:
    """All of the graph that can be read at once; a head stands for its task."""
    shown, said = readable(graph)
    nodes = {node.name: node for node in shown.nodes if node.kind != "task"}
    edges = [edge for edge in shown.edges if edge[1] in nodes]
    columns = columns_of(nodes, edges)
    ways = _ways(edges, columns)
    places = _placed(nodes, ways, columns)
    colours = {task: colour for task, (colour, _) in series_style(shown.tasks).items()}
    common = common_start([n.label for n in nodes.values() if n.kind in ("stage", "mixer")])
    width = (max(columns.values()) + 1) * (BOX[0] + GAP[0]) - GAP[0]
    height = max(y + (BOX[1] if isinstance(place, str) else PASSAGE) for place, (_, y) in places.items())
    caption = (
        "Every part of the model, and what it reads: with its number of parameters → what it gives for a row. Grey is "
        f"shared, dots are the tasks that share it; a colour is one task's own.{said}"
    )
    return Diagram(
        size=(width + 4, height + 4),
        box=BOX,
        boxes=tuple(_box(node, places[name], colours, common) for name, node in nodes.items()),
        lines=tuple((_path(way, places), colour) for way, colour in _coloured(ways, nodes, colours)),
        legend=tuple((task, colour, False) for task, colour in colours.items()),
        caption=caption,
        description=_described(graph),
        source=shown.to_mermaid(),
    )


def readable(graph: ModelGraph) -> tuple[ModelGraph, str]:
    """The graph, or as much of it as a reader can follow, and a sentence that says what was left out."""
    for number in range(min(MOST_TASKS, len(graph.tasks)), 0, -1):
        found = _of_tasks(graph, graph.tasks[:number])
        columns = columns_of({n.name: n for n in found.nodes}, found.edges)
        many = max((list(columns.values()).count(column) for column in set(columns.values())), default=0)
        if many <= MOST_BOXES or number <= 2:
            break
    kept: list[Node] = []
    seen: dict[int, int] = {}
    for node in found.nodes:
        column = columns[node.name]
        seen[column] = seen.get(column, 0) + 1
        if seen[column] <= MOST_BOXES or node.kind in ("head", "task"):
            kept.append(node)
    said = ""
    if number < len(graph.tasks):
        said += f" Drawn are the first {number} of {len(graph.tasks)} tasks, and what they reach."
    if len(kept) < len(found.nodes):
        said += f" {len(found.nodes) - len(kept)} parts more than can be drawn above each other are left out."
    return _with(found, kept), said


def _of_tasks(graph: ModelGraph, tasks: Sequence[str]) -> ModelGraph:
    if len(tasks) == len(graph.tasks):
        return graph
    wanted = set(tasks)
    return _with(ModelGraph(tuple(tasks), graph.nodes, graph.edges), [n for n in graph.nodes if wanted & {*n.tasks}])


def _with(graph: ModelGraph, nodes: Iterable[Node]) -> ModelGraph:
    kept = tuple(nodes)
    names = {node.name for node in kept}
    return ModelGraph(graph.tasks, kept, tuple(edge for edge in graph.edges if names >= {*edge}))


def columns_of(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Part -> its column: behind all that it reads; what reads nothing stands just before where it is read."""
    place = {name: number for number, name in enumerate(nodes)}
    forward = [(one, other) for one, other in edges if place[one] < place[other]]
    columns: dict[str, int] = {}
    for name in nodes:
        behind = [columns[one] + 1 for one, other in forward if other == name]
        columns[name] = max(behind, default=0)
    reading = {other for _, other in forward}
    for name, node in nodes.items():
        readers = [columns[other] for one, other in forward if one == name]
        if node.kind != "input" and name not in reading and readers:
            columns[name] = max(min(readers) - 1, 0)
    last = max((columns[n] for n, node in nodes.items() if node.kind == "head"), default=0)
    ends = {"head": last, "task": last + 1}
    return {name: ends.get(node.kind, columns[name]) for name, node in nodes.items()}


def _ways(edges: Sequence[tuple[str, str]], columns: Mapping[str, int]) -> list[list[Place]]:
    """Every edge as the places that its line goes by: lines from one box pass a column together."""
    found: list[list[Place]] = []
    for one, other in edges:
        if columns[one] < columns[other]:
            found.append([one, *((one, column) for column in range(columns[one] + 1, columns[other])), other])
    return found


def _placed(
    nodes: Mapping[str, Node], ways: Sequence[Sequence[Place]], columns: Mapping[str, int]
) -> dict[Place, tuple[int, int]]:
    """Where each place is: in its column below those whose lines come from higher up."""
    members: dict[int, list[Place]] = {column: [] for column in range(max(columns.values()) + 1)}
    for name in nodes:
        members[columns[name]].append(name)
    for way in ways:
        for place in way[1:-1]:
            if isinstance(place, tuple) and place not in members[place[1]]:
                members[place[1]].append(place)
    tall = {c: sum((BOX if isinstance(p, str) else (0, PASSAGE))[1] + GAP[1] for p in m) for c, m in members.items()}
    before: dict[Place, list[Place]] = {}
    for way in ways:
        for one, other in pairwise(way):
            before.setdefault(other, []).append(one)
    found: dict[Place, tuple[int, int]] = {}
    for column, places in members.items():
        heights = {p: [found[b][1] for b in before.get(p, ()) if b in found] for p in places}
        means = {p: sum(h) / len(h) if h else 0.0 for p, h in heights.items()}
        y = (max(tall.values()) - tall[column]) // 2 + 2
        for place in sorted(places, key=means.__getitem__):
            found[place] = (column * (BOX[0] + GAP[0]) + 2, y)
            y += (BOX[1] if isinstance(place, str) else PASSAGE) + GAP[1]
    return found


def _path(way: Sequence[Place], places: Mapping[Place, tuple[int, int]]) -> str:
    """A line from the right side of the first place to the left side of the last one."""

    def middle(place: Place) -> int:
        return places[place][1] + (BOX[1] if isinstance(place, str) else PASSAGE) // 2

    parts: list[str] = []
    for one, other in pairwise(way):
        start, end = places[one][0] + BOX[0], places[other][0]
        bend = (start + end) // 2
        begin = f"M{start} {middle(one)}" if not parts else f"H{start}"
        parts.append(f"{begin}C{bend} {middle(one)} {bend} {middle(other)} {end} {middle(other)}")
    return "".join(parts)


def _coloured(
    ways: Sequence[Sequence[Place]], nodes: Mapping[str, Node], colours: Mapping[str, str]
) -> list[tuple[Sequence[Place], str]]:
    """Every line in the colour of the task that owns one of its ends; where lines of several go together, in none."""
    found = []
    for way in ways:
        ends = [nodes[str(place)].tasks for place in (way[0], way[-1])]
        found.append(next((colours[tasks[0]] for tasks in ends if len(tasks) == 1 and tasks[0] in colours), QUIET))
    together: dict[Place, set[str]] = {}
    for way, colour in zip(ways, found, strict=True):
        together.setdefault(way[1], set()).add(colour)
    return [
        (way, QUIET if len(way) > 2 and len(together[way[1]]) > 1 else colour)
        for way, colour in zip(ways, found, strict=True)
    ]


def _box(node: Node, place: tuple[int, int], colours: Mapping[str, str], common: str) -> Box:
    is_owned = len(node.tasks) == 1 and node.tasks[0] in colours
    sharing = tuple(colours[task] for task in node.tasks if task in colours)
    return Box(
        x=place[0],
        y=place[1],
        label=shortened(node.label.removeprefix("head of " if node.kind == "head" else common)),
        facts=shortened(f"head {facts_of(node)}" if node.kind == "head" else facts_of(node), LETTERS + 3),
        title=told(node),
        colour=colours[node.tasks[0]] if is_owned else "",
        dots=() if is_owned or node.kind == "input" else sharing,
        is_round=node.kind in ("input", "head"),
        is_pale=not node.tasks,
    )


def told(node: Node) -> str:
    """A part in a sentence."""
    stage = "" if node.stage is None else f" {node.stage}"
    reach = (
        "no task" if not node.tasks else f"{len(node.tasks)} tasks" if len(node.tasks) > 4 else ", ".join(node.tasks)
    )
    learnt = f"{node.parameters:,} parameters, " if node.parameters else ""
    return f"{node.label}: {node.kind}{stage}, {learnt}reached by {reach}"


def common_start(labels: Sequence[str]) -> str:
    """The words that all of these begin with and none ends in, up to a full stop: they tell nothing apart.

    Example:
        >>> common_start(["chain.trunk.0", "chain.private.a.0"]), common_start(["trunk.0", "gates.a"])
        ('chain.', '')
    """
    words = [label.split(".")[:-1] for label in labels]
    if len({tuple(start) for start in words}) == 1:  # one chain: its name says what it is
        return ""
    same = takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))
    return "".join(f"{column[0]}." for column in same)


def shortened(text: str, most: int = LETTERS) -> str:
    """A text that fits, its end kept: there is what tells parts apart.

    Example:
        >>> shortened("levels.0.experts.price.1"), shortened("trunk.0")
        ('leve…s.price.1', 'trunk.0')
    """
    if len(text) <= most:
        return text
    start = (most - 1) // 3
    return f"{text[:start]}…{text[start + 1 - most :]}"


def _described(graph: ModelGraph) -> str:
    parts = [node for node in graph.nodes if node.parameters]
    shared = sum(len(node.tasks) > 1 for node in parts)
    total = sum(node.parameters for node in parts)
    return (
        f"Diagram of the model: {len(parts)} parts with {total:,} parameters, {shared} of them shared by at least two "
        f"tasks, {sum(len(node.tasks) == 1 for node in parts)} owned by one."
    )
