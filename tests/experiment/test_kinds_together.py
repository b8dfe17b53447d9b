"""All kinds of tasks and inputs in one run, with cells missing everywhere."""

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt

ROWS = 96


def pictures_and_numbers() -> pd.DataFrame:
    """Small pictures of one of three brightnesses, numbers, categories, dates; every tenth cell is missing."""
    generator = np.random.default_rng(0)
    level = generator.integers(0, 3, ROWS)
    x = generator.normal(size=ROWS)
    frame = pd.DataFrame({"x": x, "flag": x > 0.3, "area": generator.choice(["north", "south"], ROWS)})
    frame["when"] = pd.date_range("2024-01-01", periods=ROWS, freq="D")
    frame["photo"] = [(40 * k + generator.integers(0, 20, (12, 12))).astype(np.uint8) for k in level]
    frame["price"] = 2 * x + level
    frame["sold"] = np.where(x > 0, "yes", "no")
    frame["grade"] = np.array(["low", "mid", "high"])[level]
    frame["bright"], frame["high"] = (level == 2).astype(float), (x > 0).astype(float)
    frame["tags"] = [["a"] if k == 0 else ["a", "b"] if k == 1 else [] for k in level]
    frame["who"] = [f"p{k}" for k in level]
    for name in ("x", "flag", "area", "when", "price", "sold", "grade", "bright", "high", "tags", "who"):
        frame[name] = frame[name].astype(object).where(generator.random(ROWS) > 0.1, None)
    for name in ("x", "price", "bright", "high"):
        frame[name] = frame[name].astype(float)
    return frame


TASKS = [
    pt.Regression("price"),
    pt.Classification("sold"),
    pt.Ordinal("grade", order=["low", "mid", "high"]),
    pt.Multilabel("labels", columns=["bright", "high"]),
    pt.Multilabel("tags"),
    pt.Similarity("who", dim=2),
    pt.Regression("early", column="bright", reads=0),
]


@pytest.fixture(scope="module")
def frame():
    return pictures_and_numbers()


@pytest.fixture(scope="module", params=["joint", "alternating"])
def run(frame, tmp_path_factory, request):
    return pt.fit(
        frame,
        TASKS,
        epochs=2,
        batch_size=16,
        agenda=request.param,
        balancer="pcgrad" if request.param == "joint" else "sum",
        folder=tmp_path_factory.mktemp("runs") / "run",
        quiet=True,
    )


def test_every_task_is_trained_and_judged(run):
    names = [task.name for task in TASKS]
    assert list(run.metrics["validation"]) == names
    assert all(np.isfinite(scores["loss"]) for scores in run.metrics["validation"].values())
    assert run.history[[f"training_loss.{name}" for name in names]].notna().all(axis=None)
    assert all((run.path / f"weights/{name}.safetensors").exists() for name in names)
    pairs = [c for c in run.history.columns if c.startswith("cosines.")]
    assert len(pairs) == len(names) * (len(names) - 1) // 2


def test_missing_targets_are_counted_out_and_nothing_is_dropped(run, frame):
    split = run.split()
    assert (
        len(split.rows("dropped"))
        == frame[["price", "sold", "grade", "bright", "high", "tags", "who"]].isna().all(axis=1).sum()
    )
    rows = split.rows("validation")
    for name in ("price", "sold", "grade", "who"):
        assert run.metrics["validation"][name]["rows"] == frame[name].iloc[rows].notna().sum() < len(rows)


def test_pictures_and_numbers_are_fused(run):
    spec = run.blueprint.spec
    assert set(spec.images) == {"photo"}
    assert spec.images["photo"][1:] == (12, 12)
    assert {"x", "x is missing"} <= set(spec.numbers)
    assert [name for name, _ in spec.categories] == ["area"]


def test_predictions_of_every_kind(run, frame):
    predicted = run.predict(frame, probabilities=True)
    assert len(predicted) == ROWS
    assert predicted["price"].dtype.kind == "f"
    assert set(predicted["sold"]) <= {"yes", "no"}
    assert set(predicted["grade"]) <= {"low", "mid", "high"}
    assert {"who[0]", "who[1]", "sold[no]", "sold[yes]", "grade[low]"} <= set(predicted.columns)
    np.testing.assert_allclose(predicted[["sold[no]", "sold[yes]"]].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(predicted[["grade[low]", "grade[mid]", "grade[high]"]].sum(axis=1), 1, rtol=1e-5)
    assert predicted.select_dtypes("number").notna().all(axis=None)


def test_rows_that_lack_every_input_but_the_picture(run, frame):
    blank = frame.assign(x=np.nan, flag=None, area=None, when=pd.NaT).drop(columns=["price", "sold"])
    assert run.predict(blank)["price"].notna().all()


def test_the_test_part_is_judged(run):
    scores = run.evaluate()
    assert set(scores) == {task.name for task in TASKS}
    assert all(score["rows"] > 0 for score in scores.values())


def test_a_batch_in_which_a_task_has_no_label(tmp_path, frame):
    """With three rows a batch most hold no label of a task that only six rows have, and no pair of identities."""
    rare = frame.drop(columns="photo").copy()
    rare.loc[~rare.index.isin(range(0, ROWS, 12)), ["sold", "who"]] = None
    rare["sold"] = [None if v is None else ("yes" if k % 24 else "no") for k, v in enumerate(rare["sold"])]
    rare.loc[range(0, ROWS, 12), "sold"] = ["yes", "no"] * (ROWS // 24)
    rare.loc[range(0, ROWS, 12), "who"] = ["p", "q"] * (ROWS // 24)
    rare["part"] = ["train"] * (ROWS - 24) + ["valid"] * 24
    tasks = [pt.Regression("price"), pt.Classification("sold"), pt.Similarity("who", dim=2)]
    run = pt.fit(
        rare,
        tasks,
        split={"column": "part"},
        epochs=2,
        batch_size=3,
        ignore=["grade", "bright", "high", "tags"],
        encoder={"mlp": {"widths": [8]}},
        folder=tmp_path / "run",
        quiet=True,
    )
    assert all(torch.isfinite(value).all() for value in run.model().state_dict().values())
    assert run.history["training_loss.sold"].notna().all()
