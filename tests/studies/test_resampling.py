"""Resampled evidence agrees with that of row values, where a metric has both."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from polytask.studies import accuracy, evidence_of, influence_on_skill, resampled_evidence, roc_auc


def arms(num_rows=200):
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, num_rows)
    flips = rng.random((2, 4, num_rows)) < np.array([0.1, 0.2])[:, None, None]
    candidate, twin = np.where(flips, 1 - target, target)
    return candidate, twin, target


def share_right(output, target):
    return float(np.mean(output == target))


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 10)])
def test_of_a_mean_it_is_what_row_losses_say(groups):
    candidate, twin, target = arms()
    D = influence_on_skill(accuracy(candidate, target), accuracy(twin, target), constant=0.6)
    expected = evidence_of(D, groups=groups, unit=0.4)
    found = resampled_evidence(
        share_right, candidate, twin, target, constant=0.6, groups=groups, generator=np.random.default_rng(1)
    )
    assert found.difference == pytest.approx(expected.difference)
    assert found.unit == pytest.approx(expected.unit)
    assert (found.seeds, found.rows, found.groups) == (expected.seeds, expected.rows, expected.groups)
    assert found.parts[0].variance == pytest.approx(expected.parts[0].variance)
    assert found.parts[1].variance == pytest.approx(expected.parts[1].variance, rel=0.15)
    assert [part.degrees for part in found.parts] == [part.degrees for part in expected.parts]


def area(score, positive):
    values = roc_auc(score[None], positive)
    return float(values.mean())


def test_of_the_area_it_is_about_what_placement_values_say():
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.3
    candidate, twin = rng.normal(size=(2, 3, 300)) + np.array([1.5, 1.0])[:, None, None] * positive
    D = influence_on_skill(roc_auc(candidate, positive), roc_auc(twin, positive), constant=0.5)
    expected = evidence_of(D)
    found = resampled_evidence(
        area, candidate, twin, positive, constant=0.5, resamples=400, generator=np.random.default_rng(1)
    )
    assert found.difference == pytest.approx(expected.difference)
    assert found.parts[1].variance == pytest.approx(expected.parts[1].variance, rel=0.2)


def test_any_metric_and_the_same_numbers_again():
    candidate, twin, target = arms(100)

    def f1(output, truth):
        return f1_score(truth, output)

    one, other = (
        resampled_evidence(
            f1, candidate, twin, target, constant=0.6, resamples=8, generator=np.random.default_rng(seed)
        )
        for seed in (3, 3)
    )
    assert one == other
    assert one.difference > 0


def test_undefined_resamples_leave_the_error_undefined():
    rng = np.random.default_rng(0)
    positive = np.arange(40) < 2  # a resample often draws no two of them
    score = rng.normal(size=(2, 3, 40))
    found = resampled_evidence(area, *score, positive, constant=0.5, resamples=50, generator=rng)
    assert np.isnan(found.parts[1].variance)
    assert np.isfinite(found.difference)


def test_a_perfect_constant_leaves_the_difference_undefined():
    candidate, twin, target = arms(50)
    found = resampled_evidence(
        share_right, candidate, twin, target, constant=1.0, resamples=5, generator=np.random.default_rng(0)
    )
    assert np.isnan(found.difference)


def test_refused():
    candidate, twin, target = arms(20)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"candidate \[3, 20\] and of the twin \[4, 20\]"):
        resampled_evidence(share_right, candidate[:3], twin, target, constant=0.6, generator=rng)
    with pytest.raises(ValueError, match=r"target's 19 rows"):
        resampled_evidence(share_right, candidate, twin, target[1:], constant=0.6, generator=rng)
    with pytest.raises(ValueError, match="resamples=1"):
        resampled_evidence(share_right, candidate, twin, target, constant=0.6, resamples=1, generator=rng)
    with pytest.raises(ValueError, match="one group for each of the 20 rows"):
        resampled_evidence(share_right, candidate, twin, target, constant=0.6, groups=np.arange(3), generator=rng)
