"""Row values against scikit-learn's metrics, DeLong's formula and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from polytask.studies import (
    ROW_VALUES,
    absolute_error,
    accuracy,
    evidence_of,
    influence_on_skill,
    log_loss,
    macro_roc_auc,
    mean_over,
    r2,
    roc_auc,
    root_mean_squared_error,
    squared_error,
)


def regression(seed=0, num_rows=50):
    rng = np.random.default_rng(seed)
    target = rng.normal(3, 2, num_rows)
    return target + rng.normal(0, 1, (4, num_rows)), target


def scores(seed=0, num_rows=60, ties=True):
    rng = np.random.default_rng(seed)
    positive = rng.random(num_rows) < 0.3
    positive[:4] = [True, True, False, False]
    score = rng.normal(size=(3, num_rows)) + positive
    return (score.round(1) if ties else score), positive


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        (absolute_error, metrics.mean_absolute_error),
        (squared_error, metrics.mean_squared_error),
        (r2, metrics.r2_score),
        (root_mean_squared_error, metrics.root_mean_squared_error),
    ],
)
def test_the_mean_over_rows_is_the_metric_of_numbers(values, reference):
    predicted, target = regression()
    assert values(predicted, target).mean(axis=1) == pytest.approx([reference(target, p) for p in predicted])


def test_the_mean_over_rows_is_the_metric_of_classes():
    rng = np.random.default_rng(0)
    target, probability = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), (4, 50))
    predicted = probability.argmax(axis=2)
    assert accuracy(predicted, target).mean(axis=1) == pytest.approx(
        [metrics.accuracy_score(target, p) for p in predicted]
    )
    assert log_loss(probability, target).mean(axis=1) == pytest.approx(
        [metrics.log_loss(target, p) for p in probability]
    )


def test_row_losses_in_closed_form():
    assert accuracy(np.array([["a", "b"]]), np.array(["a", "a"])).tolist() == [[1.0, 0.0]]
    assert log_loss(np.array([[[0.25, 0.75], [1.0, 0.0]]]), np.array([0, 1])) == pytest.approx(
        np.array([[np.log(4), 15 * np.log(10)]])
    )
    # MSE 5, so RMSE √5 and slopes (1 − 5)/(2√5), (9 − 5)/(2√5).
    root = np.sqrt(5)
    assert root_mean_squared_error(np.array([[1.0, 3.0]]), np.zeros(2)) == pytest.approx(
        np.array([[root - 2 / root, root + 2 / root]])
    )
    assert root_mean_squared_error(np.zeros((1, 3)), np.zeros(3)).tolist() == [[0.0, 0.0, 0.0]]


def test_skill_of_errors_and_of_scores():
    predicted, target = regression()
    other = predicted[:, ::-1]
    constant = float(np.mean((target - 2.5) ** 2))
    D = influence_on_skill(squared_error(predicted, target), squared_error(other, target), constant=constant, perfect=0)
    by_hand = [
        (1 - np.mean((p - target) ** 2) / constant) - (1 - np.mean((o - target) ** 2) / constant)
        for p, o in zip(predicted, other, strict=True)
    ]
    assert D.mean(axis=1) == pytest.approx(by_hand)
    # The same of R², whose constant is 1 − MSE₀/variance.
    scored = influence_on_skill(r2(predicted, target), r2(other, target), constant=1 - constant / np.var(target))
    assert scored == pytest.approx(D)


def test_skill_is_undefined_where_the_constant_is_perfect():
    assert np.isnan(influence_on_skill(np.ones((2, 3)), np.ones((2, 3)), constant=1.0)).all()
    assert np.isnan(r2(np.ones((2, 3)), np.ones(3))).all()


def test_arms_of_other_seeds_are_refused():
    with pytest.raises(ValueError, match=r"candidate \[2, 3\] and of the twin \[5, 3\]: the same seeds and rows"):
        influence_on_skill(np.ones((2, 3)), np.ones((5, 3)), constant=0.0)


def test_placement_values_in_closed_form():
    # Negatives .1, .4; positives .35, .8: placements 1/2 and 1, by the others 1 and 1/2; all stretched by √(4·3/2).
    found = roc_auc(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([False, False, True, True]))
    assert found == pytest.approx(0.75 + np.sqrt(6) * np.array([[0.25, -0.25, -0.25, 0.25]]))
    tied = roc_auc(np.zeros((1, 4)), np.array([False, False, True, True]))
    assert tied == pytest.approx(np.full((1, 4), 0.5))


@given(st.integers(0, 1000), st.booleans())
def test_placement_values_have_the_area_as_mean(seed, ties):
    score, positive = scores(seed, ties=ties)
    expected = [metrics.roc_auc_score(positive, s) for s in score]
    assert roc_auc(score, positive).mean(axis=1) == pytest.approx(expected)


def delong(score, other, positive):
    """Variance of the difference of two areas, by the double sums of the paper."""
    kernels = []
    for s in (score, other):
        x, y = s[positive][:, None], s[~positive][None, :]
        kernels.append((x > y) + 0.5 * (x == y))
    by_positive, by_negative = ([k.mean(axis=axis) for k in kernels] for axis in (1, 0))
    contrast = np.array([1, -1])
    return sum(contrast @ np.cov(np.stack(values)) @ contrast / len(values[0]) for values in (by_positive, by_negative))


@given(st.integers(0, 1000))
def test_the_variance_of_placement_values_is_delongs(seed):
    score, positive = scores(seed)
    D = roc_auc(score[:1], positive) - roc_auc(score[1:2], positive)
    assert D.var(ddof=1) / len(positive) == pytest.approx(delong(score[0], score[1], positive))


def test_one_class_or_one_row_of_a_class_has_no_placement_values():
    for positive in ([False] * 4, [True] * 4, [True, False, False, False]):
        assert np.isnan(roc_auc(np.ones((2, 4)), np.array(positive))).all()


def test_macro_area_over_labels_with_missing_cells():
    rng = np.random.default_rng(0)
    positive, present = rng.random((80, 4)) < 0.4, rng.random((80, 4)) < 0.7
    positive[:, 3] = False  # a label without positives is left out
    score = rng.normal(size=(3, 80, 4)) + positive
    found = macro_roc_auc(score, positive, present)
    for seed in range(3):
        areas = [metrics.roc_auc_score(positive[present[:, k], k], score[seed, present[:, k], k]) for k in range(3)]
        assert found[seed].mean() == pytest.approx(np.mean(areas))
    assert macro_roc_auc(score[:, :, :1], positive[:, :1]) == pytest.approx(roc_auc(score[:, :, 0], positive[:, 0]))
    assert np.isnan(macro_roc_auc(score, np.zeros((80, 4), dtype=bool))).all()


def test_the_mean_of_tasks_with_rows_of_their_own_adds_their_variances():
    rng = np.random.default_rng(0)
    D = {"a": rng.normal(size=(5, 300)), "b": rng.normal(1, 2, (5, 500))}
    joint = mean_over(D, {"a": np.arange(300), "b": np.arange(300, 800)}, num_rows=800)
    assert joint.mean(axis=1) == pytest.approx((D["a"].mean(axis=1) + D["b"].mean(axis=1)) / 2)
    apart = sum(evidence_of(values).parts[1].variance for values in D.values()) / 4
    assert evidence_of(joint).parts[1].variance == pytest.approx(apart, rel=0.005)


def test_the_mean_of_tasks_on_the_same_rows_is_the_mean_of_their_influences():
    rng = np.random.default_rng(0)
    D = {name: rng.normal(size=(5, 30)) for name in "abc"}
    joint = mean_over(D, dict.fromkeys(D, np.arange(30)), num_rows=30)
    assert joint == pytest.approx(np.mean(list(D.values()), axis=0))


def test_a_label_that_is_missing_adds_no_error():
    D = {"a": np.full((3, 10), 2.0), "b": np.full((3, 4), 4.0)}
    joint = mean_over(D, {"a": np.arange(10), "b": np.arange(4)}, num_rows=10)
    assert joint == pytest.approx(np.full((3, 10), 3.0))


def test_row_values_are_those_of_polytasks_metrics():
    from polytask.tasks import TASKS

    known = {metric.name for task in TASKS.values() for metric in task("x").metrics}
    assert set(ROW_VALUES) <= known | {"roc_auc", "macro_roc_auc", "log_loss", "accuracy"}
    assert {"mae", "rmse", "r2"} <= known


def test_linearised_rmse_has_the_variance_of_resamples():
    predicted, target = regression(num_rows=400)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 400, (2000, 400))
    drawn = np.sqrt(squared_error(predicted[:1], target)[0][rows].mean(axis=1))
    expected = root_mean_squared_error(predicted[:1], target).var(ddof=1) / 400
    assert expected == pytest.approx(drawn.var(), rel=0.15)
