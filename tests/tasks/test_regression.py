"""Regression: standardised loss, the target's own units outside, errors that name the cell."""

import datetime
from decimal import Decimal

import numpy as np
import pytest
import torch
from torch.nn import functional

from polytask.errors import SchemaError
from polytask.tasks import Regression

VALUES = np.array([1.0, 2.0, 3.0, 10.0])
ALL = np.ones(4, dtype=bool)


@pytest.mark.parametrize(
    ("criterion", "reference"),
    [
        ("mse", functional.mse_loss),
        ("mae", functional.l1_loss),
        ("huber", lambda o, t: functional.huber_loss(o, t, delta=0.7)),
    ],
)
def test_loss_is_of_standardised_targets(criterion, reference):
    task = Regression("a", criterion=criterion, delta=0.7)
    target, present = task.encode(VALUES, ALL, task.fit(VALUES, ALL))
    scaled = torch.from_numpy((VALUES - VALUES.mean()) / VALUES.std()).float()
    torch.testing.assert_close(target, scaled)
    output = torch.randn(4)
    total, count = task.loss(output, target, present, torch.ones(4))
    torch.testing.assert_close(total / count, reference(output, scaled))


def test_predictions_are_in_the_targets_own_units():
    task = Regression("a")
    fitted = task.fit(VALUES, ALL)
    target, _ = task.encode(VALUES, ALL, fitted)
    found = task.decode(target, fitted)["a"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, VALUES, rtol=1e-6)


def test_large_offsets_keep_their_digits():
    values = 1e9 + VALUES
    task = Regression("a")
    fitted = task.fit(values, ALL)
    target, _ = task.encode(values, ALL, fitted)
    np.testing.assert_allclose(task.decode(target, fitted)["a"] - 1e9, VALUES, atol=1e-5)


def test_the_constant_is_the_mean_or_under_mae_the_median():
    fitted = Regression("a").fit(VALUES, ALL)
    for primary, expected in (("r2", 4.0), ("rmse", 4.0), ("mae", 2.5)):
        task = Regression("a", primary=primary)
        np.testing.assert_allclose(task.decode(task.constant(fitted, 2), fitted)["a"], [expected] * 2, rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, 5.0, 1e-300, -7e8])
def test_one_value_has_deviation_one(value):
    fitted = Regression("a").fit(np.full(1001, value), np.ones(1001, dtype=bool))
    assert fitted["sd"] == 1.0
    assert fitted["mean"] == pytest.approx(value)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2, 3, 10], dtype=np.int16),
        np.array(["1", "2.0", "3e0", " 10 "]),
        np.array(["1", 2.0, "3", True], dtype=object),
        np.array([1, 2.0, Decimal(3), np.float32(10)], dtype=object),
        np.array([True, False, True, True]),
    ],
)
def test_what_is_a_number(values):
    assert Regression("a").fit(values, ALL)["mean"] == pytest.approx(np.mean([float(v) for v in values]))


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("cheap", "'cheap'"),
        ("1_000", "'1_000'"),
        ("inf", "'inf'"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (np.nan, "nan"),
        (b"1", "b'1'"),
        ([1.0], r"\[1\.0\]"),
        (1j, "1j"),
        (datetime.date(2024, 1, 2), "datetime.date"),
        pytest.param(10**400, "1000", id="huge"),
    ],
)
@pytest.mark.parametrize("call", ["fit", "encode"])
def test_what_is_no_number(cell, shown, call):
    values = np.empty(4, dtype=object)
    values[:] = [1.0, None, 2.0, cell]
    present = np.array([True, False, True, True])
    task = Regression("a", column="c")
    with pytest.raises(SchemaError, match=rf"task 'a' \(column 'c'\): .*number is wanted, got {shown}.* in row 3;"):
        task.fit(values, present) if call == "fit" else task.encode(values, present, task.fit(VALUES, ALL))


def test_the_word_is_named_not_the_numbers_it_made_texts():
    with pytest.raises(SchemaError, match=r"got 'n/a' in row 2;"):
        Regression("a").fit(np.array(["1.5", "2", "n/a", "x"], dtype=object), ALL)


def test_infinity_in_an_array_of_numbers():
    with pytest.raises(SchemaError, match=r"a finite number is wanted, got inf in row 1;"):
        Regression("a").fit(np.array([1.0, np.inf, 2.0, 3.0]), ALL)


def test_dates_are_no_numbers():
    with pytest.raises(SchemaError, match=r"a number is wanted, got datetime.date\(2024, 1, 1\) in row 0"):
        Regression("a").fit(np.array(["2024-01-01"] * 4, dtype="datetime64[D]"), ALL)


def test_numbers_too_large_to_be_squared():
    with pytest.raises(SchemaError, match=r"too large to be squared \(up to 1e\+300\)"):
        Regression("a").fit(np.array([1.0, 2.0, 3.0, 1e300]), ALL)


@pytest.mark.parametrize("settings", [{"delta": 0.0}, {"delta": float("inf")}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match=r"task 'a': delta is a number > 0"):
        Regression("a", **settings)
