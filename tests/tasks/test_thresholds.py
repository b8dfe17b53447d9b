import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from polytask.tasks import Classification, Multilabel, thresholds
from polytask.tasks.thresholds import best_cut

SCORES = {
    "f1": lambda y, p: f1_score(y, p, zero_division=0.0),
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
}
ROWS = st.lists(
    st.tuples(st.sampled_from([-3.0, -1.5, -1.0, 0.0, 0.25, 2.0, 7.0]), st.booleans()), min_size=2, max_size=9
)


@given(rows=ROWS, metric=st.sampled_from(sorted(SCORES)))
def test_no_cut_is_better(rows, metric):
    logits, positive = np.array([z for z, _ in rows]), np.array([y for _, y in rows])
    cut = best_cut(logits, positive, metric)
    if not positive.any() or (metric == "balanced_accuracy" and positive.all()):
        assert cut == 0
        return
    score = SCORES[metric]
    every = [-9.0, *(np.sort(logits) + 1e-6), -0.5]
    assert score(positive, logits > cut) >= max(score(positive, logits > other) for other in every) - 1e-9


def test_a_half_is_kept_where_it_is_as_good():
    assert best_cut(np.array([-2.0, 3.0]), np.array([False, True])) == 0
    assert best_cut(np.array([1.0, 2.0]), np.array([False, True])) == 1.5


def make(threshold, **settings):
    task = Classification("t", threshold=threshold, **settings)
    values = np.array([0, 0, 0, 1])
    return task, task.fit(values, np.ones(4, dtype=bool))


def test_a_given_threshold_cuts_predictions_and_metrics():
    task, fitted = make(0.2)
    assert thresholds(fitted) == pytest.approx(0.2)
    output = torch.tensor([0.1, 0.25, 0.15, 0.3]).logit()
    assert task.decode(output, fitted)["t"].tolist() == [0, 1, 0, 1]
    target, present = torch.tensor([0, 1, 1, 1]), torch.ones(4) > 0
    found = task.evaluate(output, target, present, fitted)
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx(0.8)
    assert found["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["log_loss"] == pytest.approx(make(0.5)[0].evaluate(output, target, present, make(0.5)[1])["log_loss"])
    assert "cut" not in make(0.5)[1]


@pytest.mark.parametrize("primary", ["f1", "accuracy"])
@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.98])
def test_the_constant_is_on_the_best_side(primary, threshold):
    task, fitted = make(threshold, primary=primary)
    assert task.decode(task.constant(fitted, 1), fitted)["t"].tolist() == [int(primary == "f1")]


def test_it_is_tuned_on_present_rows():
    task, fitted = make("tuned")
    output = torch.tensor([-3.0, -2.0, -1.0, 5.0])
    target, present = torch.tensor([0, 1, 1, 0]), torch.tensor([True, True, True, False])
    tuned = task.tune(fitted, output, target, present)
    assert tuned == {**fitted, "cut": -2.5}
    assert task.decode(output, tuned)["t"].tolist() == [0, 1, 1, 1]
    assert task.tune(fitted, output, target, present & False) is fitted
    assert make(0.4)[0].tune(fitted, output, target, present) is fitted


def test_outputs_are_moved_from_cut_to_cut():
    task, fitted = make("tuned", primary="f1")
    output = torch.tensor([-3.0, -2.0, -1.0])
    moved = task.recut(output, {**fitted, "cut": -2.5}, fitted)
    assert moved.tolist() == [-0.5, 0.5, 1.5]
    assert moved.dtype == torch.float32
    assert make("tuned")[0].recut(output, {**fitted, "cut": -2.5}, fitted) is output


def test_every_label_has_its_own():
    task = Multilabel("t", columns=["p", "q", "r"], threshold="tuned", primary="macro_f1")
    values = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1]])
    fitted = task.fit(values, np.ones((4, 3), dtype=bool))
    output = torch.tensor([[-3.0, 1.0, 1.0], [-2.0, 2.0, 1.0], [-1.0, 3.0, 1.0]])
    target = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    tuned = task.tune(fitted, output, target, torch.ones(3, 3) > 0)
    assert tuned["cut"] == [-2.5, 2.5, 0.0]
    chosen = np.stack(list(task.decode(output, tuned).values()), axis=1)
    assert chosen.tolist() == [[0, 0, 1], [1, 0, 1], [1, 1, 1]]
    assert task.evaluate(output, target, torch.ones(3, 3) > 0, tuned)["macro_f1"] == 1.0
    assert thresholds(tuned)["r"] == 0.5
    assert task.recut(output, tuned, fitted)[0].tolist() == [-0.5, -1.5, 1.0]
    wrong = task.evaluate(output, target, torch.ones(3, 3) > 0, fitted)["hamming_loss"]
    assert task.evaluate(output, target, torch.ones(3, 3) > 0, tuned)["hamming_loss"] < wrong


def test_a_given_threshold_is_of_every_label():
    task = Multilabel("t", columns=["p", "q"], threshold=0.9, primary="hamming_loss")
    fitted = task.fit(np.array([[0, 1], [1, 1], [1, 0]]), np.ones((3, 2), dtype=bool))
    assert list(task.decode(torch.tensor([[2.0, 3.0]]), fitted).values()) == [np.array([0]), np.array([1])]
    assert np.concatenate(list(task.decode(task.constant(fitted, 1), fitted).values())).tolist() == [1, 1]
