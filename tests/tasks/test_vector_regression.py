import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

import polytask as pt
from polytask.data import Table, infer_kind_of_task
from polytask.errors import SchemaError
from polytask.feature import NUMBERS
from polytask.studies.baselines import fit_baseline
from polytask.studies.baselines.baseline import Rows
from polytask.studies.row_values import Judged
from polytask.tasks import Regression, VectorRegression

RNG = np.random.default_rng(0)
VALUES = RNG.normal([1.0, 100.0, -5.0], [0.1, 30.0, 2.0], (40, 3))
PRESENT = RNG.random((40, 3)) < 0.7


def lists(rows):
    cells = np.empty(len(rows), dtype=object)
    cells[:] = rows
    return cells


def task_of(**settings):
    return VectorRegression("v", columns=("a", "b", "c"), **settings)


def test_each_output_is_standardised_by_its_present_cells():
    fitted = task_of().fit(VALUES, PRESENT)
    for k in range(3):
        alone = Regression("a").fit(VALUES[:, k], PRESENT[:, k])
        assert [fitted[name][k] for name in ("mean", "sd", "median")] == pytest.approx(list(alone.values()))
    target, kept = task_of().encode(VALUES, PRESENT, fitted)
    assert torch.equal(kept, torch.from_numpy(PRESENT))
    for k in range(3):
        assert float(target[kept[:, k], k].std(correction=0)) == pytest.approx(1, rel=1e-5)


def test_a_common_scale_keeps_what_varies_more():
    fitted = task_of(scale="common").fit(VALUES, PRESENT)
    assert len(set(fitted["sd"])) == 1
    target, kept = task_of().encode(VALUES, PRESENT, fitted)
    assert float(target[kept].square().mean()) == pytest.approx(1, rel=1e-5)
    assert target[kept[:, 1], 1].std() > 10 * target[kept[:, 2], 2].std()


def test_metrics_are_those_of_scikit_learn():
    task, every = task_of(), np.ones_like(PRESENT)
    fitted = task.fit(VALUES, every)
    target, kept = task.encode(VALUES, every, fitted)
    output = target + torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    own = np.stack(list(task.decode(output, fitted).values()), axis=1)
    found = task.evaluate(output, target, kept, fitted)
    assert found["r2"] == pytest.approx(r2_score(VALUES, own), rel=1e-4)
    assert found["mse"] == pytest.approx(mean_squared_error(VALUES, own), rel=1e-4)
    assert found["rmse"] == pytest.approx(mean_squared_error(VALUES, own) ** 0.5, rel=1e-4)
    assert found["mae"] == pytest.approx(mean_absolute_error(VALUES, own), rel=1e-4)


def test_metrics_of_present_cells():
    task = task_of()
    fitted = task.fit(VALUES, PRESENT)
    target, kept = task.encode(VALUES, PRESENT, fitted)
    output = target + torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    own = np.stack(list(task.decode(output, fitted).values()), axis=1)
    found = task.evaluate(output, target, kept, fitted)
    by_output = [r2_score(VALUES[PRESENT[:, k], k], own[PRESENT[:, k], k]) for k in range(3)]
    assert found["r2"] == pytest.approx(np.mean(by_output), rel=1e-4)
    assert found["mae"] == pytest.approx(np.abs(VALUES - own)[PRESENT].mean(), rel=1e-4)
    # An output of one value has no R²: the others are judged.
    kept[1:, 0] = False
    assert task.evaluate(output, target, kept, fitted)["r2"] == pytest.approx(np.mean(by_output[1:]), rel=1e-4)


@pytest.mark.parametrize("metric", ["r2", "rmse", "mae", "mse"])
def test_row_values_have_the_metric_for_their_mean(metric):
    task = task_of(primary=metric)
    fitted = task.fit(VALUES, PRESENT)
    some = PRESENT.any(axis=1)
    target, kept = task.encode(VALUES[some], PRESENT[some], fitted)
    outputs = target + torch.randn(3, *target.shape, generator=torch.Generator().manual_seed(0))
    judged = Judged(task, fitted, np.flatnonzero(some), target, kept, None)
    values = judged.row_values(outputs)
    assert values.shape == (3, some.sum())
    np.testing.assert_allclose(values.mean(axis=1), [judged.score(output) for output in outputs], rtol=1e-6)


