"""Models and the blueprints they are built from."""

import json

import numpy as np
import pytest
import torch
from every_sharing import inputs_for
from torch import nn

from polytask.config import as_choice
from polytask.encoders import ENCODERS
from polytask.feature import InputSpec, SequenceSpec
from polytask.model import Blueprint, count_parameters, read_tasks, seed_of, written_tasks
from polytask.sharing import SHARINGS
from polytask.tasks import Classification, Multilabel, Ordinal, Regression, Similarity

SPEC = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5), ("e", 4)))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})
BOTH = InputSpec(numbers=("a", "b", "c"), images={"photo": (1, 16, 16)})
SPECS = {"lenet": PICTURE, "fusion": BOTH, "conv1d": InputSpec(sequences={"words": SequenceSpec(num_codes=9)})}
TASKS = (
    Regression("price"),
    Classification("sold", hidden=(6,)),
    Ordinal("grade", order=["low", "mid", "high"], reads=0),
)


def fitted_of(tasks):
    cells = {
        "regression": np.array([1.0, 2.0, 4.0, 0.5]),
        "classification": np.array(["x", "y", "x", "y"], dtype=object),
        "ordinal": np.array(["low", "mid", "high", "low"], dtype=object),
        "multilabel": np.array([[0.0, 1], [1, 0], [1, 1], [0, 0]]),
        "similarity": np.array(["ann", "bob", "ann", "bob"], dtype=object),
    }
    return {t.name: t.fit(cells[t.kind], np.ones(cells[t.kind].shape, dtype=bool)) for t in tasks}


def blueprint(tasks=TASKS, *, encoder="mlp", sharing="hard", seed=0):
    name = encoder if isinstance(encoder, str) else next(iter(encoder))
    return Blueprint(
        tasks=tuple(tasks),
        fitted=fitted_of(tasks),
        encoder=as_choice(encoder, ENCODERS, "encoder"),
        sharing=as_choice(sharing, SHARINGS, "sharing"),
        spec=SPECS.get(name, SPEC),
        seed=seed,
    )


def same_parameters(one: nn.Module, other: nn.Module):
    pairs = zip(one.named_parameters(), other.named_parameters(), strict=True)
    assert all(a == b and torch.equal(p, q) for (a, p), (b, q) in pairs)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("sharing", ["hard", "independent", {"hard": {"split": 1}}], ids=str)
def test_a_twin_starts_from_the_same_trunk_and_head(encoder, sharing):
    tasks = [Regression("price"), Classification("sold", hidden=(6,)), Regression("age")]
    together = blueprint(tasks, encoder=encoder, sharing=sharing, seed=4).build().eval()
    inputs = inputs_for(SPECS.get(encoder, SPEC))
    for task in tasks:
        twin = blueprint([task], encoder=encoder, sharing=sharing, seed=4).build().eval()
        same_parameters(twin.heads, nn.ModuleDict({f"task_{task.name}": together.heads[f"task_{task.name}"]}))
        assert torch.equal(twin(inputs)[task.name], together(inputs)[task.name])


def test_the_order_of_tasks_changes_no_weight():
    one, other = blueprint().build().eval(), blueprint(TASKS[::-1]).build().eval()
    outputs = one(inputs_for(SPEC)), other(inputs_for(SPEC))
    assert list(outputs[1]) == [t.name for t in TASKS[::-1]]
    assert all(torch.equal(outputs[0][t.name], outputs[1][t.name]) for t in TASKS)


def test_another_seed_is_another_model_and_tasks_have_heads_of_their_own():
    one, other = blueprint(seed=0).build(), blueprint(seed=1).build()
    assert not torch.equal(next(iter(one.shared_parameters())), next(iter(other.shared_parameters())))
    two = blueprint([Regression("price"), Regression("age")]).build()
    weights = [next(two.heads[f"task_{name}"].parameters()) for name in ("price", "age")]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_building_draws_nothing_from_the_global_state(encoder, sharing):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    try:
        blueprint([Regression("price"), Regression("age")], encoder=encoder, sharing=sharing).build()
    except ValueError as error:
        assert f"sharing {sharing!r}" in str(error)  # noqa: PT017  # a scheme that this encoder has no parts for
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_building_seeds_no_accelerator(monkeypatch):
    seeded = []
    for module in (torch.cuda, torch.xpu):
        monkeypatch.setattr(module, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.mps, "manual_seed", seeded.append)
    blueprint().build()
    assert seeded == []


