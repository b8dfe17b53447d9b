"""Classification: cross entropy, class weights, errors."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from polytask.config import build
from polytask.errors import ConfigError, SchemaError
from polytask.tasks import Classification

ALL = np.ones(4, dtype=bool)
BINARY = np.array([0, 1, 1, 1])
SEVERAL = np.array(["a", "b", "c", "a"])


def fitted_loss(task, values, output):
    fitted = task.fit(values, ALL)
    target, present = task.encode(values, ALL, fitted)
    return task.loss(output, target, present, task.cell_weight(target, present, fitted))


def test_binary_loss_is_torchs():
    logit = torch.tensor([0.3, -1.0, 2.0, 40.0])
    total, count = fitted_loss(Classification("a"), BINARY, logit)
    expected = functional.binary_cross_entropy_with_logits(logit, torch.from_numpy(BINARY).float())
    torch.testing.assert_close(total / count, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_loss_of_several_classes_is_torchs(smoothing, weight):
    logits = torch.randn(4, 3)
    task = Classification("a", label_smoothing=smoothing, class_weight=weight)
    total, count = fitted_loss(task, SEVERAL, logits)
    each = functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0]), label_smoothing=smoothing, reduction="none")
    # 4 rows of 3 classes: a comes twice.
    weights = torch.tensor([2 / 3, 4 / 3, 4 / 3, 2 / 3]) if weight else torch.ones(4)
    torch.testing.assert_close(total / count, (each * weights).sum() / weights.sum())


def test_smoothing_of_two_classes_is_that_of_two_logits():
    logit = torch.randn(4)
    total, _ = fitted_loss(Classification("a", label_smoothing=0.3), BINARY, logit)
    two = torch.stack([torch.zeros(4), logit], dim=1)
    torch.testing.assert_close(
        total, functional.cross_entropy(two, torch.from_numpy(BINARY), label_smoothing=0.3, reduction="sum")
    )


@pytest.mark.parametrize(
    ("values", "weight", "expected"),
    [
        (BINARY, "balanced", [2.0, 2 / 3, 2 / 3, 2 / 3]),
        (BINARY, {1: 5}, [1.0, 5.0, 5.0, 5.0]),
        (BINARY.astype(bool), {"True": 5}, [1.0, 5.0, 5.0, 5.0]),
        (BINARY == 1, {True: 5, False: 0}, [0.0, 5.0, 5.0, 5.0]),
        (SEVERAL, {"b": 0.5}, [1.0, 0.5, 1.0, 1.0]),
    ],
)
def test_class_weights(values, weight, expected):
    task = build(Classification, {"name": "a", "class_weight": weight})
    fitted = task.fit(values, ALL)
    target, present = task.encode(values, ALL, fitted)
    torch.testing.assert_close(task.cell_weight(target, present, fitted), torch.tensor(expected))


def test_the_constant_is_the_training_frequencies():
    task = Classification("a")
    assert task.constant({"classes": [0, 1], "counts": [1, 3]}, 2).tolist() == pytest.approx([math.log(3)] * 2)
    several = task.constant({"classes": [0, 1, 2], "counts": [1, 3, 4]}, 2)
    torch.testing.assert_close(several.softmax(dim=1), torch.tensor([[1 / 8, 3 / 8, 4 / 8]] * 2))


def test_two_classes_have_one_logit_and_their_own_metrics():
    task = Classification("a")
    binary, several = task.fit(BINARY, ALL), task.fit(SEVERAL, ALL)
    assert task.primary_metric(binary).name == "roc_auc"
    assert task.primary_metric(several).name == "accuracy"
    assert task.head(binary, [3]).layers[-1].out_features == 1
    assert task.head(several, [3]).layers[-1].out_features == 3


@pytest.mark.parametrize(
    ("settings", "values", "text"),
    [
        ({}, np.array([7, 7, 7, 7]), r"task 'a' \(column 'c'\): .*two classes or more.*one class only, 7"),
        ({"class_weight": {"d": 1.0}}, SEVERAL, r"class_weight names a class 'd' that is not there; known: a, b, c"),
        ({"class_weight": {"2": 1.0}}, BINARY, r"class_weight names a class '2' that is not there; known: 0, 1"),
        ({"primary": "roc_auc"}, SEVERAL, r"primary='roc_auc' does not fit 3 classes; known: \['accuracy'"),
        ({"primary": "macro_f1"}, BINARY, r"primary='macro_f1' does not fit 2 classes"),
    ],
)
def test_what_the_data_cannot_be(settings, values, text):
    with pytest.raises(SchemaError, match=text):
        Classification("a", column="c", **settings).fit(values, ALL)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"label_smoothing": 1.0}, r"task 'a': label_smoothing is in \[0, 1\), got 1.0"),
        ({"class_weight": {"x": -1}}, r"task 'a': class weights are finite and >= 0, got \{'x': -1.0\}"),
        ({"class_weight": "balance"}, r"did you mean 'balanced'|'balanced'"),
    ],
)
def test_settings_that_cannot_be(settings, text):
    with pytest.raises(ConfigError, match=text):
        build(Classification, {"name": "a", **settings})
