"""The lint over several tables: one task's label among another's inputs, entities on two sides, redundant tasks."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import Split, SplitSettings, Table, lint_across, make_splits
from polytask.tasks import Classification, Regression

N = 400
RNG = np.random.default_rng(0)
R = RNG.normal(size=N)
WHO = np.array([f"w{k}" for k in range(N)])


def looked(first, second, inputs, key=None, tasks=None, splits=None):
    tables = {"a": Table(pd.DataFrame(first)), "b": Table(pd.DataFrame(second))}
    tasks = tasks or {"a": [Regression("r")], "b": [Classification("y")]}
    splits = splits or make_splits({n: (t, tasks[n]) for n, t in tables.items()}, SplitSettings(), key=key)
    return lint_across(tables, splits, inputs, tasks=tasks, key=key)


def columns(seed, **more):
    rng = np.random.default_rng(seed)
    return {"who": WHO, "x": rng.normal(size=N), **more}


@pytest.mark.parametrize("copy", [R, np.exp(R), 3 - R + 0.02 * RNG.normal(size=N)])
def test_a_label_among_another_tables_inputs_is_found_by_key(copy):
    order = RNG.permutation(N)
    first = columns(1, r=R, copy=RNG.normal(size=N))
    second = pd.DataFrame(columns(2, y=RNG.integers(0, 2, N), copy=copy)).iloc[order].reset_index(drop=True)
    (found,) = looked(first, second, ["x", "copy"], "who")
    assert (found.what, found.column, found.task) == ("leak-across", "copy", "r")
    assert "input 'copy' of table 'b' predicts task 'r' of table 'a' alone: R² " in found.text
    assert "training rows of the same 'who'" in found.text
    assert found.remedy.endswith("ignore: [copy]")
    assert not looked(first, second.assign(copy=RNG.permutation(copy)), ["x", "copy"], "who")


def test_a_label_is_found_where_tables_have_the_same_rows():
    x = RNG.normal(size=N)
    first = {"x": x, "r": R}
    second = {"x": x, "y": RNG.integers(0, 2, N), "copy": R}
    (found,) = [f for f in looked(first, second, {"a": ["x"], "b": ["x", "copy"]}) if f.what == "leak-across"]
    assert (found.column, found.task) == ("copy", "r")
    assert "training rows that both tables have" in found.text
    assert not looked(first, {**second, "x": RNG.permutation(x)}, {"a": ["x"], "b": ["x", "copy"]})


def test_a_label_is_found_by_its_name():
    (found,) = looked(
        columns(1, r=R), columns(2, y=RNG.integers(0, 2, N), r=RNG.normal(size=N)), {"a": ["x"], "b": ["x", "r"]}, "who"
    )
    assert (found.what, found.column, found.task) == ("leak-across", "r", "r")
    assert "input 'r' of table 'b' is the target of task 'r'" in found.text


def test_entities_on_two_sides():
    first, second = columns(1, r=R), columns(2, y=RNG.integers(0, 2, N))
    (found,) = looked(first, second, ["x"])
    assert (found.what, found.column) == ("entity-sides", "who")
    assert found.remedy == "keep all rows of one on one side: key: who"
    assert not looked(first, second, ["x"], "who")
    parts = np.zeros(N, dtype=np.int8)
    other = parts.copy()
    other[:7] = 2
    (found,) = looked(first, second, ["x"], "who", splits={"a": Split(parts), "b": Split(other)})
    assert found.text.startswith(f"7 of {N} values of 'who' have rows on two sides of the splits, such as 'w0'")


def test_redundant_tasks_of_two_tables():
    tasks = {"a": [Regression("r")], "b": [Regression("s")]}
    order = RNG.permutation(N)
    first, second = columns(1, r=R), pd.DataFrame(columns(2, s=R + 0.01 * RNG.normal(size=N))).iloc[order]
    (found,) = looked(first, second.reset_index(drop=True), ["x"], "who", tasks)
    assert found.what == "redundant-tasks"
    assert "tasks 'r', 's' have nearly the same labels: |r| " in found.text
    assert not looked(first, second.assign(s=RNG.permutation(R)), ["x"], "who", tasks)
