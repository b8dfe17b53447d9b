"""Twins, placebos, the points of a grid and the Runs that they make."""

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.config import Choice
from polytask.data import fit_task
from polytask.encoders import MLP
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import make_blueprint, run
from polytask.sharing import Hard
from polytask.studies.data import View
from polytask.studies.plan import (
    Job,
    Unit,
    candidate_units,
    check_grid,
    check_labels,
    placebo_units,
    settings_of_grid,
    twin_of,
    twin_units,
)
from polytask.studies.units import first_units


def units_of(setup, candidates, **experiment):
    made = setup(settings={"candidates": candidates}, **experiment)
    data = made.data(made.splits())
    found = candidate_units(made.candidates, data)
    return found, twin_units(found, data), data


def model_of(unit, data, seed=5):
    sources, given = data.view(unit.view, 0, unit.experiment, "")
    table = sources["all"].table
    fitted = {t.name: fit_task(table, t, given.splits["all"].rows("train")) for t in unit.experiment.tasks}
    job = Job(unit, seed)
    return make_blueprint(job.experiment, fitted, given.preprocessor.spec, [list(fitted)]).build()


# Twins ---------------------------------------------------------------------------------------------------------------


def test_a_twin_is_the_same_experiment_with_one_task(setup):
    candidates, twins, _ = units_of(setup, ["pcgrad"], early_stopping={"per_task": True, "by": "sold"}, ema=0.9)
    (own,) = candidates
    for unit, task in zip(twins, own.experiment.tasks, strict=True):
        twin = unit.experiment
        assert twin.tasks == (task,)
        assert twin.data == own.experiment.data
        assert twin.encoder == own.experiment.encoder
        assert twin.seed == own.experiment.seed
        assert twin.train.early_stopping == pt.EarlyStopping()
        assert (twin.sharing.constructor.__name__, twin.balancer.constructor.__name__) == ("Hard", "Sum")
        assert (twin.train.ema, twin.train.learning_rate) == (0.9, own.experiment.train.learning_rate)
        assert unit.of == ("pcgrad",)
        assert "price" not in twin.data.inputs
        assert "sold" not in twin.data.inputs


@pytest.mark.parametrize("beside", [False, True])
def test_a_twin_has_the_encoder_that_its_task_has_to_itself(setup, beside):
    chosen = {"own_encoders": {"encoders": {"sold": {"resnet": {"width": 5, "blocks": 1}}}, "beside": beside}}
    candidates, twins, data = units_of(setup, [{"sharing": chosen}])
    found = {unit.task: unit.experiment.encoder for unit in twins}
    model = candidates[0].experiment.encoder
    assert found["price"] == model
    assert (found["sold"] == model) == beside
    if not beside:
        together, alone = (
            model_of(unit, data).state_dict() for unit in (candidates[0], next(u for u in twins if u.task == "sold"))
        )
        own = [value for name, value in together.items() if "chains.task_sold" in name]
        assert own
        assert all(any(a.shape == b.shape and torch.equal(a, b) for b in alone.values()) for a in own)


def test_a_twin_starts_from_the_trunk_of_its_candidate(setup):
    candidates, twins, data = units_of(setup, [{"sharing": Hard.with_(split=2)}])
    shared = model_of(candidates[0], data).state_dict()
    for unit in twins:
        alone = model_of(unit, data).state_dict()
        trunk = [name for name in alone if name in shared and "sharing" in name]
        assert trunk
        for name in trunk:
            assert torch.equal(alone[name], shared[name]), name
        heads = [name for name in alone if f"task_{unit.task}" in name]
        assert heads
        assert all(torch.equal(alone[name], shared[name]) for name in heads)


def test_whole_trunks_are_equal_where_all_is_shared(setup):
    candidates, twins, data = units_of(setup, ["sum"])
    shared = dict(model_of(candidates[0], data).sharing.named_parameters())
    for unit in twins:
        alone = dict(model_of(unit, data).sharing.named_parameters())
        assert alone.keys() == shared.keys()
        assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_candidates_that_only_share_otherwise_have_the_same_twins(setup):
    candidates, twins, _ = units_of(
        setup, ["sum", "pcgrad", {"sharing": Hard.with_(split=1)}, {"gradients": {"chunk": 2}}]
    )
    assert {unit.arm for unit in twins} == {"twins"}
    assert [unit.task for unit in twins] == ["price", "sold"]
    assert {unit.of for unit in twins} == {tuple(unit.arm for unit in candidates)}


