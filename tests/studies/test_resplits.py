"""The corrected t test: its formula, and that it holds its level where the plain one does not."""

import numpy as np
import pytest
from scipy import stats

from polytask.studies import decide, half_width, resplit_evidence


def test_formula():
    d = np.array([0.1, 0.3, 0.2, 0.4, 0.0])
    found = resplit_evidence(d, test_share=0.2, rows=500)
    t = d.mean() / np.sqrt((1 / 5 + 0.2 / 0.8) * d.var(ddof=1))
    assert found.p == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-6)
    assert found.difference == pytest.approx(0.2)
    assert found.seeds == 5


def test_ten_folds_count_for_less_than_five_apart():
    d = np.random.default_rng(0).normal(size=10)
    found = resplit_evidence(d, test_share=0.1, rows=1000)
    assert found.parts[0].variance / d.var(ddof=1) == pytest.approx(1 / 10 + 1 / 9)


def test_it_goes_into_a_verdict():
    d = np.random.default_rng(0).normal(0.3, 0.05, 10)
    found = decide({"a": resplit_evidence(d, test_share=0.1, rows=1000)})["a"]
    assert found.word == "helps"
    assert found.seeds == 10
    two = decide({"a": resplit_evidence(d[:2], test_share=0.5, rows=1000)})["a"]
    assert two.word == "no verdict"


def test_level_where_splits_share_their_rows():
    """y follows two inputs alike, and each learner sees one of them: by symmetry there is no difference."""
    rng = np.random.default_rng(0)
    studies, splits, n, m = 800, 15, 60, 12
    x = rng.normal(size=(2, studies, 1, n))
    y = x.sum(axis=0) + rng.normal(size=(studies, 1, n))
    order = rng.random((studies, splits, n)).argsort(axis=2)
    x, y = np.take_along_axis(x, order[None], axis=3), np.take_along_axis(y, order, axis=2)
    slope = (x * y)[..., m:].sum(axis=3) / (x**2)[..., m:].sum(axis=3)
    errors = ((y - slope[..., None] * x)[..., :m] ** 2).mean(axis=3)
    d = errors[0] - errors[1]
    found = [resplit_evidence(row, test_share=m / n, rows=n) for row in d]
    corrected = np.mean([abs(e.difference) >= half_width(e.parts) for e in found])
    plain = np.mean(stats.ttest_1samp(d, 0, axis=1).pvalue <= 0.05)
    assert plain > 0.15
    assert corrected <= 0.06


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 9.0, np.nan])
def test_shares_that_cannot_be(share):
    with pytest.raises(ValueError, match=r"test_share=.*: the test rows' share"):
        resplit_evidence(np.ones(5), test_share=share, rows=10)


def test_no_differences():
    with pytest.raises(ValueError, match=r"shape \[0\]: one for each split"):
        resplit_evidence(np.array([]), test_share=0.1, rows=10)
