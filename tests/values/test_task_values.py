"""Outputs and targets in; loss, metric, skill and the best constant out: a row for every kind of task, worked by hand."""

import math

import numpy as np
import pytest
import torch

from polytask.ragged import as_padded
from polytask.tasks import TASKS, Classification, Multilabel, Ordinal, Regression, Similarity, Tagging, VectorRegression

LOG = math.log


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def lists(*cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


#: task, training cells, output, (Σ loss, count), primary metric, its value, skill; targets are the training cells
ROWS = [
    (
        # CE of softmax(log p) is -log p of the true class; the constant predicts "b" (2 of 3).
        Classification("c"),
        np.array(["a", "b", "b", "c"], dtype=object),
        [[LOG(0.5), LOG(0.25), LOG(0.25)], [LOG(0.1), LOG(0.8), LOG(0.1)], [LOG(0.6), LOG(0.2), LOG(0.2)], [0, 0, LOG(2)]],
        (LOG(2) - LOG(0.8) - LOG(0.2) + LOG(2), 4),
        ("accuracy", 3 / 4, (3 / 4 - 1 / 2) / (1 - 1 / 2)),
    ),
    (
        # Of the 2·2 pairs of a positive and a negative, 3 are in order; a constant orders none: 0.5.
        Classification("c"),
        np.array([0, 0, 1, 1]),
        [0.0, 2.0, 1.0, 3.0],
        (-LOG(1 - sigmoid(0)) - LOG(1 - sigmoid(2)) - LOG(sigmoid(1)) - LOG(sigmoid(3)), 4),
        ("roc_auc", 0.75, 0.5),
    ),
    (
        # y = 1, 3, 5: mean 3, sd sqrt(8/3). Outputs 0 say 3 for all: R² 0, standardised squared error 1 a row.
        Regression("r"),
        np.array([1.0, 3.0, 5.0]),
        [0.0, 0.0, 0.0],
        (3.0, 3),
        ("r2", 0.0, 0.0),
    ),
    (
        # MAE as primary: the constant is the median 2 (errors 1, 0, 6 -> 7/3); perfect outputs give skill 1.
        Regression("r", primary="mae", criterion="mae"),
        np.array([1.0, 2.0, 8.0]),
        [(1 - 11 / 3) / math.sqrt(86 / 9), (2 - 11 / 3) / math.sqrt(86 / 9), (8 - 11 / 3) / math.sqrt(86 / 9)],
        (0.0, 3),
        ("mae", 0.0, 1.0),
    ),
    (
        # Two labels; label one in perfect order, label two upside down: macro AUC (1 + 0)/2. BCE of logit 0 is log 2.
        Multilabel("m", columns=("one", "two")),
        np.array([[0, 1], [1, 0]]),
        [[0.0, 0.0], [1.0, 1.0]],
        (LOG(2) + LOG(2) - LOG(sigmoid(1)) - LOG(1 - sigmoid(1)), 4),
        ("macro_roc_auc", 0.5, 0.0),
    ),
    (
        # P(y>0), P(y>1) of logits (2, -2), (2, 2), (-2, -2): ranks 1, 2, 0 for 1, 2, 0: kappa 1.
        Ordinal("o"),
        np.array([1, 2, 0]),
        [[2.0, -2.0], [2.0, 2.0], [-2.0, -2.0]],
        (-6 * LOG(sigmoid(2)), None),
        ("quadratic_kappa", 1.0, 1.0),
    ),
    (
        # Embeddings on a line at 0, 1, 3; pairs: (0,1) alike d=1; (0,2) d=3 and (1,2) d=2 not, beyond the margin 2.5 / within.
        # Hadsell: y d²/2 + (1-y) max(0, m-d)²/2 = 1/2 + 0 + 0.5²/2. Every alike pair is nearer: AUC 1.
        Similarity("s", dim=1, normalize=False, margin=2.5, balance_pairs=False),
        np.array(["x", "x", "z"], dtype=object),
        [[0.0], [1.0], [3.0]],
        (0.5 + 0.125, 3),
        ("roc_auc", 1.0, 1.0),
    ),
    (
        # Two outputs of mean 2 and 20, sd 1 and 10. The first is right (R² 1), the second says its mean (R² 0).
        VectorRegression("v", columns=("x", "y")),
        np.array([[1.0, 10.0], [3.0, 30.0]]),
        [[-1.0, 0.0], [1.0, 0.0]],
        (2.0, 4),
        ("r2", 0.5, 0.5),
    ),
    (
        # Tags B-x, I-x, O are 0, 1, 2. Predicted: x of tokens 0-1 (right), and O where x is: 1 of 1 found, 2 wanted:
        # F1 2/3. Always I-x: spans 0-2 and the second row's 0, which is right: 2/(2 + 2) is the best constant's.
        Tagging("g"),
        lists(["B-x", "I-x", "O"], ["B-x"]),
        [[[LOG(2), 0, 0], [0, LOG(2), 0], [0, 0, LOG(2)]], [[0, 0, LOG(2)], [9, 9, 9], [9, 9, 9]]],
        (3 * LOG(2) + LOG(4), 4),
        ("span_f1", 2 / 3, (2 / 3 - 1 / 2) / (1 - 1 / 2)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "cells", "output", "loss", "judged"), ROWS, ids=lambda value: getattr(value, "kind", "")
)
def test_known_values(task, cells, output, loss, judged):
    present = np.ones(cells.shape, dtype=bool)
    fitted = task.fit(cells, present)
    target, mask = map(as_padded, task.encode(cells, present, fitted))
    outputs = torch.tensor(output, dtype=torch.float32)
    total, count = task.loss(outputs, target, mask, torch.ones(mask.shape))
    assert float(total) == pytest.approx(loss[0], abs=1e-5)
    if loss[1] is not None:
        assert float(count) == loss[1]
    metric, value, skill = judged
    assert task.primary_metric(fitted).name == metric
    found = task.evaluate(outputs, target, mask, fitted)[metric]
    constant = task.primary_metric(fitted).score(task.constant(fitted, len(cells)), target, mask, fitted)
    assert found == pytest.approx(value, abs=1e-5)
    assert task.skill(found, constant, fitted) == pytest.approx(skill, abs=1e-5)


def test_every_kind_has_a_row():
    assert {type(row[0]) for row in ROWS} == set(TASKS.values())
