"""Metrics against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from polytask.tasks import Classification, Multilabel, Ordinal, Regression
from polytask.tasks.scores import average_precision, roc_auc


@given(
    st.lists(
        st.tuples(st.integers(-3, 3) | st.floats(-1e6, 1e6, width=32), st.booleans()), min_size=2, max_size=60
    ).filter(lambda rows: len({positive for _, positive in rows}) == 2)
)
def test_roc_auc_with_ties(rows):
    score, positive = np.array([s for s, _ in rows], dtype=np.float64), np.array([p for _, p in rows])
    found = roc_auc(torch.from_numpy(score), torch.from_numpy(positive))
    assert found == pytest.approx(reference.roc_auc_score(positive, score), abs=1e-12)
    average = average_precision(torch.from_numpy(score), torch.from_numpy(positive))
    assert average == pytest.approx(reference.average_precision_score(positive, score), abs=1e-6)


def test_roc_auc_tells_large_logits_apart():
    score = torch.tensor([60.0, 61.0, 62.0, 63.0])
    assert roc_auc(score, torch.tensor([False, True, False, True])) == 0.75
    assert average_precision(score, torch.tensor([False, False, False, True])) == 1.0


def test_undefined_is_nan():
    score = torch.tensor([0.1, 0.2])
    assert np.isnan(roc_auc(score, torch.tensor([True, True])))
    assert np.isnan(roc_auc(score, torch.tensor([False, False])))
    assert np.isnan(roc_auc(torch.tensor([0.1, float("nan")]), torch.tensor([False, True])))
    assert np.isnan(average_precision(score, torch.tensor([False, False])))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def judged(task, values, output):
    present = np.ones(np.shape(values), dtype=bool)
    fitted = task.fit(values, present)
    target, kept = task.encode(values, present, fitted)
    return task.evaluate(output, target, kept, fitted), target.numpy()


def test_binary(rng):
    values, logit = rng.integers(0, 2, 80), torch.from_numpy(rng.normal(size=80).round(1))
    found, y = judged(Classification("a"), values, logit)
    p, chosen = logit.sigmoid().numpy(), (logit > 0).numpy()
    assert found == pytest.approx(
        {
            "roc_auc": reference.roc_auc_score(y, logit),
            "average_precision": reference.average_precision_score(y, p),
            "accuracy": reference.accuracy_score(y, chosen),
            "balanced_accuracy": reference.balanced_accuracy_score(y, chosen),
            "f1": reference.f1_score(y, chosen),
            "log_loss": reference.log_loss(y, p),
        },
        abs=1e-6,
    )


def test_several_classes(rng):
    values, logits = rng.integers(0, 4, 90), torch.from_numpy(rng.normal(size=(90, 4)))
    found, y = judged(Classification("a"), values, logits)
    p, chosen = logits.softmax(dim=1).numpy(), logits.argmax(dim=1).numpy()
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(y, chosen),
            "balanced_accuracy": reference.balanced_accuracy_score(y, chosen),
            "macro_f1": reference.f1_score(y, chosen, average="macro"),
            "macro_roc_auc": reference.roc_auc_score(y, p, multi_class="ovr"),
            "log_loss": reference.log_loss(y, p),
        },
        abs=1e-6,
    )


def test_classes_that_the_judged_rows_lack_do_not_count():
    task = Classification("a")
    fitted = {"classes": [0, 1, 2], "counts": [5, 5, 5]}
    target = torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, 1, 0], [2.0, 1, 0], [2.0, 1, 0], [0, 1.0, 0]])
    found = task.evaluate(logits, target, torch.ones(4, dtype=torch.bool), fitted)
    chosen = logits.argmax(dim=1)
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(target, chosen))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(target, chosen, average="macro"))
    p = logits.softmax(dim=1)
    areas = [reference.roc_auc_score(target == k, p[:, k]) for k in (0, 1)]
    assert found["macro_roc_auc"] == pytest.approx(np.mean(areas))


def test_regression(rng):
    values, output = rng.normal(500, 30, 70), torch.from_numpy(rng.normal(size=70).astype(np.float32))
    task = Regression("a")
    found, _ = judged(task, values, output)
    chosen = task.decode(output, task.fit(values, np.ones(70, dtype=bool)))["a"]
    assert found == pytest.approx(
        {
            "r2": reference.r2_score(values, chosen),
            "rmse": reference.root_mean_squared_error(values, chosen),
            "mae": reference.mean_absolute_error(values, chosen),
        },
        rel=1e-5,
    )


def test_r2_of_one_row_or_one_value_is_nan():
    task = Regression("a")
    fitted = {"mean": 0.0, "sd": 1.0, "median": 0.0}
    for rows in (1, 3):
        found = task.evaluate(torch.rand(rows), torch.ones(rows), torch.ones(rows, dtype=torch.bool), fitted)
        assert np.isnan(found["r2"])
        assert np.isfinite(found["rmse"])


def test_ordinal(rng):
    values = rng.integers(1, 6, 90)
    logits = torch.from_numpy(np.sort(rng.normal(size=(90, 4)))[:, ::-1].copy())
    found, y = judged(Ordinal("a"), values, logits)
    chosen = (logits > 0).sum(dim=1).numpy()
    assert found == pytest.approx(
        {
            "quadratic_kappa": reference.cohen_kappa_score(y, chosen, weights="quadratic"),
            "accuracy": reference.accuracy_score(y, chosen),
            "mean_rank_error": reference.mean_absolute_error(y, chosen),
        },
        abs=1e-6,
    )


def test_kappa_of_a_constant_is_zero_and_of_one_class_is_nan():
    task, fitted = Ordinal("a"), {"classes": [1, 2, 3], "counts": [4, 2, 2]}
    present = torch.ones(4, dtype=torch.bool)
    constant = task.constant(fitted, 4)
    assert task.evaluate(constant, torch.tensor([0, 1, 2, 0]), present, fitted)["quadratic_kappa"] == 0
    one = task.evaluate(torch.full((4, 2), -5.0), torch.zeros(4, dtype=torch.long), present, fitted)
    assert np.isnan(one["quadratic_kappa"])


def test_multilabel_with_missing_cells(rng):
    values = rng.integers(0, 2, (60, 4))
    present = rng.random((60, 4)) < 0.7
    task = Multilabel("a", columns=("p", "q", "r", "s"))
    fitted = task.fit(values, present)
    target, kept = task.encode(values, present, fitted)
    logits = torch.from_numpy(rng.normal(size=(60, 4)))
    found = task.evaluate(logits, target, kept, fitted)
    y = [values[present[:, k], k] for k in range(4)]
    z = [logits.numpy()[present[:, k], k] for k in range(4)]
    both = (np.concatenate(y), np.concatenate(z) > 0)
    assert found == pytest.approx(
        {
            "macro_roc_auc": np.mean([reference.roc_auc_score(*pair) for pair in zip(y, z, strict=True)]),
            "micro_f1": reference.f1_score(*both),
            "macro_f1": np.mean([reference.f1_score(a, b > 0) for a, b in zip(y, z, strict=True)]),
            "hamming_loss": reference.hamming_loss(*both),
        },
        abs=1e-6,
    )


def test_a_label_without_positives_is_left_out_of_macro_averages():
    task = Multilabel("a", columns=("p", "q"))
    target = torch.tensor([[1.0, 0], [0, 0], [1, 0]])
    found = task.evaluate(torch.tensor([[1.0, -1], [-1, 1], [1, -1]]), target, target >= 0, {})
    assert (found["macro_roc_auc"], found["macro_f1"]) == (1.0, 1.0)