def test_lists_are_read_like_columns():
    task, every = VectorRegression("v"), np.ones(40, dtype=bool)
    cells = lists(np.where(PRESENT, VALUES, np.nan).tolist())
    fitted = task.fit(cells, every)
    assert fitted == task_of().fit(VALUES, PRESENT)
    target, kept = task.encode(cells, every, fitted)
    assert torch.equal(target, task_of().encode(VALUES, PRESENT, fitted)[0])
    assert torch.equal(kept, torch.from_numpy(PRESENT))
    assert list(task.decode(target, fitted)) == ["v[0]", "v[1]", "v[2]"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0], [1.0]], r"lists of 2 numbers are wanted, got 1 in row 1"),
        (
            [[1.0, 2.0], "a"],
            r"a list of numbers is wanted, got 'a' in row 1; several columns are named by columns=\[…\]",
        ),
        ([[1.0, 2.0], ["a", "b"]], r"a list of numbers is wanted, got \['a', 'b'\] in row 1"),
        ([[1.0, 2.0], [1.0, float("inf")]], r"a list of numbers is wanted, got \[1.0, inf\] in row 1; finite numbers"),
        ([[1.0, None], [2.0, None]], r"number 1 of the lists is missing in all training rows"),
    ],
)
def test_lists_that_cannot_be(rows, said):
    with pytest.raises(SchemaError, match=rf"task 'v' \(column 'v'\): {said}"):
        VectorRegression("v").fit(lists(rows), np.ones(2, dtype=bool))


def test_columns_that_cannot_be():
    words = np.array([[1.0, "x"], [2.0, 3.0]], dtype=object)
    with pytest.raises(SchemaError, match=r"task 'v' \(column 'b'\): a number is wanted, got 'x' in row 0"):
        VectorRegression("v", columns=["a", "b"]).fit(words, np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="a column is named twice"):
        VectorRegression("v", columns=["a", "a"])
    with pytest.raises(ValueError, match="not both"):
        VectorRegression("v", column="a", columns=["b", "c"])


def test_what_a_column_of_lists_suggests():
    frame = pd.DataFrame({"measured": [[0.5, 1.0], [1.0, 2.0]], "codes": [[1, 2], [2, 3]], "words": [["a"], ["b"]]})
    kinds = [infer_kind_of_task(Table.of(frame), column) for column in frame]
    assert kinds == ["vector_regression", "multilabel", "multilabel"]


def test_a_ridge_learns_it_an_output_each():
    x = RNG.normal(size=(60, 2)).astype(np.float32)
    values, present = x @ RNG.normal(size=(2, 3)) + 0.1 * RNG.normal(size=(60, 3)), RNG.random((60, 3)) < 0.8
    task = task_of()
    fitted = task.fit(values, present)
    rows = [
        Rows({NUMBERS: torch.from_numpy(x[part])}, *task.encode(values[part], present[part], fitted))
        for part in (slice(0, 40), slice(40, 60))
    ]
    found = fit_baseline("linear", task, fitted, *rows)
    output = found.outputs(rows[1].inputs)
    scaled = (x - x[:40].mean(axis=0)) / x[:40].std(axis=0)
    kept = present[:40, 1]
    one = Ridge(**found.setting).fit(scaled[:40][kept], rows[0].target[:, 1].numpy()[kept])
    np.testing.assert_allclose(output[:, 1], one.predict(scaled[40:]), rtol=1e-4, atol=1e-5)
    assert found.validation_skill > 0.9


def test_it_is_fitted_and_predicts(tmp_path):
    x = RNG.normal(size=200)
    frame = pd.DataFrame({"x": x, "z": RNG.normal(size=200), "a": 10 + 3 * x, "b": -x})
    frame.loc[::7, "b"] = np.nan
    frame["vector"] = np.stack([x, 2 * x], axis=1).tolist()
    tasks = [VectorRegression("v", columns=["a", "b"]), VectorRegression("vector")]
    run = pt.fit(frame, tasks, epochs=30, folder=tmp_path / "run", quiet=True, seed=0)
    assert list(run.predict(frame)) == ["v.a", "v.b", "vector[0]", "vector[1]"]
    scores = run.evaluate()
    assert min(scores[task.name]["r2"] for task in tasks) > 0.8
