"""Feature selection from the user's door: said, stored, applied when predicting; twins choose for themselves."""

import numpy as np
import pytest

import polytask as pt
from polytask.data import Preprocessor, Split
from polytask.errors import ConfigError


@pytest.fixture
def noisy(houses):
    rng = np.random.default_rng(1)
    return houses.assign(**{f"noise{k}": rng.normal(size=len(houses)) for k in range(4)})


@pytest.mark.parametrize("method", ["mutual_information", "multi_task_lasso"])
def test_a_run_reads_what_was_selected(fit, noisy, method, capsys):
    trained = fit(noisy, preprocess={"select": {"method": method, "keep": 2}}, quiet=False)
    said = capsys.readouterr().err
    assert "selected 2 input columns, left out 6: " in said
    loaded = Preprocessor.load(trained.path / "preprocessing")
    assert "rooms" in loaded.columns
    assert len(loaded.columns) == 2
    assert len(loaded.unselected) == 6
    asked = noisy[list(loaded.columns)]
    assert len(pt.load(trained.path).predict(asked)) == len(noisy)


def test_tables_of_their_own(fit, noisy):
    tables = {"price": noisy.drop(columns="sold"), "sold": noisy.drop(columns="price")}
    trained = fit(tables, preprocess={"select": {"keep": 3, "per": "task"}})
    assert 3 <= len(Preprocessor.load(trained.path / "preprocessing").columns) <= 6


def test_errors_at_the_door(fit, noisy):
    with pytest.raises(ConfigError, match="keep=0: a number of columns >= 1 or a share"):
        fit(noisy, preprocess={"select": {"keep": 0}})
    with pytest.raises(ConfigError, match="unknown key 'kep'"):
        fit(noisy, preprocess={"select": {"kep": 1}})


def test_a_twin_selects_for_its_own_task(noisy):
    from polytask.experiment import experiment_from
    from polytask.studies.data import StudyData, View

    noisy["price"] = noisy["noise0"]
    experiment = experiment_from(
        [pt.Regression("price"), pt.Classification("sold")],
        inputs=[column for column in noisy if column not in ("price", "sold")],
        preprocess={"select": {"keep": 1}},
    )
    split = Split(np.resize([0, 0, 1, 2], len(noisy)).astype(np.int8))
    data = StudyData({"all": pt.Table(noisy)}, experiment.tasks, [{"all": split}], [])
    read = [data.view(View("alone", task), 0, experiment, "")[1].preprocessor.columns for task in ("price", "sold")]
    assert [set(columns) for columns in read] == [{"noise0"}, {"rooms"}]
