"""Tuning, choosing and training: by validation rows alone, the same for all, nothing twice, test rows last."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import RunError
from polytask.studies import session
from polytask.studies.conduct import best_of
from polytask.studies.settings import StudySettings
from polytask.studies.units import companion_units, first_units, parameters_of


@pytest.fixture
def trainings(monkeypatch) -> Counter:
    """How often each folder's Run was trained."""
    import polytask.studies.bench as bench

    run, found = bench.run, Counter()

    def counted(experiment, *, folder, **settings):
        found[folder.as_posix().rpartition("/runs/")[2]] += 1
        return run(experiment, folder=folder, **settings)

    monkeypatch.setattr(bench, "run", counted)
    return found


def turned(rows=240):
    """What is learnt from training and validation rows is wrong on test rows."""
    g = np.random.default_rng(0)
    frame = pd.DataFrame(g.normal(size=(rows, 2)), columns=["a", "b"])
    frame["part"] = (["train"] * 3 + ["valid", "test"]) * (rows // 5)
    sign = np.where(frame["part"] == "test", -1, 1)
    for name, column in (("price", "a"), ("tax", "b")):
        frame[name] = sign * 2 * frame[column] + 0.3 * g.normal(size=rows)
    return frame


def test_a_grid_is_tried_by_all_alike_and_chosen_by_validation_rows(study, trainings):
    rates = (0.0001, 0.05)
    tasks = [pt.Regression("price"), pt.Regression("tax")]
    found = study(
        turned(), tasks, ["sum", {"tasks": {"price": {"hidden": [4]}}}], split={"column": "part"},
        grid={"learning_rate": rates}, epochs=3, batch_size=16,
    )  # fmt: skip
    # Tried once each, under the first seed; the chosen one's trial is one of its three Runs.
    assert set(trainings.values()) == {1}
    runs = found.results["runs"]
    assert sorted(f"runs/{name}" for name in trainings) == sorted(run["folder"] for run in runs)
    units = Counter((run["arm"], run["task"]) for run in runs)
    assert set(units.values()) == {3 + 1}
    assert len(units) == 2 + 4
    assert {arm["settings_tried"] for arm in found.results["arms"]} == {2}
    assert found.results["design"]["settings_tried"] == 2
    for unit in units:
        mine = [run for run in runs if (run["arm"], run["task"]) == unit]
        tried = {run["setting"]["learning_rate"]: run["validation"] for run in mine if run["seed"] == 0}
        assert set(tried) == set(rates)
        main = {run["setting"]["learning_rate"] for run in mine if run["is_main"]}
        assert main == {max(tried, key=tried.get)}
        arm = next(arm for arm in found.results["arms"] if arm["name"] == unit[0])
        setting = arm["setting"][unit[1]] if unit[1] else arm["setting"]
        assert setting["learning_rate"] in main
        # Planted: on test rows the least trained would have been the best.
        assert max(main) > 0.0001
    for arm in found.results["arms"]:
        assert arm["scores"]["price"]["skill"] < -0.1
    for run in runs:
        loaded = pt.load(found.path / run["folder"])
        assert (loaded.metrics["test_opened"] is not None) == run["is_main"]
        assert (loaded.path / "predictions/test.parquet").exists() == run["is_main"]


def test_no_test_row_is_read_before_all_is_trained_and_chosen(study, monkeypatch):
    seen = []
    open_all = session._Session._open

    def looked(self, *given):
        runs = [pt.load(path.parent) for path in self.folder.path.glob("runs/**/run.json")]
        seen.append((len(runs), given[-1].chosen))
        assert all(run.metrics["test"] is None and run.metrics["test_opened"] is None for run in runs)
        assert not list(self.folder.path.glob("runs/**/predictions/test.parquet"))
        return open_all(self, *given)

    monkeypatch.setattr(session._Session, "_open", looked)
    found = study(candidates=["sum", "pcgrad"], companions=("placebo",), epochs=1)
    assert seen == [(6 + 6 + 6, found.verdict.candidate)]
    for run in found.results["runs"]:
        assert pt.load(found.path / run["folder"]).metrics["test_opened"] is not None


def test_test_labels_change_nothing_but_the_answer(study, houses, tmp_path):
    from polytask.data import SplitSettings, Table, make_split

    tasks = [pt.Regression("price"), pt.Classification("sold")]
    parts = make_split(Table.of(houses), tasks, SplitSettings())
    names = np.array(["train", "valid", "test"])
    houses["part"] = names[[0 if r in set(parts.rows("train")) else 1 if r in set(parts.rows("validation")) else 2 for r in range(240)]]  # fmt: skip
    other = houses.copy()
    rows = parts.rows("test")
    other.loc[rows, "price"] = other.loc[rows, "price"].to_numpy()[::-1]
    settings = {
        "split": {"column": "part"},
        "grid": {"learning_rate": (0.01, 0.1)},
        "baselines": ("linear",),
        "seeds": 1,
    }
    one, two = study(houses, folder="one", **settings), study(other, folder="two", **settings)
    for run in one.results["runs"]:
        weights = [(s.path / run["folder"] / "weights/mean.safetensors").read_bytes() for s in (one, two)]
        assert weights[0] == weights[1]
    for key in ("validation_skill", "setting"):
        assert [arm[key] for arm in one.results["arms"]] == [arm[key] for arm in two.results["arms"]]
    assert one.results["arms"][0]["scores"]["price"] != two.results["arms"][0]["scores"]["price"]
    assert one.results["arms"][0]["scores"]["sold"] == two.results["arms"][0]["scores"]["sold"]


def test_the_first_of_equal_candidates_is_chosen():
    nan = float("nan")
    assert best_of({"a": 0.1, "b": 0.3, "c": 0.3}, {}) == "b"
    assert best_of({"a": nan, "b": -3.0}, {}) == "b"
    with pytest.raises(RunError, match=r"no candidate has a skill on validation rows"):
        best_of({"a": nan}, {})


def test_parameters_that_are_shared(setup):
    made = setup()
    data = made.data(made.splits())
    candidate, *twins = first_units(made.candidates, made.settings, data)
    total, shared = parameters_of(candidate, data)
    alone = [parameters_of(unit, data) for unit in twins]
    assert [s for _, s in alone] == [0, 0]
    assert shared > 0
    assert sum(t for t, _ in alone) == total + shared


def test_twins_of_equal_parameters(setup):
    made = setup(encoder={"mlp": {"widths": [64, 32]}})
    data = made.data(made.splits())
    candidate = first_units(made.candidates, made.settings, data)[0]
    units = companion_units(candidate, StudySettings(companions=("equal_parameters", "placebo")), data)
    assert [unit.arm for unit in units] == ["placebo"] * 2 + ["twins of equal parameters"] * 2
    equal = sum(parameters_of(unit, data)[0] for unit in units[2:])
    assert equal == pytest.approx(parameters_of(candidate, data)[0], rel=0.03)
    assert {unit.role for unit in units} == {"companion"}
