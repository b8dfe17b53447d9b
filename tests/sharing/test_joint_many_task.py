import gc
import weakref

import pytest
import torch
from torch import nn

import polytask as pt
from polytask.encoders import MLP
from polytask.feature import NUMBERS, Feature, InputSpec, OutputSpec
from polytask.model import Blueprint
from polytask.sharing import Hard, JointManyTask
from polytask.sharing.base import UNREAD

SPEC = InputSpec(numbers=("a", "b"))
INPUTS = {NUMBERS: torch.randn(5, 2, generator=torch.Generator().manual_seed(0))}
TASKS = {"tag": (0,), "chunk": (1,), "dep": (2,), "mean": (2,)}
KINDS = {
    "tag": (pt.Classification, {"classes": ["a", "b", "c"], "counts": [1, 1, 1]}),
    "chunk": (pt.Classification, {"classes": ["no", "yes"], "counts": [1, 1]}),
    "dep": (pt.Regression, {"mean": 0.0, "std": 1.0}),
    "mean": (pt.Regression, {"mean": 0.0, "std": 1.0}),
}


def make_encoder(copy):
    torch.manual_seed(copy)
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def model_of(tasks=TASKS, sharing=JointManyTask, **settings):
    """With every label embedding and shortcut drawn, so that what enters matters."""
    made = Blueprint(
        tasks=tuple(KINDS[name][0](name, reads=reads if len(reads) > 1 else reads[0]) for name, reads in tasks.items()),
        fitted={name: KINDS[name][1] for name in tasks},
        encoder=MLP.with_(widths=(8, 4), dropout=0.0),
        sharing=sharing.with_(**settings),
        spec=SPEC,
        seed=0,
    ).build()
    for name, parameter in sorted(made.named_parameters()):
        if any(part in name for part in ("shortcuts", "labels", "peers")):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(name)))
    return made.eval()


def test_it_starts_as_hard_sharing():
    ours = (
        Blueprint(
            tuple(KINDS[n][0](n, reads=r[0]) for n, r in TASKS.items()),
            {n: KINDS[n][1] for n in TASKS},
            MLP.with_(widths=(8, 4)),
            JointManyTask.with_(),
            SPEC,
            0,
        )
        .build()
        .eval()
    )
    hard = model_of(sharing=Hard)
    for name, output in ours(INPUTS).items():
        torch.testing.assert_close(output, hard(INPUTS)[name])


def test_what_enters_by_a_plain_computation():
    """Tag is read behind stage 0 and chunk behind stage 1; both enter what stage 2 is given, tag also what stage 1 is."""
    model = model_of()
    s = model.sharing
    h0 = s.trunk[0](INPUTS).values
    tag = model.heads["task_tag"]([Feature(h0)])
    label = s.labels
    h1 = s.trunk[1](Feature(h0 + tag.softmax(1) @ label["stage_0"]["task_tag"].weight.T)).values
    chunk = model.heads["task_chunk"]([UNREAD, Feature(h1)])
    given = h1 + h0 @ s.shortcuts["stage_1"].weight.T
    given = given + tag.softmax(1) @ label["stage_1"]["task_tag"].weight.T
    given = given + chunk.sigmoid().unsqueeze(1) @ label["stage_1"]["task_chunk"].weight.T
    h2 = s.trunk[2](Feature(given)).values
    outputs = model(INPUTS)
    torch.testing.assert_close(outputs["tag"], tag)
    torch.testing.assert_close(outputs["chunk"], chunk)
    torch.testing.assert_close(outputs["mean"], model.heads["task_mean"]([UNREAD, UNREAD, Feature(h2)]))