@pytest.mark.gpu
def test_building_draws_nothing_from_the_accelerator():
    device = torch.accelerator.current_accelerator()
    before = torch.get_device_module(device).get_rng_state()
    blueprint().build()
    assert torch.equal(before, torch.get_device_module(device).get_rng_state())


@pytest.mark.parametrize(
    ("encoder", "sharing"),
    [
        ("mlp", "hard"),
        ({"mlp": {"widths": [8, 4], "dropout": 0.25, "numbers": "plr"}}, {"hard": {"split": 1}}),
        ("resnet", "independent"),
        ("lenet", "hard"),
        ("fusion", "hard"),
    ],
    ids=str,
)
def test_json_round_trip(encoder, sharing):
    tasks = [
        Regression("price", weight="w", hidden=(8, 4)),
        Classification("sold", column="sold in 30 days", after=["price"], reads=(0, -1)),
        Ordinal("grade", order=["low", "mid", "high"]),
        Similarity("who", dim=3, margin=0.5),
        Multilabel("labels", columns=["l1", "l2"]),
    ]
    one = blueprint(tasks, encoder=encoder, sharing=sharing, seed=7)
    text = json.dumps(one.to_json(), allow_nan=False)
    other = Blueprint.from_json(json.loads(text))
    assert other == one
    assert json.dumps(other.to_json()) == text
    assert list(one.build().state_dict()) == list(other.build().state_dict())
    same_parameters(one.build(), other.build())
    assert read_tasks(written_tasks(tasks)) == tuple(tasks)


@pytest.mark.parametrize("sharing", ["hard", "independent", {"hard": {"split": 1}}], ids=str)
def test_names_that_modules_have_for_themselves(sharing):
    names = ["type", "values", "keys", "train", "forward", "parameters", "items", "0", "für-1", "__class__", "heads"]
    model = blueprint([Regression(name) for name in names], sharing=sharing).build().eval()
    outputs = model(inputs_for(SPEC))
    assert list(outputs) == names
    assert all(output.shape == (6,) for output in outputs.values())
    owned = {name: {id(p) for p in model.task_parameters(name)} for name in names}
    assert sum(len(ids) for ids in owned.values()) == len(set().union(*owned.values()))
    fresh = blueprint([Regression(name) for name in names], sharing=sharing, seed=1).build().eval()
    fresh.load_state_dict(model.state_dict())
    assert all(torch.equal(fresh(inputs_for(SPEC))[name], outputs[name]) for name in names)


def test_only_what_was_asked_for():
    model = blueprint().build().eval()
    assert list(model(inputs_for(SPEC), ["sold"])) == ["sold"]
    assert model.tasks == ("price", "sold", "grade")


@pytest.mark.parametrize("sharing", SHARINGS)
def test_every_parameter_is_shared_or_one_tasks_own(sharing):
    model = blueprint(encoder={"mlp": {"batch_norm": True}}, sharing=sharing).build()
    shared = list(model.shared_parameters())
    own = [p for task in model.tasks for p in model.task_parameters(task)]
    rest = list(model.sharing.penalty_parameters())
    assert sorted(map(id, [*shared, *own, *rest])) == sorted(id(p) for p in model.parameters())
    assert count_parameters(shared) + count_parameters([*own, *rest]) == count_parameters(model.parameters())
    assert count_parameters([*shared, *shared]) == count_parameters(shared)


def test_a_head_that_reads_an_early_stage():
    tasks = [Regression("early", reads=0), Regression("late"), Regression("both", reads=(0, -1))]
    model = blueprint(tasks, encoder={"mlp": {"widths": [8, 4]}}).build()
    widths = model.sharing.widths
    sizes = {name: model.heads[f"task_{name}"].layers[0].in_features for name in model.tasks}
    assert sizes == {"early": widths[0], "late": widths[-1], "both": widths[0] + widths[-1]}


def test_a_stage_that_is_not_there():
    with pytest.raises(ValueError, match="task 'price' reads stage 9, but the encoder has 3 stages"):
        blueprint([Regression("price", reads=9)], encoder={"mlp": {"widths": [8, 4]}}).build()


def test_seeds_of_purposes():
    seeds = [
        seed_of(0, "head", "a"),
        seed_of(0, "head", "b"),
        seed_of(0, "heada"),
        seed_of(1, "head", "a"),
        seed_of(0, "h", "eada"),
    ]
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(0, "training") == 586867452603190690, "the same on every machine, in every version"
