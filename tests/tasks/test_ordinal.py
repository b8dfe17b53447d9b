"""Ordinal: cumulative logits in order."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from polytask.config import build
from polytask.errors import ConfigError, SchemaError
from polytask.feature import Feature
from polytask.tasks import Ordinal

GRADES = np.array(["mid", "low", "high", "mid"], dtype=object)
ALL = np.ones(4, dtype=bool)


def test_loss_is_the_sum_of_the_questions():
    task = Ordinal("a")
    logits = torch.randn(3, 2)
    total, count = task.loss(logits, torch.tensor([0, 1, 2]), torch.ones(3, dtype=torch.bool), torch.ones(3))
    above = torch.tensor([[0.0, 0], [1, 0], [1, 1]])
    torch.testing.assert_close(total, functional.binary_cross_entropy_with_logits(logits, above, reduction="sum"))
    assert float(count) == 3


@given(counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=30).filter(any), seed=st.integers(0, 99))
def test_the_head_is_in_order_and_starts_at_the_training_frequencies(counts, seed):
    torch.manual_seed(seed)
    task = Ordinal("a")
    head = task.head({"classes": list(range(len(counts))), "counts": counts}, [3])
    logits = head([Feature(10 * torch.randn(5, 3))])
    assert (logits.diff(dim=1) <= 0).all()
    with torch.no_grad():
        head.score.layers[-1].weight.zero_()
        head.score.layers[-1].bias.zero_()
        start = head([Feature(torch.zeros(1, 3))])[0].sigmoid()
    smoothed = np.array(counts) + 1
    np.testing.assert_allclose(start, 1 - np.cumsum(smoothed)[:-1] / smoothed.sum(), rtol=1e-3, atol=1e-5)


@given(st.lists(st.lists(st.floats(-50, 50), min_size=4, max_size=4), min_size=1, max_size=8))
def test_probabilities_are_a_distribution_whatever_the_logits(rows):
    task, fitted = Ordinal("a"), {"classes": [1, 2, 3, 4, 5], "counts": [1] * 5}
    columns = np.stack(list(task.probabilities(torch.tensor(rows), fitted).values()), axis=1)
    assert (columns >= 0).all()
    np.testing.assert_allclose(columns.sum(axis=1), 1, rtol=1e-5)


def test_order_is_the_one_given():
    task = Ordinal("a", order=["low", "mid", "high"])
    fitted = task.fit(GRADES, ALL)
    assert fitted == {"classes": ["low", "mid", "high"], "counts": [1, 2, 1]}
    target, present = task.encode(np.array(["high", "top", "low", "mid"]), ALL, fitted)
    assert target.tolist() == [2, 0, 0, 1]
    assert present.tolist() == [True, False, True, True]


def test_numbers_are_ordered_by_value():
    assert Ordinal("a").fit(np.array([10.0, 9.0, 2.5, 9.0]), ALL)["classes"] == [2.5, 9, 10]
    assert Ordinal("a").fit(np.array([True, False, True, True]), ALL)["classes"] == [False, True]


def test_the_constant_is_the_median_or_under_accuracy_the_most_frequent():
    fitted = {"classes": [1, 2, 3, 4], "counts": [4, 3, 2, 2]}
    for primary, expected in ((None, 2), ("mean_rank_error", 2), ("accuracy", 1)):
        task = Ordinal("a", primary=primary)
        assert task.decode(task.constant(fitted, 2), fitted)["a"].tolist() == [expected] * 2


@pytest.mark.parametrize(
    ("order", "values", "text"),
    [
        (None, GRADES, r"task 'a' \(column 'a'\): texts such as 'high' have no order.*order=\['high', 'low', 'mid'\]"),
        (("low", "high"), GRADES, r"the class 'mid' is not in order=\['low', 'high'\]"),
        (("low", "Mid", "high"), GRADES, r"the class 'mid' is not in order=.*; did you mean 'Mid'\?"),
        (None, np.array([3, 3, 3, 3]), r"needs two classes or more, but the training rows hold one class only, 3"),
    ],
)
def test_what_the_data_cannot_be(order, values, text):
    with pytest.raises(SchemaError, match=text):
        Ordinal("a", order=order).fit(values, ALL)


@pytest.mark.parametrize("order", [(), ("low",), ("low", "low"), (1, 1.0)])
def test_an_order_that_cannot_be(order):
    with pytest.raises(ValueError, match=r"task 'a': order names two classes or more, each once"):
        Ordinal("a", order=order)


def test_balanced_classes():
    task = Ordinal("a", order=["low", "mid", "high", "top"], class_weight="balanced")
    fitted = task.fit(GRADES, ALL)
    assert fitted["counts"] == [1, 2, 1, 0]
    target = torch.arange(4)
    found = task.cell_weight(target, torch.ones(4, dtype=torch.bool), fitted)
    torch.testing.assert_close(found, torch.tensor([4 / 3, 2 / 3, 4 / 3, 1]))
    assert Ordinal("a").cell_weight(target, target >= 0, fitted).tolist() == [1.0] * 4
    with pytest.raises(ConfigError, match=r"class_weight.*'balanced'"):
        build(Ordinal, {"name": "a", "class_weight": "even"})
