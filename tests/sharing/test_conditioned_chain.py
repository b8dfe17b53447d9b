"""What all schemes promise that condition one trunk on the task."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError

#: Scheme and settings.
SCHEMES = [
    ("film", {}),
    ("film", {"stages": (0, 2)}),
    ("residual_adapters", {}),
    ("residual_adapters", {"bottleneck": 2}),
    ("lora", {"rank": 2}),
    ("mixture_of_lora", {"experts": 2, "rank": 4}),
    ("preference_conditioned", {}),
    ("preference_conditioned", {"stage": 2}),
    ("rotograd", {}),
    ("task_norm", {}),
]
#: Those whose own parts a task has to itself.
OWNED = [scheme for scheme in SCHEMES if scheme[0] in ("film", "residual_adapters", "lora", "task_norm")]
STAGED = ("film", "residual_adapters", "lora", "mixture_of_lora")


@pytest.fixture(params=SCHEMES, ids=str)
def scheme(request):
    return request.param


@pytest.mark.parametrize("is_training", [False, True])
def test_it_starts_as_hard_sharing_bit_for_bit(conditioned, scheme, is_training):
    encoder = conditioned.make_normed if scheme[0] == "task_norm" else conditioned.make_encoder
    one, hard = conditioned.build(*scheme), conditioned.build("hard", encoder=encoder)
    found, expected = (conditioned.outputs(s.train(is_training)) for s in (one, hard))
    for task in conditioned.tasks:
        assert all(map(torch.equal, found[task], expected[task]))


def test_away_from_the_start_tasks_see_other_features(conditioned, scheme):
    sharing = conditioned.disturb(conditioned.build(*scheme)).eval()
    found = conditioned.outputs(sharing)
    if scheme[0] != "preference_conditioned":
        assert not torch.equal(found["x"][-1], found["y"][-1])
    assert all(value.isfinite().all() for values in found.values() for value in values)


@pytest.mark.parametrize("scheme", OWNED, ids=str)
def test_with_the_trunk_frozen_no_task_changes_another(conditioned, scheme, train_alone):
    sharing = conditioned.build(*scheme)
    for parameter in sharing.shared_parameters():
        parameter.requires_grad_(False)
    before = conditioned.outputs(sharing.eval())
    train_alone(sharing, "x")
    after = conditioned.outputs(sharing)
    assert not torch.equal(before["x"][-1], after["x"][-1])
    for task in ("y", "z"):
        assert all(map(torch.equal, before[task], after[task]))


def test_what_comes_before_the_first_conditioned_stage_runs_once(conditioned):
    sharing = conditioned.build("film", {"stages": (-1,)})
    runs = []
    for stage, module in enumerate(sharing.chain.trunk):
        module.register_forward_hook(lambda *_, stage=stage: runs.append(stage))
    found = sharing(conditioned.inputs, ["x", "y", "z"])
    assert runs == [0, 1, 2, 2, 2]
    assert found["x"][1].values is found["y"][1].values


def test_every_way_of_differentiating_gives_the_same_gradients(conditioned, scheme, assert_paths_agree):
    sharing = conditioned.disturb(conditioned.build(*scheme).double()).train()
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in conditioned.inputs.items()}
    heads = {task: torch.nn.Linear(4, 1).double() for task in conditioned.tasks}

    def losses():
        if hasattr(sharing, "num_draws"):
            sharing.num_draws.zero_()  # the same preference
        features = sharing(inputs, list(heads))
        return {task: (head(features[task][-1].values) - 1).square().mean() for task, head in heads.items()}

    shared = list(sharing.shared_parameters())
    for by_products in (None, True, False):
        for batched in (None, False):
            assert_paths_agree(losses, shared, by_products=by_products, batched=batched)
    assert_paths_agree(losses, shared, chunk=20)


@pytest.mark.parametrize("name", STAGED)
@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ((3,), "there is no stage 3: the encoder has 3 stages, 0 to 2, or -1 to -3 from the end"),
        ((-4,), "there is no stage -4"),
        ((2, -1), "names a stage twice"),
        ((), "conditions none"),
    ],
)
def test_stages_that_cannot_be_are_refused(conditioned, name, stages, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        conditioned.build(name, {"stages": stages})
    assert f"sharing {name!r}" in str(error.value)


def test_an_encoder_of_one_stage_is_conditioned_there(conditioned):
    def alone(copy):
        return pt.encoders.MLP(conditioned.spec, widths=())

    sharing = conditioned.build("film", encoder=alone)
    assert [p.shape[0] for p in sharing.task_parameters("x")] == [10, 10]


#: In a process of its own, where no call is checked for its shapes: what checks cannot be compiled.
COMPILE = """
import sys
import json
import conftest, torch
for name, settings in json.loads(sys.argv[1]):
    torch.compiler.reset()
    sharing = conftest.disturb(conftest.build(name, settings)).train()
    compiled = torch.compile(sharing, backend="eager")
    for _ in range(2):
        features = compiled(conftest.INPUTS, ["x", "y"])
        sum(features[task][-1].values.sin().mean() for task in features).backward()
    if name == "rotograd":
        sharing.take_in()
        assert sharing.penalties()["rotation"] != 0
    if name == "preference_conditioned":
        assert int(sharing.num_draws) == 2
    one, other = (model.eval()(conftest.INPUTS, ["x", "y"]) for model in (compiled, sharing))
    for task in one:
        torch.testing.assert_close(one[task][-1].values, other[task][-1].values)
