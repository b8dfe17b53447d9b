"""Redundant tasks, exclusive tasks, rare classes, empty texts: found where they are, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from polytask.data import Split, SplitSettings, Table, correlation, cramers_v, lint, make_split
from polytask.tasks import Classification, Multilabel, Regression

N = 2000
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
CLASS = RNG.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2])


def found_in(frame, tasks, what, inputs=("x",), kinds=None):
    table = Table(pd.DataFrame({"x": X[: len(frame)], **frame}), kinds=kinds)
    split = make_split(table, tasks, SplitSettings(stratify=False))
    return [f for f in lint(table, tasks, split, list(inputs)) if f.what == what], split


def test_cramers_v_is_of_chi_square():
    other = np.where(RNG.random(N) < 0.7, CLASS, "d")
    chi, *_ = chi2_contingency(pd.crosstab(CLASS, other), correction=False)
    assert cramers_v(CLASS, other) == pytest.approx(np.sqrt(chi / (N * 2)))
    assert cramers_v(CLASS, CLASS) == pytest.approx(1)
    assert cramers_v(CLASS, np.zeros(N)) == 0
    assert correlation(X, -3 * X + 1) == pytest.approx(1)
    assert correlation(X + 1e6, np.ones(N)) == 0


@pytest.mark.parametrize(
    ("first", "second", "measure"),
    [
        (X, -2 * X + 0.1 * RNG.normal(size=N), "|r|"),
        (CLASS, np.where(RNG.random(N) < 0.01, "z", np.char.upper(CLASS.astype(str))), "Cramér's V"),
        (X, (X > 0.2).astype(int), "AUC"),
    ],
)
def test_redundant_tasks_are_named_once(first, second, measure):
    def task(name, values):
        return Regression(name) if np.asarray(values).dtype.kind == "f" else Classification(name)

    frame = pd.DataFrame({"p": first, "q": second, "r": RNG.permutation(X), "z": RNG.normal(size=N)})
    frame["p"] = frame["p"].mask(RNG.random(N) < 0.3)
    tasks = [task("p", first), task("q", second), Regression("r")]
    found, split = found_in(frame, tasks, "redundant-tasks", ["z"])
    (one,) = found
    assert "tasks 'p', 'q' have nearly the same labels" in one.text
    assert measure in one.text
    common = int(frame["p"].notna().to_numpy()[split.rows("train")].sum())
    assert f"on {common} common training rows" in one.text
    assert "merge them or drop one" in one.remedy
    apart, _ = found_in(frame.assign(q=RNG.permutation(frame["q"])), tasks, "redundant-tasks", ["z"])
    assert not apart


def test_three_names_of_one_label_are_one_finding():
    frame = pd.DataFrame({name: X + 0.05 * RNG.normal(size=N) for name in "abc"} | {"z": RNG.normal(size=N)})
    (one,), _ = found_in(frame, [Regression(name) for name in "abc"], "redundant-tasks", ["z"])
    assert "tasks 'a', 'b', 'c' have" in one.text


def test_few_common_rows_say_nothing():
    frame = pd.DataFrame({"p": X, "q": X}).astype(float)
    frame.loc[:990, "p"] = np.nan
    frame.loc[1010:, "q"] = np.nan
    found, _ = found_in(frame, [Regression("p"), Regression("q")], "redundant-tasks")
    assert not found


def exclusive_of(num_rows=N):
    kind = RNG.choice(4, num_rows, p=[0.3, 0.2, 0.2, 0.3])
    frame = pd.DataFrame({name: (kind == k).astype(int) for k, name in enumerate("abc")})
    return frame.assign(d=RNG.integers(0, 2, num_rows))


def test_exclusive_tasks_are_one_softmax():
    frame = exclusive_of()
    (one,), split = found_in(frame, [Classification(name) for name in "dabc"], "exclusive-tasks")
    assert "tasks 'a', 'b', 'c' are never two of them true" in one.text
    assert "Classification(columns=[a, b, c]), one softmax in place of 3 sigmoids" in one.remedy
    train = frame.iloc[split.rows("train")]
    least = min(train[p].mean() * train[q].mean() * len(train) for p, q in ("ab", "ac", "bc"))
    assert f"though {least:.0f} rows or more" in one.text


def test_what_is_too_rare_to_meet_is_not_exclusive():
    frame = exclusive_of(80).iloc[:80]
    found, _ = found_in(frame, [Classification(name) for name in "ab"], "exclusive-tasks")
    assert not found  # 56 · 0.3 · 0.2 = 3.4 expected
    frame = exclusive_of()
    frame.loc[:60, ["a", "b"]] = 1
    found, _ = found_in(frame, [Classification(name) for name in "ab"], "exclusive-tasks")
    assert not found


def test_rare_classes_are_one_finding():
    frame = pd.DataFrame({f"y{k}": (np.arange(N) < 10 + 2 * k).astype(int) for k in range(7)})
    frame["even"] = RNG.integers(0, 2, N)
    tasks = [*(Classification(name) for name in frame.columns)]
    (one,), _ = found_in(frame.sample(frac=1, random_state=0, ignore_index=True), tasks, "rare-class")
    assert one.text.count(" = 1 (") == 5
    assert one.text.endswith(", … 2 tasks more")
    assert "even" not in one.text
    assert "class_weight: balanced" in one.remedy


@pytest.mark.parametrize(
    ("counts", "is_rare"), [([20, 20, 20], False), ([25, 25, 14], False), ([40, 40, 9], True), ([4000, 31], True)]
)
def test_a_class_is_rare_beside_others(counts, is_rare):
    classes = np.repeat(np.arange(len(counts)), counts)
    table = Table(pd.DataFrame({"x": np.arange(len(classes)), "y": classes}))
    found = lint(table, [Classification("y")], Split(np.zeros(len(classes), dtype=np.int8)), ["x"])
    assert ("rare-class" in {f.what for f in found}) is is_rare


def test_labels_of_other_kinds_are_left_alone():
    frame = exclusive_of()
    found, _ = found_in(frame, [Multilabel("m", columns=["a", "b"]), Classification("d")], "exclusive-tasks")
    assert not found
    table = Table(pd.DataFrame({"x": X[:60], "one": [1] * 60, "odd": ["1", "b"] * 30}))
    split = Split(np.zeros(60, dtype=np.int8))
    assert {f.what for f in lint(table, [Classification("one"), Regression("odd")], split, ["x"])} == {
        "constant-target"
    }


def test_empty_texts_are_counted():
    texts = [f"word {k} and {k + 1} and some more" for k in range(N)]
    texts[3], texts[7], texts[9] = "", "  \n", None
    frame = pd.DataFrame({"note": texts, "y": RNG.integers(0, 2, N)})
    (one,), _ = found_in(frame, [Classification("y")], "empty-text", ["x", "note"], {"note": "text"})
    assert one.text == f"2 of {N - 1} texts in column 'note' are empty, the first in row 3"
