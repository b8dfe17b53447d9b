import numpy as np
import pytest
import torch
from torch.nn import functional

from polytask.tasks import Classification
from polytask.tasks.positive_unlabelled import positive_unlabelled_risk

LOSSES = {"sigmoid": lambda z: torch.sigmoid(-z), "logistic": lambda z: functional.softplus(-z)}


@pytest.mark.parametrize("surrogate", LOSSES)
@pytest.mark.parametrize("size", [0.1, 6.0])
def test_the_risk_and_its_gradient_are_the_papers(surrogate, size):
    """Positive logits are high where size is: the bracket is then negative, and its gradient alone is followed."""
    loss, prior = LOSSES[surrogate], 0.7
    positive = torch.tensor([True, True, False, False, False])
    logits = torch.tensor([-size, -size, -size, -size, 0.2], dtype=torch.float64, requires_grad=True)
    of_positive = prior * loss(logits[:2]).mean()
    bracket = loss(-logits[2:]).mean() - prior * loss(-logits[:2]).mean()
    for sign in (1, -1):
        turned = (sign * logits).detach().requires_grad_()
        of_positive = prior * loss(turned[:2]).mean()
        bracket = loss(-turned[2:]).mean() - prior * loss(-turned[:2]).mean()
        objective = -bracket if bracket < 0 else of_positive + bracket
        (expected,) = torch.autograd.grad(objective, turned)
        found = positive_unlabelled_risk(turned, positive, torch.ones(5, dtype=torch.float64), prior, surrogate)
        torch.testing.assert_close(found, of_positive + bracket.clamp_min(0))
        torch.testing.assert_close(torch.autograd.grad(found, turned)[0], expected)


def test_the_bracket_may_be_negative():
    logits = torch.tensor([5.0, 5.0, -5.0], requires_grad=True)
    found = positive_unlabelled_risk(logits, torch.tensor([True, True, False]), torch.ones(3), 0.5)
    assert float(found.detach()) == pytest.approx(0.5 * float(torch.sigmoid(torch.tensor(-5.0))), rel=1e-4)
    found.backward()
    # Upwards: the bracket grows where positives look less like it.
    assert logits.grad[2] < 0 < logits.grad[0]


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_sided_batches_work(positive):
    logits = torch.randn(2, requires_grad=True)
    found = positive_unlabelled_risk(logits, torch.tensor(positive), torch.ones(2), 0.3)
    expected = 0.3 * (-logits).sigmoid().mean() if positive[0] else logits.sigmoid().mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()


def test_it_is_an_estimate_of_the_supervised_risk():
    g = torch.Generator().manual_seed(0)
    prior, number = 0.4, 200_000
    is_positive = torch.rand(number, generator=g) < prior
    x = torch.randn(number, generator=g) + 2 * is_positive
    known = torch.randn(number, generator=g) + 2  # positives of their own
    score = lambda z: z - 1.0  # noqa: E731
    supervised = torch.where(is_positive, (-score(x)).sigmoid(), score(x).sigmoid()).mean()
    rows = torch.cat([score(known), score(x)])
    found = positive_unlabelled_risk(rows, torch.arange(2 * number) < number, torch.ones(2 * number), prior)
    assert float(found) == pytest.approx(float(supervised), abs=5e-3)


def test_it_is_the_loss_of_a_task():
    task = Classification("t", criterion="nnpu", prior=0.3)
    values = np.array([0, 1, 0, 1])
    fitted = task.fit(values, np.ones(4, dtype=bool))
    target, present = task.encode(values, np.array([True, True, True, False]), fitted)
    output, weight = torch.randn(4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    total, count = task.loss(output, target, present, weight)
    expected = positive_unlabelled_risk(output[:3], target[:3] == 1, weight[:3], 0.3)
    assert float(count) == 6
    torch.testing.assert_close(total / count, expected)
    assert task.papers() == ("kiryo2017",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"criterion": "nnpu"}, r"criterion='nnpu' wants prior=…, the share of positives .* got None"),
        ({"criterion": "nnpu", "prior": 1.0}, r"in \(0, 1\); got 1.0"),
        ({"prior": 0.5}, "prior is of criterion='nnpu', not 'cross_entropy'"),
        (
            {"criterion": "nnpu", "prior": 0.5, "label_smoothing": 0.1},
            "label_smoothing has no place in criterion='nnpu'",
        ),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(ValueError, match=said):
        Classification("t", **settings)
