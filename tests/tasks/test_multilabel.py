"""Multilabel: columns of 0 and 1, or one column of lists."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from polytask.config import build, plain
from polytask.errors import ConfigError, SchemaError
from polytask.tasks import Multilabel


def lists(*cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


@pytest.mark.parametrize(
    "values",
    [
        np.array([[1, 0], [0, 1], [1, 1]]),
        np.array([[1.0, 0.0], [np.nan, 1.0], [1.0, 1.0]]),
        np.array([[True, False], [False, True], [True, True]]),
        np.array([[1, False], [None, 1.0], [np.int8(1), True]], dtype=object),
    ],
)
def test_columns_of_zero_and_one(values):
    task = Multilabel("a", columns=["p", "q"])
    present = np.array([[True, True], [False, True], [True, True]])
    fitted = task.fit(values, present)
    assert fitted == {"labels": ["p", "q"], "positives": [2, 2], "present": [2, 3]}
    target, kept = task.encode(values, present, fitted)
    assert target.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert kept.tolist() == present.tolist()
    logits = torch.randn(3, 2)
    total, count = task.loss(logits, target, kept, torch.ones(3, 2))
    torch.testing.assert_close(total / count, functional.binary_cross_entropy_with_logits(logits[kept], target[kept]))


def test_a_column_of_lists():
    task = Multilabel("a", column="tags")
    values = lists(["x", "y"], (), {"y"}, None, np.array(["z", "z"]))
    present = np.array([True, True, True, False, True])
    fitted = task.fit(values, present)
    assert fitted == {"labels": ["x", "y", "z"], "positives": [1, 2, 1], "present": [4, 4, 4]}
    target, kept = task.encode(lists(["y", "new"], ["z"]), np.array([True, False]), fitted)
    assert target.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert kept.tolist() == [[True] * 3, [False] * 3]
    assert list(task.decode(torch.zeros(1, 3), fitted)) == ["a.x", "a.y", "a.z"]


def test_balanced_classes_are_balanced_label_by_label():
    task = build(Multilabel, {"name": "a", "columns": ["p", "q", "all"], "class_weight": "balanced"})
    values = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1], [0, np.nan, 1]])
    present = ~np.isnan(values)
    fitted = task.fit(values, present)
    target, kept = task.encode(values, present, fitted)
    weight = task.cell_weight(target, kept, fitted)
    expected = torch.tensor([[2, 3 / 4, 1], [2 / 3, 3 / 4, 1], [2 / 3, 3 / 2, 1], [2 / 3, 3 / 4, 1]])
    torch.testing.assert_close(weight, expected)
    plain_task = Multilabel("a", columns=["p", "q", "all"])
    assert plain_task.cell_weight(target, kept, fitted).unique().tolist() == [1.0]
    with pytest.raises(ConfigError, match=r"class_weight.*'balanced'"):
        build(Multilabel, {"name": "a", "class_weight": "even"})


def test_labels_of_lists_may_be_numbers():
    fitted = Multilabel("a").fit(lists([10, 9], [np.int64(9)], [2.0]), np.ones(3, dtype=bool))
    assert fitted["labels"] == [2, 9, 10]


def test_columns_are_the_column_or_those_given():
    assert Multilabel("a").columns == ("a",)
    assert Multilabel("a", column="c").columns == ("c",)
    assert Multilabel("a", columns=("c", "d")).columns == ("c", "d")
    for task in (Multilabel("a"), Multilabel("a", column="c"), Multilabel("a", columns=("c", "d"))):
        assert build(Multilabel, plain(task)) == task
    with pytest.raises(ValueError, match=r"task 'a': give column='c' or columns=\['d', 'e'\], not both"):
        Multilabel("a", column="c", columns=("d", "e"))
    with pytest.raises(ValueError, match=r"a column is named twice"):
        Multilabel("a", columns=("d", "d"))


@pytest.mark.parametrize(
    ("columns", "values", "text"),
    [
        (["p", "q"], np.array([[1, 0], [0, 2]]), r"task 'a' \(column 'q'\): a label is 0 or 1 .* got .*2.* in row 1"),
        (["p", "q"], np.array([["yes", "no"]] * 2, dtype=object), r"column 'p'.* got 'yes' in row 0"),
        (["p", "q"], np.array([["1", "0"]] * 2, dtype=object), r"column 'p'.* got '1' in row 0"),
        (["p", "q"], np.array([[1, 0], [1, 0]]), r"column 'p' and 1 more.*every label is the same"),
        (["p", "q"], np.zeros((2, 3)), r"cells of shape \[rows, 2\] are wanted, got \[2, 3\]"),
        (["p"], np.zeros((2, 2)), r"cells of shape \[rows\] of lists are wanted, got \[2, 2\]"),
        (["p"], lists("x y", "z"), r"a cell is a list of labels, got 'x y' in row 0"),
        (["p"], lists([], []), r"every label"),
    ],
)
def test_what_the_data_cannot_be(columns, values, text):
    with pytest.raises(SchemaError, match=text):
        Multilabel("a", columns=columns).fit(values, np.ones(values.shape, dtype=bool))


def test_a_label_missing_everywhere_is_kept():
    task = Multilabel("a", columns=["p", "q"])
    present = np.array([[True, False]] * 4)
    fitted = task.fit(np.array([[0.0, np.nan], [1, np.nan]] * 2), present)
    assert fitted["present"] == [4, 0]
    assert torch.isfinite(task.constant(fitted, 3)).all()