def test_tasks_of_equal_depth_see_each_other_only_in_an_order():
    assert model_of().sharing.outputs_read_by("mean") == ("tag", "chunk")
    model = model_of(order=["tag", "chunk", "dep", "mean"])
    assert model.sharing.outputs_read_by("mean") == ("tag", "chunk", "dep")
    features = model.sharing(INPUTS, ["dep", "mean"], lambda task, found: model.heads[f"task_{task}"](found))
    dep = model.heads["task_dep"](features["dep"])
    expected = features["dep"][2].values + dep.unsqueeze(1) @ model.sharing.peers["task_mean"]["task_dep"].weight.T
    torch.testing.assert_close(features["mean"][2].values, expected)


@pytest.mark.parametrize(
    "settings", [{}, {"order": ["tag", "chunk", "dep", "mean"]}, {"order": ["tag", "chunk", "mean", "dep"]}], ids=str
)
@pytest.mark.parametrize(
    "tasks", [TASKS, {"tag": (0,), "dep": (0, 2)}, {"tag": (1,), "chunk": (1,)}, {"mean": (2,)}], ids=str
)
def test_declared_parameters_of_the_whole_model_are_those_the_graph_reaches(tasks, settings):
    settings = {"order": [t for t in settings["order"] if t in tasks]} if settings else {}
    model = model_of(tasks, **settings)
    parameters = list(model.parameters())
    reached = {}
    for task in tasks:
        found = torch.autograd.grad(model(INPUTS)[task].square().sum(), parameters, allow_unused=True)
        reached[task] = {id(p) for p, g in zip(parameters, found, strict=True) if g is not None}
    counts = {id(p): sum(id(p) in found for found in reached.values()) for p in parameters}
    assert sorted(map(id, model.shared_parameters())) == sorted(p for p, n in counts.items() if n >= 2)
    for task in tasks:
        assert {id(p) for p in model.task_parameters(task)} == {p for p in reached[task] if counts[p] == 1}
    assert min(counts.values()) == 1


def test_every_way_of_differentiating_agrees_where_heads_are_shared(assert_paths_agree):
    model = model_of(order=["tag", "chunk", "dep", "mean"]).double()
    inputs = {NUMBERS: INPUTS[NUMBERS].double()}

    def losses():
        return {task: (output.sin() - 1).square().mean() for task, output in model(inputs).items()}

    for by_products in (None, True, False):
        assert_paths_agree(losses, list(model.shared_parameters()), by_products=by_products)


def test_a_task_alone_runs_the_heads_below_it_and_no_other():
    model = model_of()
    ran = []
    for name, head in model.heads.items():
        head.register_forward_hook(lambda *_, name=name: ran.append(name))
    assert list(model(INPUTS, ["dep"])) == ["dep"]
    assert ran == ["task_tag", "task_chunk", "task_dep"]
    ran.clear()
    together = model(INPUTS)
    assert sorted(ran) == sorted(model.heads)  # each once
    torch.testing.assert_close(model(INPUTS, ["dep"])["dep"], together["dep"])


def test_permuting_the_tasks_changes_nothing():
    one, other = model_of(), model_of(dict(reversed(TASKS.items())))
    other.load_state_dict(one.state_dict())
    for task in TASKS:
        torch.testing.assert_close(one(INPUTS)[task], other(INPUTS)[task])


def test_the_successive_penalty_holds_the_stages_that_ran():
    sharing = JointManyTask(make_encoder, TASKS, torch.Generator(), successive=0.5)
    sharing(INPUTS, ["dep"])
    assert sharing.penalties() == {}
    sharing.remember()
    with torch.no_grad():
        for parameter in sharing.trunk.parameters():
            parameter.add_(0.1)
    for task, depth in (("chunk", 2), ("dep", 3)):
        sharing.zero_grad(set_to_none=True)
        sharing(INPUTS, [task])
        found = sharing.penalties()["successive"]
        ran = list(sharing.trunk[:depth].parameters())
        assert found.item() == pytest.approx(0.5 * 0.01 * sum(p.numel() for p in ran), rel=1e-5)
        found.backward()
        assert all(torch.allclose(p.grad, torch.full_like(p, 0.1)) for p in ran)
        assert all(p.grad is None for p in sharing.trunk[depth:].parameters())
    sharing.eval()(INPUTS, ["dep"])
    assert sharing.penalties() == {}