def test_candidates_that_differ_in_what_a_twin_has_get_their_own(setup):
    _, twins, _ = units_of(
        setup,
        {
            "a": "sum",
            "b": {"encoder": MLP.with_(widths=(6,))},
            "c": {"train": {"learning_rate": 0.5}},
            "d": "pcgrad",
            "e": {"tasks": {"price": {"hidden": [3]}}},
        },
    )
    of = {unit.arm: unit.of for unit in twins}
    assert of == {"twins of a": ("a", "d"), "twins of b": ("b",), "twins of c": ("c",), "twins of e": ("e",)}
    assert len(twins) == 8
    assert twins[2].experiment.encoder == Choice(MLP, {"widths": (6,)})


def test_a_twin_takes_batches_as_large_as_the_candidates_where_it_has_the_rows(setup, houses):
    houses.loc[20:, "price"] = np.nan
    candidates, twins, data = units_of(setup, ["sum"], data=houses, batch_size=None)
    by_task = {unit.task: unit.experiment.train.batch_size for unit in twins}
    rows = int(data.labelled(data.tasks[0])[data.splits[0]["all"].rows("train")].sum())
    assert by_task == {"price": rows, "sold": candidates[0].experiment.train.batch_size_for(168)}
    assert rows < 32


def test_a_grid_of_batch_sizes_and_of_stopping_fits_the_twins_too(setup, houses):
    houses.loc[20:, "price"] = np.nan
    _, twins, _ = units_of(setup, ["sum"], data=houses)
    twin = next(unit for unit in twins if unit.task == "price")
    setting = {"batch_size": 64, "early_stopping": {"patience": 3, "by": "sold", "per_task": True}}
    found = Job(twin, 3, 0, setting).experiment
    assert found.train.batch_size == twin.experiment.train.batch_size < 32
    assert found.train.early_stopping == pt.EarlyStopping(patience=3)
    assert found.seed == 3


@pytest.mark.parametrize(("part", "says"), [("train", "training"), ("valid", "validation")])
def test_a_task_that_could_not_be_trained_alone_is_refused(setup, houses, part, says):
    houses["part"] = (["train"] * 4 + ["valid", "test"]) * 40
    houses.loc[houses["part"] == part, "price"] = np.nan
    made = setup(houses, split={"column": "part"})
    data = made.data(made.splits())
    with pytest.raises(SchemaError, match=rf"task 'price' \(column 'price'\): none of the {says} rows has a label"):
        first_units(made.candidates, made.settings, data)
    with pytest.raises(SchemaError):
        check_labels(data)


