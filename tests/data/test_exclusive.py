import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.data import Table, fit_task, target_cells
from polytask.errors import SchemaError

NAN = np.nan


def cells(rows, **settings):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    return target_cells(Table.of(frame), pt.Classification("t", columns=["a", "b", "c"], **settings))


def test_the_column_that_is_one_is_the_class():
    values, present = cells([[1, 0, 0], [0, 0, 1], [NAN, NAN, NAN], [NAN, 1, 0], [NAN, 0, 0], [0, 1, NAN]])
    assert present.tolist() == [True, True, False, True, False, True]
    assert values[present].tolist() == ["a", "c", "b", "b"]
    assert cells([[True, False, False]])[0].tolist() == ["a"]


def test_rows_without_a_one():
    with pytest.raises(SchemaError, match=r"task 't': row 1 is 0 in all of \['a', 'b', 'c'\]; .*none_class='none'"):
        cells([[1, 0, 0], [0, 0, 0]])
    values, present = cells([[1, 0, 0], [0, 0, 0], [0, NAN, 0]], none_class="none")
    assert (values[:2].tolist(), present.tolist()) == (["a", "none"], [True, True, False])


def test_what_cannot_be():
    with pytest.raises(
        SchemaError, match=r"task 't': row 1 is 1 in 'a' and 'c', of which one only can be; .*multilabel"
    ):
        cells([[1, 0, 0], [1, 0, 1]])
    with pytest.raises(
        SchemaError, match=r"task 't' \(column 'b'\): of exclusive columns each is 0 or 1 .*got 2.0 in row 0"
    ):
        cells([[1, 2, 0]])
    with pytest.raises(ValueError, match="none_class is another name than those of several columns"):
        pt.Classification("t", columns=["a", "b"], none_class="a")
    with pytest.raises(ValueError, match="none_class is another name"):
        pt.Classification("t", none_class="a")


def test_from_the_users_door(tmp_path):
    g = np.random.default_rng(0)
    x = g.normal(size=300)
    which = np.digitize(x + 0.2 * g.normal(size=300), [-0.5, 0.5])
    frame = pd.DataFrame(np.eye(3, dtype=int)[which], columns=["low", "middle", "high"]).assign(x=x)
    task = pt.Classification("level", columns=["low", "middle", "high"])
    assert fit_task(Table.of(frame), task, np.arange(300))["classes"] == ["high", "low", "middle"]
    run = pt.fit(frame, [task], epochs=20, folder=tmp_path / "run", quiet=True, seed=0)
    assert run.blueprint.spec.numbers == ("x",)
    assert set(run.predict(frame)["level"]) <= {"low", "middle", "high"}
    assert run.evaluate()["level"]["accuracy"] > 0.7
