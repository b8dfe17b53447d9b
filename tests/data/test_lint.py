"""The lint: every kind of warning where it belongs, and silence elsewhere."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from polytask.data import Finding, SplitSettings, Table, default_inputs, lint, lint_across, make_split, merge
from polytask.data.association import aucs, explained, out_of_fold, r_squared
from polytask.tasks import Classification, Multilabel, Regression, Similarity

N = 1000
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, N)
R = RNG.normal(size=N)


def findings(frame, tasks, settings=None, kinds=None):
    table = Table(frame, kinds=kinds)
    split = make_split(table, tasks, settings or SplitSettings())
    return lint(table, tasks, split, default_inputs(table, tasks, [], settings or SplitSettings()))


def frame_of(**columns):
    return pd.DataFrame({"noise": RNG.normal(size=N), "y": Y, "r": R, **columns})


def named(found):
    return {(finding.what, finding.column, finding.task) for finding in found}


def test_an_honest_table_is_passed_in_silence():
    weak = Y + RNG.normal(size=N)
    assert findings(frame_of(weak=weak), [Classification("y"), Regression("r")]) == []


@pytest.mark.parametrize(
    ("column", "task"),
    [
        (Y, Classification("y")),
        (1 - Y, Classification("y")),
        (np.where(Y, "sold", "kept"), Classification("y")),
        (Y == 1, Classification("y")),
        (Y + RNG.normal(size=N) * 0.05, Classification("y")),
        (np.where(Y, RNG.choice(["a", "b"], N), RNG.choice(["c", "d"], N)), Classification("y")),
        # A code whose order says nothing.
        (np.where(Y, RNG.choice([1, 3], N), RNG.choice([0, 2, 4], N)), Classification("y")),
        (pd.Timestamp("2024-01-01") + pd.to_timedelta(Y * 100 + RNG.integers(0, 9, N), unit="D"), Classification("y")),
        (R * 2 + 1, Regression("r")),
        (np.exp(R), Regression("r")),
        (-R + RNG.normal(size=N) * 0.05, Regression("r")),
        (np.where(Y, np.nan, RNG.normal(size=N)), None),
    ],
)
def test_a_copy_of_a_target_is_a_leak(column, task):
    found = findings(frame_of(copy=column), [task or Classification("y")])
    what = "leak" if task else "missing-leak"
    assert named(found) == {(what, "copy", task.name if task else "y")}
    assert "ignore: [copy]" in found[0].remedy


def test_the_class_that_leaks_is_named():
    y = RNG.choice(["a", "b", "c"], N)
    (found,) = findings(frame_of(y=y, copy=np.where(y == "b", 5.0, RNG.random(N))), [Classification("y")])
    assert "class 'b'" in found.text
    a, b = Y, 1 - RNG.integers(0, 2, N)
    frame = frame_of(a=a, b=b, copy=b * 2.0)
    (found,) = findings(frame[["noise", "a", "b", "copy"]], [Multilabel("ab", columns=["a", "b"])])
    assert "class 'b'" in found.text


def test_cells_that_a_merge_left_missing_are_no_leak():
    ids = np.arange(N)
    one = pd.DataFrame({"id": ids, "x": RNG.normal(size=N), "r": R}).iloc[: N * 3 // 4]
    two = pd.DataFrame({"id": ids, "z": RNG.normal(size=N), "y": Y}).iloc[N // 4 :]
    # Of the rows of `two`, those with a 1 are in `one` as well: whether x is there tells y.
    one = one[(Y[: len(one)] == 1) | (one["id"] < N // 4)]
    two = two[(two["id"] < len(ids) * 3 // 4) | (two["y"] == 0)]
    tasks = [Regression("r"), Classification("y")]
    merged = merge({"one": one, "two": two}, "id")
    plain = Table(merged.frame, kinds=merged.overrides)
    split = make_split(merged, tasks, SplitSettings())
    found = {name: lint(t, tasks, split, ["x", "z"]) for name, t in {"merged": merged, "plain": plain}.items()}
    assert {f.what for f in found["plain"]} == {"missing-leak"}
    assert found["merged"] == []
    merged.frame.loc[merged.frame["y"] == 1, "z"] = np.nan  # within one table it is one
    assert named(lint(merged.with_notes(), tasks, split, ["x", "z"])) == {("missing-leak", "z", "y")}


def test_an_input_missing_just_where_the_target_is():
    gone = RNG.random(N) < 0.3
    frame = frame_of(r=np.where(gone, np.nan, R), x=np.where(gone, np.nan, RNG.normal(size=N)), z=Y * 1.0)
    found = findings(frame.drop(columns="y"), [Regression("r")])
    # Rows without the target are dropped, so it takes a second task to see it.
    assert found == []
    found = findings(frame.drop(columns="z"), [Regression("r"), Classification("y")])
    assert named(found) == {("missing-leak", "x", "r")}
    assert "whether task 'r' has a label" in found[0].text


def test_labels_in_lists_leak_too():
    tags = [["a"] if y else ["b", "c"] for y in Y]
    frame = pd.DataFrame({"noise": RNG.normal(size=N), "tags": pd.Series(tags, dtype=object), "copy": Y})
    assert named(findings(frame, [Multilabel("tags")])) == {("leak", "copy", "tags")}


def test_a_high_cardinality_category_does_not_leak_by_itself():
    names = [f"n{k}" for k in range(N)]
    assert findings(frame_of(name=names), [Classification("y")], kinds={"name": "category"}) == []


def test_repeated_rows_across_parts_are_counted():
    frame = pd.DataFrame({"x": np.tile(RNG.normal(size=N // 2), 2), "y": Y})
    found = findings(frame, [Classification("y")])
    assert [finding.what for finding in found] == ["duplicates", "duplicates"]
    assert "validation rows" in found[0].text
    assert "test rows" in found[1].text
    # Five rows of a thousand may repeat.
    few = pd.DataFrame({"x": [*RNG.normal(size=N - 1), 0.0], "y": Y})
    few.loc[:1, "x"] = 0.0
    assert findings(few, [Classification("y")]) == []


def test_rows_repeated_across_tables_are_counted():
    frame = pd.DataFrame({"x": RNG.integers(0, 10**6, N), "c": RNG.choice(["a", "b"], N), "y": Y, "r": R})
    whole = {"y": Table(frame), "r": Table(frame.sample(frac=1, random_state=0).astype({"x": float}))}
    tasks = {"y": Classification("y"), "r": Regression("r")}
    splits = {name: make_split(table, [tasks[name]], SplitSettings()) for name, table in whole.items()}
    tables = {name: Table(table.frame[["x", "c"]]) for name, table in whole.items()}
    found = lint_across(tables, splits, ["x", "c"])
    assert [finding.what for finding in found] == ["duplicates"] * 4
    assert "of 150 validation rows of table 'y'" in found[0].text
    assert "training row of another table" in found[0].text
    assert "by_group" in found[0].remedy
    others = {"y": tables["y"], "r": Table(frame.assign(x=-1 - frame["x"])[["x", "c"]])}
    assert lint_across(others, splits, ["x", "c"]) == []
    assert lint_across({"y": tables["y"]}, splits, ["x", "c"]) == []


def test_constant_missing_and_few():
    said = ["train"] * 900 + ["valid"] * 50 + ["test"] * 50
    y = np.array(["a"] * 450 + ["b"] * 450 + ["c"] * 50 + ["a"] * 50)
    few = np.where(np.arange(N) % 50 == 0, R, np.nan)
    frame = frame_of(y=y, one=np.where(np.arange(N) < 900, 3.0, R), few=few, said=said)
    tasks = [Classification("y"), Regression("one"), Regression("few")]
    found = findings(frame.drop(columns="r"), tasks, SplitSettings(column="said"))
    assert named(found) == {
        ("class-missing", "y", "y"),
        ("constant-target", "one", "one"),
        ("few-labels", "few", "few"),
        ("one-value", "y", "y"),
        ("one-value", "few", "few"),
    }
    texts = {finding.what: finding.text for finding in found}
    assert texts["class-missing"].endswith("that no training row has: c")
    assert "is 3 in all 900" in texts["constant-target"]
    assert "18 training labels" in texts["few-labels"]


def test_a_part_that_cannot_tell_a_skill_is_named():
    said = ["train"] * 900 + ["valid"] * 50 + ["test"] * 50
    y = np.where(np.arange(N) < 900, Y, 0)
    r = np.where(np.arange(N) < 950, R, np.nan)
    names = {"a": Y, "b": np.where(np.arange(N) < 950, RNG.integers(0, 2, N), 1)}
    frame = pd.DataFrame({"noise": RNG.normal(size=N), "y": y, "r": r, "said": said, **names})
    tasks = [Classification("y"), Regression("r"), Multilabel("ab", columns=["a", "b"])]
    found = findings(frame, tasks, SplitSettings(column="said"))
    assert [(f.what, f.column, f.task) for f in found] == [
        ("one-value", "y", "y"), ("one-value", "y", "y"), ("one-value", "r", "r"), ("one-value", "b", "ab"),
    ]  # fmt: skip
    assert found[0].text == (
        "task 'y': all 50 validation labels of column 'y' are 0, so that its skill on them is undefined or says "
        "nothing; the mean leaves an undefined skill out"
    )
    assert found[1].text == (
        "task 'y': all 50 test labels of column 'y' are 0, so that its skill on them is undefined or says nothing"
    )
    assert "task 'r': no test row has a label in column 'r'" in found[2].text


def test_new_identities_are_no_missing_class():
    frame = pd.DataFrame({"x": RNG.normal(size=N), "who": np.arange(N) // 5})
    settings = SplitSettings(by_group="who")
    assert findings(frame, [Similarity("who")], settings) == []


def test_a_finding_is_plain():
    assert Finding("leak", "a", "b", "c", "d").to_dict() == {
        "what": "leak",
        "column": "a",
        "task": "b",
        "text": "c",
        "remedy": "d",
    }


def test_auc_is_scikit_learns():
    scores = np.round(RNG.normal(size=200), 1)
    classes = RNG.integers(0, 3, 200)[:, None] == np.arange(3)
    expected = [roc_auc_score(classes[:, k], scores) for k in range(3)]
    np.testing.assert_allclose(aucs(scores, classes), np.maximum(expected, 1 - np.array(expected)))
    few = np.arange(200)[:, None] < 9
    assert aucs(-np.arange(200.0), few).tolist() == [0.5]


def test_association_of_numbers():
    assert r_squared(R, 3 - 2 * R) == pytest.approx(1)
    assert r_squared(R, np.exp(5 * R)) == pytest.approx(1)
    assert r_squared(np.ones(N), R) == 0
    assert r_squared(R[:5], R[:5]) == 0
    assert explained(R, R) == 1
    assert explained(R, np.ones(N)) == 0


def test_out_of_fold_means_leave_the_own_fold_out():
    codes = np.array([0, 0, 0, 0, 0, 1])
    target = np.array([[1.0], [0], [0], [0], [0], [1]])
    folds = np.array([0, 1, 2, 3, 4, 0])
    encoded = out_of_fold(codes, target, folds)[:, 0]
    mean = target.mean()
    assert encoded[0] == pytest.approx((0 + mean) / 5)
    assert encoded[1] == pytest.approx((1 + mean) / 5)
    assert encoded[5] == pytest.approx(mean)  # no other row has its category


def test_the_census_detail_that_spells_marital_status_out(shared_data):
    table = Table.of(shared_data / "census_income_kdd_test" / "census_income_kdd_test.parquet")
    tasks = [Classification("income_50k", column="task_income_gt_50k"), Classification("task_never_married")]
    settings = SplitSettings(column="split")
    split = make_split(table, tasks, settings)
    inputs = default_inputs(table, tasks, ["income", "instance_weight"], settings)
    start = time.process_time()
    found = lint(table, tasks, split, inputs)
    assert time.process_time() - start < 10  # about 1 s where nothing else runs
    leaks = {(finding.column, finding.task) for finding in found if finding.what == "leak"}
    assert leaks == {("marital_status", "task_never_married"), ("household_detail", "task_never_married")}
    assert sum(finding.what == "duplicates" for finding in found) == 2


def test_a_stray_word_in_a_column_of_numbers_is_named():
    frame = pd.DataFrame({"age": [*(str(k % 9) for k in range(99)), "old"], "y": [0, 1] * 50})
    table = Table(frame)
    split = make_split(table, [Classification("y")], SplitSettings())
    found = lint(table, [Classification("y")], split, ["age"])
    (stray,) = [f for f in found if f.what == "stray-word"]
    assert "99 of its 100 cells are numbers; row 99 says 'old'" in stray.text
    told = Table(frame, kinds={"age": "category"})
    split = make_split(told, [Classification("y")], SplitSettings())
    assert not [f for f in lint(told, [Classification("y")], split, ["age"]) if f.what == "stray-word"]