def test_a_planted_leak_does_not_reach_a_twin(tmp_path):
    """The partner's target is the own one: whoever read it would be perfect."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 2)), columns=["a", "b"])
    frame["price"] = generator.normal(size=200)
    frame["copy"] = frame["price"]
    study = pt.study(
        frame, [pt.Regression("price"), pt.Regression("copy")], folder=tmp_path / "s", seeds=3, epochs=3, jobs=0,
        baselines=("linear",), learning_rate=0.05, batch_size=32, quiet=True,
    )  # fmt: skip
    for arm in ("sum", "twins", "linear"):
        assert study.leaderboard.loc[arm, "price"] < 0.3
    for found in study.runs("twins"):
        assert found.blueprint.spec.numbers == ("a", "b")


def test_a_twin_trains_on_the_rows_that_have_its_label_with_the_candidates_preprocessing(finished, houses):
    for task in ("price", "sold"):
        labelled = set(np.flatnonzero(houses[task].notna()))
        for seed in range(3):
            twin = pt.load(finished.path / f"runs/twins-of-sum/{task}/seed-{seed}")
            shared = pt.load(finished.path / f"runs/sum/seed-{seed}")
            for part in ("train", "validation", "test"):
                assert set(twin.split().rows(part)) == set(shared.split().rows(part)) & labelled
            for name in ("preprocessing.json", "preprocessing.safetensors"):
                paths = [r.path / "preprocessing" / name for r in (twin, shared)]
                assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_twin_of_the_only_task_is_the_candidate(study, monkeypatch):
    # A study of one task is refused; let through, it shows that candidate and twin differ in nothing but the sharing.
    monkeypatch.setattr("polytask.studies.setup._check_tasks", lambda *_: None)
    for place in ("units", "conduct"):
        monkeypatch.setattr(f"polytask.studies.{place}.shares", lambda *_: True)
    found = study(tasks=[pt.Classification("sold")], seeds=2)
    for one, other in zip(found.runs("sum"), found.runs("twins"), strict=True):
        frames = [pd.read_parquet(run.path / "predictions/validation.parquet") for run in (one, other)]
        pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
        for name in ("weights/mean.safetensors", "predictions/test.parquet"):
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes()
    assert found.verdict["sold"].difference == 0
    assert found.verdict.mean is None


def test_a_candidates_run_is_the_run_that_fit_makes(finished, houses, tasks, tmp_path):
    plain = run(Job(units_in(finished), 0).experiment, data=houses, folder=tmp_path / "run", quiet=True)
    shared = finished.runs("sum")[0]
    assert (plain.path / "weights/mean.safetensors").read_bytes() == (
        shared.path / "weights/mean.safetensors"
    ).read_bytes()


def units_in(finished):
    from polytask.experiment import Experiment
    from polytask.yaml_file import read_yaml

    values, place = read_yaml(finished.path / "runs/sum/seed-0/config.yaml")
    return Unit("sum", "candidate", View("all"), Experiment.read(values, place))


# Placebos ------------------------------------------------------------------------------------------------------------


def test_a_placebo_stops_by_its_own_task(setup):
    candidates, _, data = units_of(setup, ["pcgrad"], early_stopping={"per_task": True, "patience": 4})
    found = placebo_units(candidates[0], data)
    assert [(u.arm, u.task, u.of, u.view.kind) for u in found] == [
        ("placebo", "price", ("pcgrad",), "placebo"),
        ("placebo", "sold", ("pcgrad",), "placebo"),
    ]
    assert [u.experiment.train.early_stopping for u in found] == [
        pt.EarlyStopping(patience=4, by="price"),
        pt.EarlyStopping(patience=4, by="sold"),
    ]
    assert found[0].experiment.tasks == candidates[0].experiment.tasks


# The grid ------------------------------------------------------------------------------------------------------------


def test_points_of_a_grid():
    assert settings_of_grid({}) == [{}]
    found = settings_of_grid({"learning_rate": (0.1, 0.01), "ema": (None, 0.9)})
    assert [tuple(point.values()) for point in found] == [(0.1, None), (0.1, 0.9), (0.01, None), (0.01, 0.9)]


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"learning_rate": (0.1,)}, r"study.grid.learning_rate: two different values or more are wanted, got \[0.1\]"),
        ({"learning_rate": (0.1, 0.1)}, r"study.grid.learning_rate: two different values"),
        ({"learnign_rate": (1,)}, r"study.grid: 'learnign_rate' is no setting of train; did you mean 'learning_rate'"),
        ({"learning_rate": (0.1, -1.0)}, r"learning_rate=-1.0: a number above 0"),
        ({"epochs": (1, "many")}, r"epochs.*'many'"),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(experiment, grid, says):
    with pytest.raises(ConfigError, match=says):
        check_grid(experiment(), grid)


def test_jobs_and_their_folders(setup):
    candidates, twins, _ = units_of(setup, ["sum"])
    jobs = [Job(unit, seed, 0, {"learning_rate": 0.01}) for seed in (3, 4) for unit in (*candidates, *twins)]
    assert [job.folder for job in jobs[:3]] == [
        "runs/sum/learning_rate=0.01/seed-3",
        "runs/twins/price/learning_rate=0.01/seed-3",
        "runs/twins/sold/learning_rate=0.01/seed-3",
    ]
    assert jobs[0].experiment.train.learning_rate == 0.01
    resplit = [Job(candidates[0], 0, split, {}, True) for split in (0, 1)]
    assert [job.folder for job in resplit] == ["runs/sum/split-0/seed-0", "runs/sum/split-1/seed-0"]
    assert len({job.mark("study") for job in (*jobs, *resplit)}) == 8
    assert jobs[0].mark("study") != jobs[0].mark("another")


def test_twin_of_keeps_what_several_divisions_leave(setup, houses):
    made = setup(houses, settings={"resplits": 3})
    data = made.data(made.splits())
    (own, _) = data.tasks
    rows = [data.labelled(own)[split["all"].rows("train")].sum() for split in data.splits]
    twin = twin_of(candidate_units(made.candidates, data)[0].experiment, own, data)
    assert twin.train.batch_size == 32 <= min(rows)