def test_what_is_remembered_is_in_its_state():
    one, other = (JointManyTask(make_encoder, TASKS, torch.Generator(), successive=0.01) for _ in range(2))
    one.remember()
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(1.0)
    other.load_state_dict(one.state_dict())
    for sharing in (one, other):
        sharing(INPUTS, ["dep"])
    torch.testing.assert_close(one.penalties(), other.penalties())
    assert one.penalties()["successive"] > 0
    silent = JointManyTask(make_encoder, TASKS, torch.Generator())
    silent.remember()
    silent(INPUTS, ["dep"])
    assert silent.penalties() == {}


class Tokens(nn.Module):
    """Sequences through linear stages."""

    widths = (3, 2)

    def __init__(self, copy):
        super().__init__()
        torch.manual_seed(copy)
        self.stages = nn.ModuleList([Stage(3, 3), Stage(3, 3), Stage(3, 2)])
        self.widths = (3, 3, 2)


class Stage(nn.Linear):
    def forward(self, value):
        feature = Feature(value["tokens"], torch.tensor([[True, True, False]])) if isinstance(value, dict) else value
        return Feature(super().forward(feature.values), feature.mask)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_labels_enter_a_sequence_by_token_where_they_are_by_token(shape):
    sharing = JointManyTask(Tokens, {"tag": (1,), "mean": (2,)}, torch.Generator())
    sharing.expect_outputs({"tag": OutputSpec(shape, "softmax"), "mean": OutputSpec()})
    embed = sharing.labels["stage_1"]["task_tag"]
    nn.init.normal_(embed.weight)
    tokens, logits = torch.randn(1, 3, 3), torch.randn(1, *shape)
    found = sharing({"tokens": tokens}, ["mean"], lambda task, features: logits)["mean"]
    label = embed(logits.softmax(-1))
    given = found[1].values + (label if len(shape) == 2 else label.unsqueeze(1))
    torch.testing.assert_close(found[2].values, sharing.trunk[2](Feature(given)).values)
    assert found[2].mask.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"order": ["chunk", "tag", "dep", "mean"]},
            "joint_many_task: order puts 'chunk', read at stage 1, before 'tag', read at stage 0",
        ),
        ({"order": ["tag", "dep"]}, "joint_many_task: order=.* names every task once"),
        ({"successive": -1.0}, "joint_many_task: successive=-1.0, a number from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        JointManyTask(make_encoder, TASKS, torch.Generator(), **settings)


def test_a_forward_is_forgotten_without_a_garbage_collection():
    """A cycle among what it made would keep all its activations, on an accelerator for many steps."""
    model = model_of()
    gc.disable()
    try:
        outputs = model(INPUTS)
        seen = [weakref.ref(output) for output in outputs.values()]
        del outputs
        assert all(reference() is None for reference in seen)
    finally:
        gc.enable()


def test_padding_counts_in_no_prediction_that_is_pooled(chains):
    """A lower task that predicts by token, below a stage whose feature has no tokens."""

    class Pooling(nn.Module):
        def forward(self, source):
            return Feature(source.pooled()[:, :4])

    def make(copy):
        encoder = chains.tokens(copy)
        encoder.stages = nn.ModuleList([*encoder.stages, Pooling(), nn.Identity()])
        encoder.widths = (5, 4, 4, 4)
        return encoder

    tasks = {"tag": (1,), "kind": (2,), "mean": (3,)}
    sharing = JointManyTask(make, tasks, torch.Generator())
    sharing.expect_outputs(dict.fromkeys(tasks, OutputSpec((4,), "identity")))
    for parameter in sharing.labels.parameters():
        nn.init.ones_(parameter)
    found = [
        sharing.eval()(chains.sequences(padding), ["mean"], lambda task, own: own[-1].values)["mean"][-1].values
        for padding in (0.0, 9.0)
    ]
    torch.testing.assert_close(found[0], found[1])
