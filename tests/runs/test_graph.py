"""The model as a graph: known ones written down, and schemes that do everything a scheme may do."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import polytask as pt
from polytask.config import as_choice
from polytask.encoders import ENCODERS
from polytask.feature import NUMBERS, Feature, InputSpec
from polytask.model import Blueprint, count_parameters
from polytask.runs import graph_of
from polytask.runs.graph import Node
from polytask.sharing import SHARINGS, Sharing
from polytask.tasks import Classification, Regression, Similarity

TABLE = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5), ("e", 4)))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})
TASKS = {"price": (-1,), "sold": (0, -1), "grade": (0,)}
#: Narrow forms of the encoders.
NARROW = {
    "mlp": {"widths": [8, 6]},
    "lenet": {"channels": [3, 4], "widths": [6]},
    "fusion": {"table": {"mlp": {"widths": [5]}}, "images": {"lenet": {"channels": [2, 3], "widths": [4]}}},
}


def blueprint(sharing, encoder="mlp", tasks=None, kinds=None, spec=TABLE):
    """Tasks are regressions but where `kinds` has one."""
    reads = TASKS if tasks is None else tasks
    made = {name: Regression(name, reads=stages) for name, stages in reads.items()} | (kinds or {})
    fitted = {name: {"classes": ["a", "b"], "counts": [2, 2], "mean": 0.0, "scale": 1.0} for name in made}
    return Blueprint(
        tasks=tuple(made.values()),
        fitted=fitted,
        encoder=as_choice({encoder: NARROW[encoder]}, ENCODERS, "encoder"),
        sharing=as_choice(sharing, SHARINGS, "sharing"),
        spec=spec,
        seed=0,
    )


def is_acyclic(graph):
    left = {node.name for node in graph.nodes}
    while left:
        free = {name for name in left if not any(other == name and one in left for one, other in graph.edges)}
        if not free:
            return False
        left -= free
    return True


def test_hard_sharing_is_a_trunk_for_all_and_a_head_each():
    graph = graph_of(blueprint("hard", tasks={"price": (-1,), "sold": (-1,)}))
    everyone = ("price", "sold")
    trunk = [node for node in graph.nodes if node.kind == "stage"]
    assert [node.name for node in trunk] == ["sharing.trunk.0", "sharing.trunk.1", "sharing.trunk.2"]
    assert [node.stage for node in trunk] == [0, 1, 2]
    assert [node.shape for node in trunk] == [(19,), (8,), (6,)]
    assert [node.parameters for node in trunk] == [9 * 8, 19 * 8 + 8, 8 * 6 + 6]
    assert all(node.tasks == everyone and node.calls == 1 for node in trunk)
    assert graph.node("heads.task_sold").tasks == ("sold",)
    assert graph.edges == (
        ("inputs.<numbers>", "sharing.trunk.0"),
        ("inputs.<categories>", "sharing.trunk.0"),
        ("sharing.trunk.0", "sharing.trunk.1"),
        ("sharing.trunk.1", "sharing.trunk.2"),
        ("sharing.trunk.2", "heads.task_price"),
        ("sharing.trunk.2", "heads.task_sold"),
        ("heads.task_price", "tasks.price"),
        ("heads.task_sold", "tasks.sold"),
    )


def test_tails_are_each_tasks_own():
    graph = graph_of(blueprint({"hard": {"split": 2}}, tasks={"price": (-1,), "sold": (-1,), "grade": (0,)}))
    assert graph.node("sharing.tails.task_sold.0").tasks == ("sold",)
    assert graph.node("sharing.tails.task_sold.0").stage == 2
    assert graph.node("sharing.trunk.1").tasks == ("price", "sold")  # grade's head reads an earlier stage
    assert ("sharing.trunk.0", "heads.task_grade") in graph.edges
    with pytest.raises(KeyError):
        graph.node("sharing.tails.task_grade.0")


def test_independent_tasks_share_nothing_but_their_inputs():
    graph = graph_of(blueprint("independent", "lenet", spec=PICTURE))
    assert all(len(node.tasks) == 1 for node in graph.nodes if node.kind != "input")
    assert graph.node("inputs.photo").shape == (1, 16, 16)
    assert graph.node("sharing.chains.task_price.0").shape == (3, 8, 8)


def test_the_columns_that_a_stage_reads_and_those_alone():
    spec = InputSpec(numbers=("a", "b"), categories=(("c", 3),), images={"left": (1, 16, 16), "right": (1, 16, 16)})
    graph = graph_of(blueprint("hard", "fusion", spec=spec))
    read = {one for one, other in graph.edges if other == "sharing.trunk.0"}
    assert read == {"inputs.<numbers>", "inputs.<categories>", "inputs.left", "inputs.right"}


def test_a_stage_that_hands_on_its_input_as_it_is():
    """The embedding of plain numbers is the very tensor that came in: it is a part all the same."""
    graph = graph_of(blueprint("hard", spec=InputSpec(numbers=("a", "b", "c"))))
    assert graph.node("sharing.trunk.0").parameters == 0
    assert graph.edges[:2] == (("inputs.<numbers>", "sharing.trunk.0"), ("sharing.trunk.0", "sharing.trunk.1"))
    assert graph.node("sharing.trunk.0").tasks == ("price", "sold", "grade")


def test_tasks_of_other_kinds_and_with_odd_names():
    kinds = {"who": Similarity("who", dim=3), "a-b": Classification("a-b")}
    spec = InputSpec(numbers=("a",), images={'"x-ray".<b>#1': (1, 16, 16)})
    graph = graph_of(blueprint("hard", "fusion", tasks={"x": (-1,)}, kinds=kinds, spec=spec))
    assert graph.node("tasks.who").shape == (3,)
    assert graph.node("heads.task_a-b").label == "head of a-b"
    assert '(["#34;x-ray#34;.#60;b#62;#35;1<br>1×16×16"])' in graph.to_mermaid()


# Schemes made for this test: everything that others may do.


class Odd(Sharing):
    """A scheme of one option at a time; experts are whole chains unless it says otherwise."""

    def __init__(self, make_encoder, tasks, generator, *, way: str = "mixture"):
        super().__init__(make_encoder, tasks, generator)
        self.way = way
        chains = [make_encoder(copy) for copy in range(2)]
        self.widths = tuple(chains[0].widths)
        self.experts = nn.ModuleList(chains)  # encoders whole, their stages run one by one
        self.gates = nn.ModuleDict({f"task_{task}": nn.Linear(3, 2) for task in tasks})
        self.scale = nn.Parameter(torch.ones(self.widths[-1]))
        self.critic = nn.Linear(4, 4)
        if way == "frozen":
            chains[0].requires_grad_(False)

    def forward(self, inputs, tasks):
        ends = [self.run(chain, inputs) for chain in self.experts]
        found = {}
        for task in tasks:
            gate = self.gates[f"task_{task}"](inputs[NUMBERS]).softmax(dim=1)
            last = sum(gate[:, e : e + 1] * ends[e][-1].values for e in range(2)) * self.scale
            if self.way == "one each":
                last = ends[list(self.tasks).index(task) % 2][-1].values * self.scale + 0 * gate.sum()
            found[task] = [*ends[0][:-1], Feature(last)]
        return found

    def run(self, chain, inputs):
        features, start = [], inputs
        for number, stage in enumerate(chain.stages):
            with torch.no_grad() if self.way == "no grad" and number == 0 else torch.enable_grad():
                start = stage(start)
            if self.way == "in place" and number == 1:
                start.values.mul_(2).add_(1)
            features.append(start)
        return features

    def task_parameters(self, task):
        return self.gates[f"task_{task}"].parameters()

    def penalty_parameters(self):
        return self.critic.parameters()


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setitem(SHARINGS, "odd", Odd)

    def traced(way, **settings):
        plan = blueprint({"odd": {"way": way}}, tasks={"price": (-1,), "sold": (-1,)}, **settings)
        return graph_of(plan), plan.build()

    return traced


@pytest.mark.parametrize("way", ["mixture", "frozen", "in place", "no grad"])
def test_a_mixture(odd, way):
    graph, model = odd(way)
    assert is_acyclic(graph)
    assert sum(node.parameters for node in graph.nodes) == count_parameters(model.parameters())
    into = {one for one, other in graph.edges if other == "heads.task_price"}
    assert into == {
        "sharing.experts.0.stages.2", "sharing.experts.1.stages.2", "sharing.gates.task_price", "sharing.scale"
    }  # fmt: skip
    for expert in (0, 1):
        first = f"sharing.experts.{expert}.stages.0"
        assert (first, f"sharing.experts.{expert}.stages.1") in graph.edges
        assert {one for one, other in graph.edges if other == first} == {"inputs.<numbers>", "inputs.<categories>"}
    assert {one for one, other in graph.edges if other == "sharing.gates.task_sold"} == {"inputs.<numbers>"}
    assert graph.node("sharing.gates.task_sold").tasks == ("sold",)
    assert graph.node("sharing.scale").tasks == ("price", "sold")
    assert graph.node("sharing.scale").kind == "mixer"
    assert graph.node("sharing.critic").tasks == ()
    assert not any("sharing.critic" in edge for edge in graph.edges)


def test_a_scheme_that_gives_each_task_one_expert(odd):
    graph, _ = odd("one each")
    assert graph.node("sharing.experts.0.stages.2").tasks == ("price",)
    assert graph.node("sharing.experts.1.stages.0").tasks == ("sold",)


class Repeats(Odd):
    """The last stage's layer is run for every task, and twice in a row."""

    def forward(self, inputs, tasks):
        found = {}
        for task in tasks:
            features = self.run(self.experts[0], inputs)
            for _ in range(2):
                features[-1] = Feature(self.mixer(features[-1].values))
            found[task] = features
        return found

    def __init__(self, make_encoder, tasks, generator):
        super().__init__(make_encoder, tasks, generator)
        self.mixer = nn.Linear(self.widths[-1], self.widths[-1])


