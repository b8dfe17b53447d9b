"""Classes are one class however a reader wrote them."""

import datetime
import json

import numpy as np
import pytest

from polytask.errors import SchemaError
from polytask.tasks import Classification
from polytask.tasks.classes import as_array, class_key, natural

WAYS = [
    np.array([0, 1, 1]),
    np.array([0, 1, 1], dtype=np.int8),
    np.array([0.0, 1.0, 1.0]),
    np.array([0.0, 1.0, 1.0], dtype=np.float32),
    np.array([False, True, True]),
    np.array(["0", "1", "1"]),
    np.array(["0", "1", "1"], dtype=object),
    np.array([0, 1, 1.0], dtype=object),
    np.array(["False", "True", "True"], dtype=object),
]
MIXED = np.array([np.int64(0), "1", True], dtype=object)
ALL = np.ones(3, dtype=bool)


@pytest.mark.parametrize("fitted_on", WAYS, ids=str)
@pytest.mark.parametrize("encoded", [*WAYS, MIXED], ids=str)
def test_every_way_is_understood_by_every_other(fitted_on, encoded):
    task = Classification("a")
    fitted = json.loads(json.dumps(task.fit(fitted_on, ALL)))
    target, present = task.encode(encoded, ALL, fitted)
    assert target.tolist() == [0, 1, 1]
    assert present.all()


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([3, 10, 2], [2, 3, 10]),
        ([3.0, 10.0, 2.5], [2.5, 3, 10]),
        (["b", "10", "9"], ["10", "9", "b"]),
        ([True, False, True], [False, True]),
        (np.array(["2024-05-01", "2023-01-01", "2024-05-01"], dtype="datetime64[D]"), ["2023-01-01", "2024-05-01"]),
        (np.array([datetime.date(2024, 5, 1), "x", b"y"], dtype=object), ["2024-05-01", "x", "y"]),
        (np.array([1, "x", 0.5], dtype=object), [0.5, 1, "x"]),
        (np.array([1, "1", 2], dtype=object), [1, 2]),
        (np.array([-0.0, 0.0, 1.0]), [0, 1]),
    ],
)
def test_classes_are_sorted_json_values(values, classes):
    found = Classification("a").fit(np.asarray(values), ALL)["classes"]
    assert found == classes
    assert [type(value) for value in found] == [type(value) for value in classes]


def test_what_is_missing_is_no_class():
    task = Classification("a")
    values = np.array([1, None, 2, np.nan, 1], dtype=object)
    fitted = task.fit(values, np.array([True, False, True, True, True]))
    assert fitted == {"classes": [1, 2], "counts": [2, 1]}
    target, present = task.encode(values, np.array([True, False, True, True, False]), fitted)
    assert present.tolist() == [True, False, True, False, False]
    assert target.tolist() == [0, 0, 1, 0, 0]


def test_a_class_that_training_had_not_is_not_present():
    task = Classification("a")
    fitted = task.fit(np.array(["x", "y", "x"]), ALL)
    target, present = task.encode(np.array(["y", "z", "x"]), ALL, fitted)
    assert present.tolist() == [True, False, True]
    assert target.tolist() == [1, 0, 0]


def test_lists_are_for_multilabel():
    cells = np.empty(2, dtype=object)
    cells[:] = [["a"], ["b"]]
    with pytest.raises(SchemaError, match=r"task 'a' \(column 'c'\): one value a row .*\['a'\].*multilabel"):
        Classification("a", column="c").fit(cells, np.ones(2, dtype=bool))


def test_two_axes_are_an_error():
    with pytest.raises(SchemaError, match=r"one value a row is wanted, got an array of shape \(3, 2\)"):
        Classification("a").fit(np.zeros((3, 2)), np.ones((3, 2), dtype=bool))


def test_arrays_of_classes():
    assert as_array([0, 2]).dtype.kind == "i"
    assert as_array([0.5, 2]).dtype.kind == "f"
    assert as_array([False, True]).dtype.kind == "b"
    assert as_array(["a", "b"]).dtype == object
    assert as_array([1, "b"]).tolist() == [1, "b"]


def test_infinite_numbers_are_texts():
    assert natural(np.inf) == "inf"
    assert class_key(np.float64(2)) == "2"
