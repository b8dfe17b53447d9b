"""Targets: cells, fitted settings, tensors and weights."""

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.data import Table, encode_targets, fit_task, infer_kind_of_task, target_cells
from polytask.errors import SchemaError
from polytask.tasks import Classification, Multilabel, Regression

ROWS = np.arange(4)


def make_table(**more):
    frame = pd.DataFrame(
        {
            "c": ["no", "yes", None, "yes"],
            "r": [1.0, None, 3.0, 5.0],
            "a": [1, 0, None, 1],
            "b": pd.array([True, None, False, True], dtype="boolean"),
            "w": [1.0, 2.0, 3.0, 0.0],
            "tags": pd.Series([["x"], [], None, ["x", "y"]], dtype=object),
        }
    )
    return Table(frame.assign(**more))


def test_cells_of_one_and_of_several_columns():
    table = make_table()
    values, present = target_cells(table, Multilabel("m", columns=["a", "b"]))
    assert values.dtype == np.float64
    assert present.tolist() == [[True, True], [True, False], [False, True], [True, True]]
    assert values[present].tolist() == [1, 1, 0, 0, 1, 1]
    values, present = target_cells(table, Multilabel("tags"))
    assert values.shape == (4,)
    assert present.tolist() == [True, True, False, True]
    values, _ = target_cells(table, Multilabel("m", columns=["a", "c"]))
    assert values.dtype == object


def test_targets_of_the_rows_asked_for():
    table = make_table()
    tasks = [Classification("c"), Regression("r"), Multilabel("tags")]
    fitted = {task.name: fit_task(table, task, ROWS) for task in tasks}
    targets = encode_targets(table, tasks, fitted, np.array([3, 1, 2]))
    assert targets.values["c"].tolist() == [1, 1, 0]
    assert targets.present["c"].tolist() == [True, True, False]
    assert targets.present["r"].tolist() == [True, False, True]
    assert targets.weight["r"].tolist() == [1, 0, 1]
    assert targets.values["tags"].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert all(torch.isfinite(values).all() for values in targets.values.values())


def test_weights_are_row_weight_times_cell_weight():
    table = make_table()
    tasks = [
        Classification("c", weight="w", class_weight={"yes": 3.0}),
        Multilabel("m", columns=["a", "b"], weight="w"),
    ]
    fitted = {task.name: fit_task(table, task, ROWS) for task in tasks}
    weight = encode_targets(table, tasks, fitted, ROWS).weight
    assert weight["c"].tolist() == [1, 6, 0, 0]
    assert weight["m"].tolist() == [[1, 1], [2, 0], [0, 3], [0, 0]]
    assert weight["c"].dtype == torch.float32


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 1, -1, 1], "row 2, is -1; a number >= 0"),
        ([1, 1, None, 1], "row 2, is missing"),
        ([1, 1, 1, np.inf], "row 3: inf"),
        (["a", "1", "1", "1"], "row 0: 'a' is no number"),
    ],
)
def test_row_weights_that_cannot_be(weights, words):
    table = make_table(w=weights)
    task = Regression("r", weight="w")
    with pytest.raises(SchemaError, match=f"column 'w', {words}"):
        encode_targets(table, [task], {"r": fit_task(table, task, ROWS)}, ROWS)


def test_a_weight_may_be_missing_where_the_target_is():
    table = make_table(w=[1.0, None, 3.0, 4.0])
    task = Regression("r", weight="w")
    weight = encode_targets(table, [task], {"r": fit_task(table, task, ROWS)}, ROWS).weight["r"]
    assert weight.tolist() == [1, 0, 3, 4]
    table = make_table(w=[1.0, -2.0, 3.0, 4.0])
    assert encode_targets(table, [task], {"r": fit_task(table, task, ROWS)}, ROWS).weight["r"].tolist() == [1, 0, 3, 4]
    of_labels = Multilabel("m", columns=["a", "b"], weight="w")
    table = make_table(w=[1.0, 2.0, None, 4.0])
    with pytest.raises(SchemaError, match="column 'w', row 2, is missing"):
        encode_targets(table, [of_labels], {"m": fit_task(table, of_labels, ROWS)}, ROWS)


@pytest.mark.parametrize(
    ("task", "cells", "good"),
    [
        (Regression("t"), ["1", "2", "?", "4"], ["1", "2", "3", "4"]),
        (Multilabel("t"), [["x"], [], "x", ["y"]], [["x"], [], ["x"], ["y"]]),
        (Multilabel("t", columns=["a", "b"]), [0, 1, 7, 1], [0, 1, 0, 1]),
    ],
    ids=["regression", "lists", "labels"],
)
def test_a_cell_that_cannot_be_is_named_by_its_row_in_the_table(task, cells, good):
    rows = np.array([1, 2, 3])
    name = task.columns[0]
    table, before = (make_table(**{name: pd.Series(c, dtype=object)}) for c in (cells, good))
    with pytest.raises(SchemaError, match=r"in row 2;"):
        fit_task(table, task, rows)
    fitted = fit_task(before, task, rows)
    with pytest.raises(SchemaError, match=r"in row 2;"):
        encode_targets(table, [task], {"t": fitted}, np.array([3, 2]))
    # Rows that nobody asked for are not looked at.
    encode_targets(table, [task], {"t": fitted}, np.array([3, 1]))


def test_columns_that_are_not_there_or_empty_are_named():
    table = make_table(price=[None] * 4)
    with pytest.raises(SchemaError, match=r"task 'p': there is no column 'prize' in the table; did you mean 'price'"):
        fit_task(table, Regression("p", column="prize"), ROWS)
    with pytest.raises(SchemaError, match="'price' has no value in any of the 4 training rows"):
        fit_task(table, Regression("p", column="price"), ROWS)
    task = Regression("r", weight="wieght")
    fitted = {"r": fit_task(table, task, ROWS)}
    with pytest.raises(SchemaError, match="task 'r': there is no column 'wieght'"):
        encode_targets(table, [task], fitted, ROWS)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([0, 1, None], "classification"),
        ([0.5, 1], "regression"),
        ([*range(20)] * 3, "classification"),
        ([*range(20)] * 2, "regression"),
        (range(10), "classification"),
        (range(21), "regression"),
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([["a"], []], "multilabel"),
    ],
)
def test_the_kind_of_task_follows_from_the_cells(cells, kind):
    assert infer_kind_of_task(Table(pd.DataFrame({"t": pd.Series(list(cells))})), "t") == kind


@pytest.mark.parametrize(
    ("cells", "words"),
    [([None, None], "no value in any row"), (["2024-01-01", "2024-01-02"], "kind date, which is no target")],
)
def test_columns_that_are_no_target(cells, words):
    with pytest.raises(SchemaError, match=words):
        infer_kind_of_task(Table(pd.DataFrame({"t": cells})), "t")


def test_a_classification_of_numbers_is_refused():
    table = Table(pd.DataFrame({"income": np.arange(200) * 1.5}))
    with pytest.raises(
        SchemaError, match=r"200 classes in 200 training labels, too many to be learnt; numbers are a Regr"
    ):
        fit_task(table, Classification("income"), np.arange(200))