def test_a_part_that_is_run_several_times_is_one(monkeypatch):
    monkeypatch.setitem(SHARINGS, "repeats", Repeats)
    graph = graph_of(blueprint("repeats", tasks={"price": (-1,), "sold": (-1,)}))
    assert graph.node("sharing.mixer").calls == 4
    assert graph.node("sharing.experts.0.stages.0").calls == 2
    assert [edge for edge in graph.edges if edge[1] == "sharing.mixer"] == [
        ("sharing.experts.0.stages.2", "sharing.mixer")
    ]
    assert is_acyclic(graph)


class First(Odd):
    """A head of each task that only its loss in training has, from a forward in training."""

    def __init__(self, make_encoder, tasks, generator):
        super().__init__(make_encoder, tasks, generator)
        self.first = nn.ModuleDict({f"task_{task}": nn.Linear(2, 1) for task in tasks})

    def task_parameters(self, task):
        return [*super().task_parameters(task), *self.first[f"task_{task}"].parameters()]


def test_a_part_that_only_training_runs_is_its_tasks_own(monkeypatch):
    monkeypatch.setitem(SHARINGS, "first", First)
    graph = graph_of(blueprint("first", tasks={"price": (-1,), "sold": (-1,)}))
    node = graph.node("sharing.first.task_sold")
    assert (node.tasks, node.calls, node.shape) == (("sold",), 0, None)
    assert not any(node.name in edge for edge in graph.edges)


