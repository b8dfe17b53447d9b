"""Time series cut into windows, held against a plain loop over rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data import SplitSettings, windows
from polytask.errors import ConfigError, SchemaError

PARTS = ("train", "validation", "test")


def series(rows=40, seed=0, **columns):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": generator.normal(3, 2, rows), "b": generator.normal(-1, 5, rows)})
    return frame.assign(**columns)


def by_loop(frame, parts, names, history, horizon, stride, look_back=True, gaps=()):
    """Every window that may be: (first row of the target, part); `gaps` are rows whose step before is unusual."""
    found = []
    for start in range(history, len(frame) - horizon + 1, stride):
        target, past = range(start, start + horizon), range(start - history, start)
        if len({parts[row] for row in target}) > 1 or parts[start] is None:
            continue
        order = {None: -1, **{part: k for k, part in enumerate(PARTS)}}
        if any(order[parts[row]] > order[parts[start]] for row in past):
            continue
        if not look_back and any(parts[row] != parts[start] for row in past):
            continue
        if any(row in gaps for row in range(start - history + 1, start + horizon)):
            continue
        if frame[names].iloc[start - history : start + horizon].isna().to_numpy().any():
            continue
        found.append((start, parts[start]))
    return found


@given(
    rows=st.integers(12, 60),
    history=st.integers(1, 6),
    horizon=st.integers(1, 5),
    stride=st.integers(1, 4),
    look_back=st.booleans(),
    holes=st.lists(st.integers(0, 11), max_size=2),
    missing=st.lists(st.integers(1, 11), max_size=2),
)
def test_windows_are_those_of_a_plain_loop(rows, history, horizon, stride, look_back, holes, missing):
    frame = series(rows)
    steps = np.ones(rows)
    steps[missing] = 3  # a step that takes longer
    frame["day"] = np.cumsum(steps)
    frame.loc[holes, "b"] = np.nan
    first, second = round(0.7 * rows), round(0.85 * rows)
    parts = ["train"] * first + ["validation"] * (second - first) + ["test"] * (rows - second)
    expected = by_loop(frame, parts, ["a", "b"], history, horizon, stride, look_back, set(missing))
    settings = {"series": ["a", "b"], "history": history, "horizon": horizon, "stride": stride, "scale": False}
    settings |= {"time": "day", "look_back": look_back, "borders": (first, second, rows)}
    if not expected:
        with pytest.raises(SchemaError, match="not one window"):
            windows(frame, **settings)
        return
    table = windows(frame, **settings)
    assert list(zip(table.frame["start"], table.frame["split"], strict=True)) == expected
    for k, (start, _) in enumerate(expected):
        np.testing.assert_array_equal(table.values("history")[k], frame[["a", "b"]].iloc[start - history : start])
        np.testing.assert_array_equal(table.values("b")[k], frame["b"].iloc[start : start + horizon])


@pytest.mark.parametrize("horizon", [24, 96])
def test_etth1_has_the_usual_numbers_of_windows(shared_data, horizon):
    frame = pd.read_parquet(shared_data / "ett" / "ETTh1.parquet")
    names = [name for name in frame if name != "date"]
    table = windows(frame, series=names, time="date", horizon=horizon, borders=(8640, 11520, 14400))
    counts = table.frame["split"].value_counts()
    assert counts["train"] == 8640 - 96 - horizon + 1
    assert counts["validation"] == counts["test"] == 2880 - horizon + 1
    training = frame[names].iloc[:8640].to_numpy(dtype=np.float64)
    first = table.values("history")[0]
    np.testing.assert_allclose(first, ((training - training.mean(0)) / training.std(0))[:96], rtol=1e-9)


def test_series_are_scaled_by_their_training_rows_alone():
    frame = series(40)
    settings = {"series": ["a", "b"], "history": 3, "horizon": 2, "borders": (20, 30)}
    before = windows(frame, **settings)
    frame.loc[20:, "a"] *= 100
    after = windows(frame, **settings)
    training = (before.frame["split"] == "train").to_numpy()
    np.testing.assert_array_equal(np.stack(before.values("a")[training]), np.stack(after.values("a")[training]))
    everything = frame["a"].iloc[:20]
    expected = (frame["a"].iloc[3:5] - everything.mean()) / everything.std(ddof=0)
    np.testing.assert_allclose(after.values("a")[0], expected)
    assert "(mean, deviation): a (" in after.notes[1]


def test_a_constant_series_is_only_centred():
    table = windows(series(30, b=7.0), series=["b"], history=2, horizon=1)
    assert np.concatenate(table.values("b")).tolist() == [0.0] * table.num_rows


def test_forms_of_the_history():
    frame = series(30)
    settings = {"series": ["a", "b"], "history": 3, "horizon": 2}
    table, flat = windows(frame, **settings), windows(frame, **settings, flat=True)
    assert (table.kind("history"), flat.kind("history"), table.kind("a")) == ("sequence", "vector", "other")
    assert table.values("history")[0].shape == (3, 2)
    np.testing.assert_array_equal(flat.values("history")[4], table.values("history")[4].ravel())
    each = windows(frame, **settings, per_series=True)
    assert list(each) == ["a", "b"]
    assert "a" not in each["b"].columns
    np.testing.assert_array_equal(each["b"].values("history")[4], table.values("history")[4][:, 1:])
    np.testing.assert_array_equal(np.stack(each["b"].values("b")), np.stack(table.values("b")))
    assert {table.kind(name) for name in ("start", "split")} == {"id"}


def test_no_window_crosses_from_one_group_to_another():
    frame = pd.concat([series(20, 1, shop="n"), series(25, 2, shop="s")]).sample(frac=1, random_state=0)
    frame["day"] = frame.index
    frame = frame.sort_values("day", kind="stable").reset_index(drop=True)  # the shops' rows are mixed
    table = windows(frame, series=["a"], history=3, horizon=2, time="day", group="shop", scale=False)
    for k in range(table.num_rows):
        shop, day = table.frame["shop"][k], table.frame["day"][k]
        own = frame[frame["shop"] == shop].set_index("day")["a"]
        np.testing.assert_array_equal(table.values("history")[k].ravel(), own.loc[day - 3 : day - 1])
        np.testing.assert_array_equal(table.values("a")[k], own.loc[day : day + 1])


def test_groups_stay_on_one_side():
    frame = pd.concat([series(12, k, shop=f"s{k}") for k in range(8)], ignore_index=True)
    split = SplitSettings(by_group="shop", validation=0.25, test=0.25)
    table = windows(frame, series=["a"], history=3, horizon=2, group="shop", split=split)
    assert (table.frame.groupby("shop")["split"].nunique() == 1).all()
    assert table.frame.groupby("split")["shop"].nunique().to_dict() == {"train": 4, "validation": 2, "test": 2}
    with pytest.raises(SchemaError, match=r"write windows\.group: shop"):
        windows(frame, series=["a"], history=3, horizon=2, split=split)


def test_parts_that_a_column_says():
    part = ["test"] * 10 + ["train"] * 20 + ["valid"] * 10
    split = SplitSettings(column="part")
    table = windows(series(40, part=part), series=["a"], history=3, horizon=2, split=split)
    # Training windows do not see test rows, though these came before.
    written = ["validation" if p == "valid" else p for p in part]
    expected = by_loop(series(40), written, ["a"], 3, 2, 1)
    assert list(zip(table.frame["start"], table.frame["split"], strict=True)) == expected
    assert "3 whose history has rows of a later part" in table.notes[0]


def test_steps_of_months():
    frame = series(36, month=pd.date_range("2020-01-01", periods=36, freq="MS"))
    table = windows(frame, series=["a"], history=3, horizon=2, time="month", every="MS")
    assert "gap" not in table.notes[0]
    holed = windows(frame.drop(index=10), series=["a"], history=3, horizon=2, time="month", every="MS")
    assert "4 over a gap in time" in holed.notes[0]


def test_what_is_left_out_is_counted():
    frame = series(40, day=[*range(20), *range(21, 41)])
    frame.loc[3, "a"] = np.nan
    table = windows(frame, series=["a"], history=3, horizon=2, time="day", borders=(24, 32, 38))
    assert table.notes[0] == (
        "24 windows of 3 + 2 steps; left out: 3 whose target crosses a border, 1 whose target is of no part, "
        "4 over a gap in time, 4 with a missing value; 2 rows are of no part"
    )


@pytest.mark.parametrize(
    ("change", "settings", "sentence"),
    [
        ({"day": [0, 2, 1, *range(3, 40)]}, {"time": "day"}, r"'day' falls from row 1 \(2.0\) to row 2 \(1.0\)"),
        ({"day": [0, 1, 1, *range(3, 40)]}, {"time": "day"}, "'day' repeats from row 1"),
        ({"day": np.arange(40.0) ** 2}, {"time": "day"}, "no usual step: 38 of 39"),
        ({"day": ["x"] * 40}, {"time": "day"}, "of kind category; a date or number"),
        ({"day": [None, *range(1, 40)]}, {"time": "day"}, "missing in 1 of 40 rows, the first in row 0"),
        ({"day": range(40)}, {"time": "day", "every": "h"}, "is a step of dates"),
        ({"day": pd.date_range("2020", periods=40)}, {"time": "day", "every": "moon"}, "no step of time"),
        ({"shop": [None] * 40}, {"group": "shop"}, "'shop' is missing in row 0"),
        ({"a": ["x"] * 40}, {}, "the series 'a' is of kind category"),
        ({}, {"series": ["aa"]}, "no column 'aa'"),
        ({}, {"borders": (20, 30, 41)}, r"borders=\(20, 30, 41\), but there are 40 rows"),
        ({}, {"borders": (20, 40)}, "but there are 40 rows"),
        ({}, {"history": 39}, r"not one window of 39 \+ 2 steps is left of 40 rows"),
    ],
)
def test_series_that_cannot_be_cut(change, settings, sentence):
    with pytest.raises(SchemaError, match=sentence):
        windows(series(40, **change), **{"series": ["a"], "history": 3, "horizon": 2, **settings})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"series": []}, "series is empty"),
        ({"series": ["a", "a"]}, "names 'a' twice"),
        ({"series": ["a"], "time": "a"}, "'a' is a series, and time or group too"),
        ({"series": ["split"]}, "cannot be called 'split'"),
        ({"series": ["a"], "horizon": 0}, "horizon=0 is out of range"),
        ({"series": ["a"], "every": "h"}, "no effect without time"),
        ({"series": ["a"], "borders": (5, 5)}, "two or three rising row numbers"),
        ({"series": ["a"], "hoizon": 5}, "did you mean 'horizon'"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        windows(series(), **settings)
