"""What baselines read of encoded inputs: levels, scales, pictures, sparse and dense alike."""

import time
import warnings

import numpy as np
import pytest
import torch

from polytask.feature import CATEGORIES, NUMBERS
from polytask.studies.baselines import LightGBM, Linear, Rows, Trees, fit_baseline
from polytask.studies.baselines.columns import LARGEST_PICTURE, LinearColumns, TreeColumns
from polytask.tasks import Classification


def inputs_of(num_rows=300, levels=40, seed=0):
    rng = np.random.default_rng(seed)
    return {
        NUMBERS: torch.from_numpy(rng.normal(2, 3, (num_rows, 2)).astype(np.float32)),
        CATEGORIES: torch.from_numpy(rng.integers(0, levels, (num_rows, 2))),
    }


def test_trees_get_the_frequent_levels_and_one_for_all_others():
    counts = {7: 5, 3: 4, 9: 3, 4: 2, 1: 1}
    training = {CATEGORIES: torch.tensor([code for code, n in counts.items() for _ in range(n)])[:, None]}
    columns = TreeColumns(training, most_levels=4)
    found = columns({CATEGORIES: torch.tensor([[3], [7], [9], [4], [1], [100]])})
    assert found.ravel().tolist() == [0, 1, 2, 3, 3, 3]
    assert columns.is_category.tolist() == [0]
    every = TreeColumns(training)({CATEGORIES: torch.tensor([[1], [3], [4], [7], [9], [100]])})
    assert every.ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("levels", [254, 255, 256, 900])
def test_trees_take_any_number_of_levels(levels):
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(np.concatenate([np.arange(levels), rng.integers(0, levels, 200)]))[:, None]
    found = TreeColumns({CATEGORIES: codes}, 255)({CATEGORIES: codes})
    assert len(np.unique(found)) == min(levels, 255)


def test_numbers_are_standardised_by_training_rows_and_new_levels_are_nothing():
    training, other = inputs_of(levels=3), inputs_of(levels=5, seed=1)
    columns = LinearColumns(training)
    found = columns(training)
    np.testing.assert_allclose(found[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found[:, :2].std(axis=0), 1, atol=1e-6)
    assert (found[:, 2:].sum(axis=1) == 2).all()
    known = (other[CATEGORIES] < 3).sum(dim=1).numpy()
    assert (columns(other)[:, 2:].sum(axis=1) == known).all()


def test_a_constant_number_stays_finite():
    found = LinearColumns({NUMBERS: torch.ones(5, 2)})({NUMBERS: torch.tensor([[1.0, 3.0]])})
    assert found.tolist() == [[0.0, 2.0]]


def test_wide_categories_are_sparse_and_the_same():
    training = inputs_of()
    columns = LinearColumns(training)
    assert columns.is_sparse
    found = columns(training)
    columns.is_sparse = False
    np.testing.assert_array_equal(found.toarray(), columns(training))
    assert not LinearColumns(inputs_of(levels=3)).is_sparse


def test_pixels_share_one_spread_and_large_pictures_are_averaged():
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.normal(size=(50, 2, 3, 4)).astype(np.float32))
    pixels[:, 0, 0, 0] *= 1e-6
    found = LinearColumns({"photo": pixels})({"photo": pixels})
    assert found.shape == (50, 24)
    assert np.abs(found[:, 0]).max() < 1e-4
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1)
    large = {"photo": torch.rand(3, 1, 2 * LARGEST_PICTURE, 10)}
    small = TreeColumns(large)(large).reshape(3, LARGEST_PICTURE, 10)
    np.testing.assert_allclose(small, large["photo"].reshape(3, LARGEST_PICTURE, 2, 10).mean(dim=2), rtol=1e-6)


def test_every_baseline_reads_numbers_categories_and_pictures_together():
    inputs = inputs_of() | {"photo": torch.rand(300, 1, 4, 4)}
    for cls in (Trees, Linear):
        assert cls(inputs).matrix(inputs).shape[0] == 300
    pytest.importorskip("lightgbm")
    assert LightGBM(inputs).matrix(inputs).shape == (300, 2 + 2 + 16)


def bits(num_rows=2000, num_bits=512):
    """Classes that many bits separate: a weak penalty has a far optimum."""
    rng = np.random.default_rng(0)
    found = (rng.random((num_rows, num_bits)) < 0.05).astype(np.float32)
    positive = found[:, :20].sum(axis=1) + rng.normal(0, 0.7, num_rows) > 1.5
    target, present = torch.from_numpy(positive).long(), torch.ones(num_rows, dtype=torch.bool)
    halves = (slice(0, num_rows // 2), slice(num_rows // 2, None))
    return [Rows({NUMBERS: torch.from_numpy(found[half])}, target[half], present[half]) for half in halves]


def test_wide_inputs_are_learnt_quickly_and_without_a_warning():
    task, fitted = Classification("active"), {"classes": [0, 1], "counts": [1, 1]}
    training, validation = bits()
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_baseline("linear", task, fitted, training, validation)
    assert time.perf_counter() - began < 20
    assert found.setting == {"C": 0.01}
    assert found.validation_skill > 0.4


def test_lightgbm_gives_the_same_on_any_number_of_threads(monkeypatch):
    pytest.importorskip("lightgbm")
    task, fitted = Classification("active"), {"classes": [0, 1], "counts": [1, 1]}
    training, validation = bits(600, 30)
    one = fit_baseline("lightgbm", task, fitted, training, validation).outputs(validation.inputs)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    two = fit_baseline("lightgbm", task, fitted, training, validation).outputs(validation.inputs)
    assert torch.equal(one, two)
