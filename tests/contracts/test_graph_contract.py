"""The graph of a model, for every scheme on encoders: nothing is lost, nothing invented, reached as declared."""

import json

import pytest
from every_sharing import CASES, NARROW, OF_EVERY_SCHEME, SPECS, TABLE

from polytask.config import as_choice
from polytask.encoders import ENCODERS
from polytask.model import Blueprint, count_parameters
from polytask.runs import graph_of
from polytask.sharing import SHARINGS
from polytask.tasks import Regression

#: Schemes that run a part again on what came of it: there the way goes in a circle.
IN_CIRCLES: set[str] = set()


def blueprint(case, encoder):
    tasks = tuple(Regression(name, reads=stages) for name, stages in case.tasks.items())
    return Blueprint(
        tasks=tasks,
        fitted={task.name: {} for task in tasks},
        encoder=as_choice({encoder: case.encoders.get(encoder, NARROW[encoder])}, ENCODERS, "encoder"),
        sharing=as_choice({case.name: case.settings}, SHARINGS, "sharing"),
        spec=SPECS.get(encoder, TABLE),
        seed=0,
    )


def pairs():
    seen = set()
    for case in CASES:
        is_first = case.name not in seen
        seen.add(case.name)
        for encoder in ENCODERS:
            if encoder not in case.refuses and (is_first or encoder in OF_EVERY_SCHEME):
                marks = () if encoder in OF_EVERY_SCHEME or case.name == "hard" else pytest.mark.slow
                yield pytest.param(case, encoder, id=f"{case}-{encoder}", marks=marks)


def before(graph, name):
    """All that a node depends on."""
    found, ahead = set(), [name]
    while ahead:
        here = ahead.pop()
        for one, other in graph.edges:
            if other == here and one not in found:
                found.add(one)
                ahead.append(one)
    return found


def is_acyclic(graph):
    left = {node.name for node in graph.nodes}
    while left:
        free = {name for name in left if not any(other == name and one in left for one, other in graph.edges)}
        if not free:
            return False
        left -= free
    return True


@pytest.mark.parametrize(("case", "encoder"), list(pairs()))
def test_what_holds_of_every_scheme_on_every_encoder(case, encoder):
    plan = blueprint(case, encoder)
    model = plan.build()
    graph = graph_of(plan, model.state_dict())
    names = [node.name for node in graph.nodes]
    assert len(set(names)) == len(names)
    assert {name for edge in graph.edges for name in edge} <= set(names)
    # Nothing is lost.
    assert sum(node.parameters for node in graph.nodes) == count_parameters(model.parameters())
    assert sum(node.bytes for node in graph.nodes) == 4 * count_parameters(model.parameters())
    # Every task comes from an input, through its own head, and no part is drawn that leads nowhere.
    inputs = {node.name for node in graph.nodes if node.kind == "input"}
    for task in case.tasks:
        assert (f"heads.task_{task}", f"tasks.{task}") in graph.edges
        assert inputs & before(graph, f"tasks.{task}")
    leads = {name for task in case.tasks for name in before(graph, f"tasks.{task}")}
    drawn = {name for edge in graph.edges for name in edge}
    assert {node.name for node in graph.nodes if node.tasks and node.kind != "task"} & drawn <= leads
    assert is_acyclic(graph) or case.name in IN_CIRCLES
    # Who reaches what is what the scheme declares.
    assert_declared(model, graph)
    # What flows on has a shape, and stages have the widths that heads read.
    for node in graph.nodes:
        assert (node.stage is None) == (node.kind != "stage")
        if node.calls:
            assert node.shape is not None
    json.dumps(graph.to_json(), allow_nan=False)
    assert graph.to_mermaid().count(" --> ") == len(graph.edges)


def assert_declared(model, graph):
    """A node's tasks are those that own some parameter of it; several where one of its parameters is shared."""
    shared = {id(p) for p in model.shared_parameters()}
    owned = {task: {id(p) for p in model.task_parameters(task)} for task in model.tasks}
    parameters = dict(model.named_parameters())
    for node in graph.nodes:
        held = {id(p) for name, p in parameters.items() if f"{name}.".startswith(f"{node.name}.")}
        if not held:
            continue
        owners = tuple(task for task in model.tasks if owned[task] & held)
        if held & shared:
            assert len(node.tasks) >= 2
            assert set(owners) <= set(node.tasks)
        else:
            assert node.tasks == owners
