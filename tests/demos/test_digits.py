"""Multi-Digits: honest parts, every test digit once, and the questions answered from the pictures."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from polytask.demos import DEMOS, multi_digits
from polytask.demos.digits import OFFSET, PARTS, overlap, pair_sources


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return multi_digits(pairs_per_digit=4, seed=0)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return load_digits().target


@pytest.mark.parametrize("seed", range(5))
def test_no_digit_is_in_two_parts(labels, seed):
    pairs = pair_sources(labels, pairs_per_digit=3, seed=seed)
    sources = {part: set(found.ravel().tolist()) for part, found in pairs.items()}
    assert list(sources) == list(PARTS)
    assert not sources["train"] & sources["test"]
    assert not sources["train"] & sources["validation"]
    assert not sources["validation"] & sources["test"]


def test_test_digits_are_in_exactly_one_pair(labels):
    found = pair_sources(labels, pairs_per_digit=3, seed=1)["test"].ravel()
    assert len(np.unique(found)) == len(found)


def test_validation_digits_are_in_four_pairs_at_most(labels):
    times = np.bincount(pair_sources(labels, pairs_per_digit=16, seed=0)["validation"].ravel())
    assert times.max() == np.median(times[times > 0]) == 4


def test_about_half_of_the_digits_is_kept_for_testing(labels):
    pairs = pair_sources(labels, pairs_per_digit=1, seed=0)
    assert 2 * len(pairs["test"]) / len(labels) == pytest.approx(0.5, abs=0.01)


def test_training_digits_are_reused_as_often_as_asked(labels):
    pairs = pair_sources(labels, pairs_per_digit=5, seed=0)["train"]
    times = np.bincount(pairs.ravel(), minlength=len(labels))
    used = times[times > 0]
    assert used.max() == 5
    assert np.median(used) == 5
    # An odd number of digits leaves one out in each round, never a digit with itself.
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_equal_pairs_are_at_least_a_quarter_of_every_part(table):
    assert (table.groupby("part")["equal"].mean() >= 0.25).all()
    assert (table.groupby("part")["equal"].mean() <= 0.45).all()


def test_the_answers_agree_with_each_other(table):
    assert (table["total"] == table["left"] + table["right"]).all()
    assert (table["equal"] == (table["left"] == table["right"])).all()
    assert set(table["left"]) == set(table["right"]) == set(range(10))


def test_pictures_are_twelve_by_twelve_from_zero_to_one(table):
    stacked = np.stack(table["image"].to_list())
    assert stacked.shape == (len(table), 12, 12)
    assert stacked.dtype == np.float32
    assert stacked.min() == 0
    assert stacked.max() == 1
    # The corners that neither digit reaches stay black.
    assert (stacked[:, :OFFSET, 8:] == 0).all()
    assert (stacked[:, 8:, :OFFSET] == 0).all()


def test_the_left_digit_can_be_found_where_the_right_one_does_not_reach(table, labels):
    images = load_digits().images / 16
    row = table.iloc[7]
    alike = np.abs(images[:, :OFFSET] - row["image"][:OFFSET, :8]).sum(axis=(1, 2)) < 1e-6
    assert alike.any()
    assert row["left"] in labels[alike]


def test_overlap_takes_the_brighter_pixel():
    left, right = np.full((1, 8, 8), 4.0), np.full((1, 8, 8), 16.0)
    canvas = overlap(left, right)[0]
    assert (canvas[:4, :8] == 0.25).all()
    assert (canvas[4:, 4:] == 1).all()
    assert (overlap(right, left)[0][4:8, 4:8] == 1).all()


def test_same_seed_same_table_other_seed_another():
    first, again, other = (multi_digits(pairs_per_digit=1, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first.drop(columns="image"), again.drop(columns="image"))
    np.testing.assert_array_equal(np.stack(first["image"].to_list()), np.stack(again["image"].to_list()))
    assert not first["left"].equals(other["left"])


def test_no_pairs_is_refused():
    with pytest.raises(ValueError, match="pairs_per_digit is at least 1, got 0"):
        multi_digits(pairs_per_digit=0)


@pytest.mark.parametrize("name", DEMOS)
def test_every_demo_names_its_tasks_and_settings(name):
    demo = DEMOS[name]
    assert demo.summary
    assert len({task.name for task in demo.tasks()}) == 4
    assert demo.settings()


def test_tasks_are_columns(table):
    assert {task.name for task in DEMOS["digits"].tasks()} <= set(table.columns)
