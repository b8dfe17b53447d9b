import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.preprocessing import PowerTransformer

import polytask as pt
from polytask.errors import SchemaError
from polytask.studies.row_values import Judged
from polytask.tasks import Regression
from polytask.tasks.target_transform import TargetTransform

RNG = np.random.default_rng(0)
VALUES = RNG.lognormal(1, 1, 60)
ALL = np.ones(60, dtype=bool)
NAMES = ["log", "log1p", "box_cox", "yeo_johnson"]


@pytest.mark.parametrize("method", ["box-cox", "yeo-johnson"])
def test_the_power_is_that_of_the_highest_likelihood(method):
    found = TargetTransform.fit(method.replace("-", "_"), VALUES)
    reference = PowerTransformer(method, standardize=False).fit(VALUES[:, None])
    np.testing.assert_allclose(found(VALUES), reference.transform(VALUES[:, None])[:, 0], rtol=1e-7)
    likelihood = stats.boxcox_llf if method == "box-cox" else stats.yeojohnson_llf
    assert likelihood(found.power, VALUES) >= max(likelihood(found.power + step, VALUES) for step in (-0.05, 0.05))


@given(
    name=st.sampled_from(NAMES),
    power=st.floats(-2, 4) | st.sampled_from([0.0, 1.0, 2.0]),
    values=arrays(float, 5, elements=st.floats(0.01, 20)),
)
def test_the_inverse_is_the_way_back(name, power, values):
    found = TargetTransform(name, power, -1e9, 1e9)
    values = np.concatenate([values, -values]) if name == "yeo_johnson" else values
    # Compared as transformed: where a power has flattened the numbers, their last digits are gone.
    np.testing.assert_allclose(found(found.inverse(found(values))), found(values), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.inverse(found(values)), values, rtol=1e-5)
    assert (np.diff(found(np.sort(values))) >= 0).all()


def test_box_cox_is_scipys_inverse_too():
    found = TargetTransform.fit("box_cox", VALUES)
    np.testing.assert_allclose(found.inverse(found(VALUES)), special.inv_boxcox(found(VALUES), found.power), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("power", [-1.5, 0.0, 0.7, 3.0])
def test_predictions_stay_finite_and_near(name, power):
    found = TargetTransform(name, power, 0.0, 50.0)
    said = found.prediction(np.array([-np.inf, -1e300, 1e300, np.inf]))
    np.testing.assert_allclose(said, [0.0] * 2 + [50.0] * 2, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_of_transformed_numbers_and_metrics_in_own_units(name):
    task = Regression("y", transform=name)
    fitted = json.loads(json.dumps(task.fit(VALUES, ALL)))
    transformed = TargetTransform(**fitted["transform"])(VALUES)
    target, present = task.encode(VALUES, ALL, fitted)
    scaled = (transformed - transformed.mean()) / transformed.std()
    np.testing.assert_allclose(target, scaled, rtol=1e-5, atol=1e-6)
    output = target + 0.5 * torch.randn(60, generator=torch.Generator().manual_seed(0))
    total, count = task.loss(output, target, present, torch.ones(60))
    assert float(total / count) == pytest.approx(float((output - target).square().mean()))
    own = task.decode(output, fitted)["y"]
    found = task.evaluate(output, target, present, fitted)
    assert found["r2"] == pytest.approx(r2_score(VALUES, own), rel=1e-4)
    assert found["rmse"] == pytest.approx(mean_squared_error(VALUES, own) ** 0.5, rel=1e-4)
    assert found["mae"] == pytest.approx(mean_absolute_error(VALUES, own), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_constant_is_best_in_own_units(name):
    for primary, best in (("r2", VALUES.mean()), ("mae", np.median(VALUES))):
        task = Regression("y", transform=name, primary=primary)
        fitted = task.fit(VALUES, ALL)
        np.testing.assert_allclose(task.decode(task.constant(fitted, 2), fitted)["y"], [best] * 2, rtol=1e-5)


def test_row_values_are_in_own_units():
    task = Regression("y", transform="log", primary="rmse")
    fitted = task.fit(VALUES, ALL)
    target, present = task.encode(VALUES, ALL, fitted)
    outputs = target + torch.randn(2, 60, generator=torch.Generator().manual_seed(0))
    judged = Judged(task, fitted, np.arange(60), target, present, None)
    scores = [judged.score(output) for output in outputs]
    np.testing.assert_allclose(judged.row_values(outputs).mean(axis=1), scores, rtol=1e-6)


def test_a_target_beyond_the_predictions_range_is_judged_as_it_is():
    task = Regression("y", transform="log")
    fitted = task.fit(np.array([1.0, 2.0]), ALL[:2])
    target, present = task.encode(np.array([1000.0]), ALL[:1], fitted)
    assert task.decode(target, fitted)["y"].tolist() == [12.0]
    assert task.evaluate(target, target, present, fitted)["mae"] == pytest.approx(988, rel=1e-4)


@pytest.mark.parametrize(("name", "value", "lowest"), [("log", 0.0, 0), ("box_cox", -2.0, 0), ("log1p", -1.0, -1)])
def test_a_number_that_a_transform_does_not_take_is_named(name, value, lowest):
    said = (
        rf"task 'y' \(column 'y'\): transform='{name}' takes numbers > {lowest}, got {value:g} in row 1; transform='yeo"
    )
    with pytest.raises(SchemaError, match=said):
        Regression("y", transform=name).fit(np.array([1.0, value, 2.0]), np.array([True, True, True]))
    Regression("y", transform=name).fit(np.array([1.0, value, 2.0]), np.array([True, False, True]))


def test_a_constant_target_has_a_transform_too():
    task = Regression("y", transform="box_cox")
    fitted = task.fit(np.full(3, 2.0), ALL[:3])
    assert task.decode(torch.zeros(1), fitted)["y"].tolist() == [2.0]


def test_a_skewed_target_is_learnt_better(tmp_path):
    x = RNG.normal(size=400)
    frame = pd.DataFrame({"x": x, "y": np.exp(2 * x + 0.1 * RNG.normal(size=400))})
    run = pt.fit(frame, [Regression("y", transform="log")], epochs=60, folder=tmp_path / "run", quiet=True)
    assert (run.predict(frame)["y"] > 0).all()
    assert pt.load(tmp_path / "run", data=frame).evaluate()["y"]["r2"] > 0.5