class Tied(Odd):
    """The second expert's first layer is the first's."""

    def __init__(self, make_encoder, tasks, generator):
        super().__init__(make_encoder, tasks, generator)
        self.experts[1].stages[1].layers[0].weight = self.experts[0].stages[1].layers[0].weight


def test_a_parameter_of_two_parts_is_counted_once(monkeypatch):
    monkeypatch.setitem(SHARINGS, "tied", Tied)
    plan = blueprint("tied", tasks={"price": (-1,)})
    graph = graph_of(plan)
    assert sum(node.parameters for node in graph.nodes) == count_parameters(plan.build().parameters())
    assert ("sharing.experts.0.stages.1", "sharing.experts.1.stages.1") in graph.edges


class Inside(Odd):
    """Each stage's last layer has an adapter beside it, which runs in the midst of the stage."""

    def __init__(self, make_encoder, tasks, generator):
        super().__init__(make_encoder, tasks, generator)
        self.adapter = nn.Linear(self.widths[1], self.widths[1])
        layers = self.experts[0].stages[1].layers
        layers[0].register_forward_hook(lambda layer, args, output: output + self.adapter(output))


def test_a_part_that_runs_within_another_is_read_by_it(monkeypatch):
    monkeypatch.setitem(SHARINGS, "inside", Inside)
    graph = graph_of(blueprint("inside", tasks={"price": (-1,)}))
    stage = "sharing.experts.0.stages.1"
    assert {one for one, other in graph.edges if other == "sharing.adapter"} == {"sharing.experts.0.stages.0"}
    assert ("sharing.adapter", stage) in graph.edges
    assert graph.node("sharing.adapter").calls == 1
    assert is_acyclic(graph)


# Of a Run.


def test_a_run_has_one_and_stays_as_it_was(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2))
    houses = pd.DataFrame({"rooms": x[:, 0], "age": x[:, 1], "price": x.sum(axis=1), "sold": x[:, 0] > 0})
    tasks = [pt.Regression("price"), pt.Classification("sold")]
    trained = pt.fit(houses, tasks, sharing={"hard": {"split": 1}}, epochs=1, quiet=True, folder=tmp_path / "run")
    before = copy.deepcopy(trained.model().state_dict())
    said = trained.predict(houses)
    state = torch.get_rng_state()
    with torch.inference_mode():
        graph = trained.graph()
    assert torch.equal(torch.get_rng_state(), state)
    assert trained.predict(houses).equals(said)
    assert all(torch.equal(before[key], value) for key, value in trained.model().state_dict().items())
    assert not any(module._forward_hooks for module in trained.model().modules())
    assert graph == trained.graph(best_for="price")
    assert graph.to_json()["tasks"] == ["price", "sold"]


@pytest.mark.parametrize(
    ("name", "kind", "label"),
    [
        ("inputs.<categories>", "input", "categories"),
        ("inputs.x.y", "input", "x.y"),
        ("tasks.task_a", "task", "task_a"),
        ("heads.task_task_a", "head", "head of task_a"),
        ("sharing.gates.task_a.1", "mixer", "gates.a.1"),
    ],
)
def test_labels(name, kind, label):
    assert Node(name, kind).label == label