"""


@pytest.mark.slow
def test_it_compiles():
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, json.dumps(SCHEMES)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_it_exports(conditioned, scheme):
    sharing = conditioned.disturb(conditioned.build(*scheme)).eval()

    class Alone(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sharing = sharing

        def forward(self, numbers, categories):
            inputs = dict(zip(conditioned.inputs, (numbers, categories), strict=True))
            features = self.sharing(inputs, ["x", "z"])
            return features["x"][-1].values, features["z"][-1].values

    given = tuple(conditioned.inputs.values())
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(Alone(), given, dynamic_shapes=({0: rows}, {0: rows}))
    again = exported.module()(*(torch.cat([value, value]) for value in given))
    for value, expected in zip(again, Alone()(*given), strict=True):
        torch.testing.assert_close(value, torch.cat([expected, expected]))


@pytest.mark.parametrize("name", sorted({name for name, _ in SCHEMES}))
def test_it_trains_and_predicts_from_the_door(name, tmp_path):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(80, 3)), columns=["a", "b", "c"])
    table["price"] = table["a"] - table["b"] + 0.1 * generator.normal(size=80)
    table["sold"] = np.where(table["a"] + table["c"] > 0, "yes", "no")
    table.loc[::5, "price"] = np.nan
    table.loc[1::7, "sold"] = None
    run = pt.fit(
        table,
        [pt.Regression("price"), pt.Classification("sold")],
        encoder={"mlp": {"widths": [8, 4], "batch_norm": True}},
        sharing={name: {"rank": 2}} if name == "lora" else name,
        balancer="cosmos" if name == "preference_conditioned" else "sum",
        folder=tmp_path / "run",
        quiet=True,
        epochs=2,
        batch_size=32,
    )
    predicted = run.predict(table)
    assert len(predicted) == 80
    assert pt.load(run.path).predict(table).equals(predicted)
    assert "\n" in (run.path / "citations.bib").read_text()


@pytest.mark.parametrize("name", ["preference_conditioned", "rotograd"])
@pytest.mark.parametrize("how", ["tables", "alternating"])
def test_schemes_that_compare_tasks_on_a_row_refuse_rows_of_their_own(name, how, tmp_path):
    frame = pd.DataFrame({"a": np.arange(40.0), "price": np.arange(40.0), "age": np.arange(40.0)})
    own = {"price": frame[["a", "price"]], "age": frame[["a", "age"]]}
    with pytest.raises(ConfigError, match=f"sharing '{name}'.*one table with agenda 'joint' would work"):
        pt.fit(
            own if how == "tables" else frame,
            [pt.Regression("price"), pt.Regression("age")],
            sharing=name,
            balancer="cosmos" if name == "preference_conditioned" else "sum",
            agenda="joint" if how == "tables" else "alternating",
            folder=tmp_path / "run",
            quiet=True,
            epochs=1,
        )
