"""Losses against their formulas, and against cross entropy where they are it."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from polytask.errors import SchemaError
from polytask.feature import Feature
from polytask.tasks import Classification, Multilabel
from polytask.tasks.classes import weights_by_class

ALL = np.ones(4, dtype=bool)
BINARY = np.array([0, 1, 1, 1])
SEVERAL = np.array(["a", "b", "c", "a"])
LABELS = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])


def loss(task, values, output):
    present = np.ones(values.shape, dtype=bool)
    fitted = task.fit(values, present)
    target, kept = task.encode(values, present, fitted)
    return task.loss(output, target, kept, torch.ones(kept.shape))[0]


def test_effective_number_is_the_papers():
    # Cui et al.: E_n = (1 - b^n)/(1 - b), weights 1/E_n with sum C.
    counts, beta = [1000, 10, 100_000, 0], 0.9999
    effective = [(1 - beta**n) / (1 - beta) for n in counts[:3]]
    assert effective == pytest.approx([951.67, 9.9955, 9999.55], rel=1e-4)
    inverse = 1 / np.array(effective)
    found = weights_by_class("effective", "abcd", counts, beta)
    np.testing.assert_allclose(found[:3], 3 * inverse / inverse.sum(), rtol=1e-9)
    assert found[3] == 1.0
    assert weights_by_class("effective", "ab", [3, 7], 0.0) == [1.0, 1.0]
    balanced = np.array(weights_by_class("balanced", "ab", [3, 7]))
    np.testing.assert_allclose(balanced, compute_class_weight("balanced", classes=np.arange(2), y=[0] * 3 + [1] * 7))
    near_one = np.array(weights_by_class("effective", "ab", [3, 7], 1 - 1e-9))
    np.testing.assert_allclose(near_one, 2 * balanced / balanced.sum(), rtol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1}])
def test_a_focal_loss_of_gamma_0_is_cross_entropy_bit_for_bit(settings):
    for task, values, shape in (
        (Classification, BINARY, (4,)),
        (Classification, SEVERAL, (4, 3)),
        (lambda name, **s: Multilabel(name, columns=("p", "q"), **s), LABELS, (4, 2)),
    ):
        output = torch.randn(shape)
        focal = loss(task("t", criterion="focal", gamma=0.0, **settings), values, output)
        assert torch.equal(focal, loss(task("t", **settings), values, output))


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (2.0, 0.25), (0.5, 0.75), (0.0, 0.25)])
def test_focal_is_the_formula(gamma, alpha):
    logit = torch.randn(4, dtype=torch.float64)
    p = logit.sigmoid()
    positive = torch.from_numpy(BINARY) == 1
    p_t = torch.where(positive, p, 1 - p)
    a_t = torch.where(positive, alpha, 1 - alpha) if alpha is not None else 1.0
    expected = (-a_t * (1 - p_t) ** gamma * p_t.log()).sum()
    task = Classification("t", criterion="focal", gamma=gamma, alpha=alpha)
    torch.testing.assert_close(loss(task, BINARY, logit), expected)
    labels = Multilabel("t", columns=("p", "q"), criterion="focal", gamma=gamma, alpha=alpha)
    two = torch.randn(4, 2, dtype=torch.float64)
    each = next(torch.where(torch.from_numpy(LABELS) == 1, z, 1 - z) for z in (two.sigmoid(),))
    weight = torch.where(torch.from_numpy(LABELS) == 1, alpha, 1 - alpha) if alpha is not None else 1.0
    torch.testing.assert_close(loss(labels, LABELS, two), (-weight * (1 - each) ** gamma * each.log()).sum())


def test_focal_of_several_classes_is_the_formula():
    logits = torch.randn(4, 3, dtype=torch.float64)
    p_t = logits.softmax(dim=1)[torch.arange(4), torch.tensor([0, 1, 2, 0])]
    found = loss(Classification("t", criterion="focal"), SEVERAL, logits)
    torch.testing.assert_close(found, (-((1 - p_t) ** 2) * p_t.log()).sum())


@pytest.mark.parametrize("gamma", [0.3, 2.0])
@pytest.mark.parametrize("size", [200.0, -200.0])
def test_focal_gradients_are_finite_where_probabilities_are_not(gamma, size):
    for values, output in ((BINARY, torch.full((4,), size)), (SEVERAL, torch.tensor([[size, 0.0, 0.0]] * 4))):
        output.requires_grad_()
        found = loss(Classification("t", criterion="focal", gamma=gamma), values, output)
        found.backward()
        assert torch.isfinite(found)
        assert torch.isfinite(output.grad).all()


def test_labels_are_smoothed():
    output = torch.randn(4, 2)
    smooth = torch.from_numpy(LABELS).float() * 0.8 + 0.1
    found = loss(Multilabel("t", columns=("p", "q"), label_smoothing=0.2), LABELS, output)
    torch.testing.assert_close(found, functional.binary_cross_entropy_with_logits(output, smooth, reduction="sum"))


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logits_are_adjusted_in_training_alone(tau):
    cases = [
        (Classification("t"), BINARY, tau * np.log(3 / 1)),
        (Classification("t"), SEVERAL, tau * np.log([2 / 4, 1 / 4, 1 / 4])),
        (Multilabel("t", columns=("p", "q")), LABELS[:3], tau * np.log([2 / 1, 2 / 1])),
    ]
    for task, values, offset in cases:
        adjusted = type(task)(**{**task.__dict__, "logit_adjustment": tau})
        fitted = adjusted.fit(values, np.ones(values.shape, dtype=bool))
        torch.manual_seed(0)
        plain = task.head(fitted, (3,))
        torch.manual_seed(0)
        head = adjusted.head(fitted, (3,))
        feature = [Feature(torch.randn(5, 3))]
        expected = (plain(feature).detach().double().numpy() + offset).astype(np.float32)
        np.testing.assert_allclose(head(feature).detach(), expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(head.eval()(feature), plain(feature))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": 1.0}, r"task 't': beta is in \[0, 1\), got 1.0"),
        ({"gamma": -1.0}, "gamma is a number >= 0, got -1.0"),
        ({"alpha": 1.5, "criterion": "focal"}, r"alpha is in \(0, 1\) or None, got 1.5"),
        ({"alpha": 0.5}, "alpha is of criterion='focal'"),
        ({"logit_adjustment": -0.1}, "logit_adjustment is a number >= 0, got -0.1"),
        ({"threshold": 1.0}, r"threshold is in \(0, 1\) or 'tuned', got 1.0"),
        ({"label_smoothing": 1.0}, r"label_smoothing is in \[0, 1\), got 1.0"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    for make in (Classification, lambda name, **s: Multilabel(name, columns=["p", "q"], **s)):
        with pytest.raises(ValueError, match=said):
            make("t", **settings)


@pytest.mark.parametrize("settings", [{"threshold": 0.3}, {"threshold": "tuned"}, {"alpha": 0.2, "criterion": "focal"}])
def test_what_is_for_two_classes(settings):
    with pytest.raises(SchemaError, match=rf"{next(iter(settings))}=.* is for two classes, but there are 3"):
        Classification("t", **settings).fit(SEVERAL, ALL)


def test_papers_of_what_is_asked_for():
    asked = Classification("t", class_weight="effective", criterion="focal", logit_adjustment=1.0)
    assert asked.papers() == ("cui2019", "lin2017", "menon2021")
    assert Multilabel("t").papers() == ()
