"""Seeds, rows and groups: the variances against closed forms, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.studies import clustered_variance, evidence_of, row_variance

seeds = st.integers(0, 10_000)


def influence(seed, num_seeds=5, num_rows=40):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_seeds, 1)) + rng.normal(size=num_rows) + rng.normal(size=(num_seeds, num_rows))


def test_closed_form():
    D = np.array([[1.0, 2.0, 6.0], [2.0, 3.0, 4.0]])
    found = evidence_of(D)
    assert found.difference == 3.0
    assert [part.variance for part in found.parts] == pytest.approx([0.0, np.var([1.5, 2.5, 5.0], ddof=1) / 3])
    assert [part.degrees for part in found.parts] == [1, 2]
    assert (found.seeds, found.rows, found.groups) == (2, 3, None)
    shifted = evidence_of(D + np.array([[0.0], [2.0]]))
    assert [p.variance for p in shifted.parts] == pytest.approx([1.0, found.parts[1].variance])


def test_groups_of_one_size_are_the_variance_of_their_means():
    values = np.array([1.0, 3.0, 5.0, 5.0, 0.0, 1.0])
    groups = np.array(["a", "b", "c", "c", "a", "b"])
    assert clustered_variance(values, groups) == pytest.approx(np.var([0.5, 2.0, 5.0], ddof=1) / 3)


def test_groups_of_different_sizes():
    # Mean 2; deviations −1, −1 | 2: sums −2 and 2; 2/1 · (4 + 4) / 9.
    assert clustered_variance(np.array([1.0, 1.0, 4.0]), np.array([7, 7, 8])) == pytest.approx(16 / 9)


def test_groups_set_the_degrees_of_freedom():
    found = evidence_of(influence(0), groups=np.repeat(np.arange(8), 5))
    assert found.groups == 8
    assert found.parts[1].degrees == 7


def test_rows_that_repeat_within_groups_tell_nothing_new():
    D = influence(0, num_rows=10)
    once, thrice = evidence_of(D), evidence_of(np.repeat(D, 3, axis=1), groups=np.repeat(np.arange(10), 3))
    assert thrice.difference == pytest.approx(once.difference)
    assert thrice.interval() == pytest.approx(once.interval())


@given(seeds)
def test_groups_of_one_row_are_no_groups(seed):
    D = influence(seed)
    alone, grouped = evidence_of(D), evidence_of(D, groups=np.arange(40))
    assert grouped.parts[1].variance == pytest.approx(alone.parts[1].variance)
    assert grouped.interval() == pytest.approx(alone.interval())


@given(seeds)
def test_swapping_the_arms_turns_the_sign(seed):
    D = influence(seed)
    one, other = evidence_of(D), evidence_of(-D)
    assert other.difference == -one.difference
    assert other.p == pytest.approx(one.p)
    assert other.interval() == pytest.approx((-one.interval()[1], -one.interval()[0]))


@given(seeds)
def test_order_of_seeds_and_rows_and_names_of_groups_do_not_matter(seed):
    rng, D = np.random.default_rng(seed), influence(seed)
    groups = rng.integers(0, 9, 40)
    rows, order = rng.permutation(40), rng.permutation(5)
    one = evidence_of(D, groups=groups)
    other = evidence_of(D[order][:, rows], groups=np.array([f"g{9 - g}" for g in groups])[rows])
    assert other.interval() == pytest.approx(one.interval())
    assert other.p == pytest.approx(one.p)


@given(seeds, st.floats(0.01, 100))
def test_scale(seed, scale):
    D = influence(seed)
    assert evidence_of(scale * D).interval() == pytest.approx([scale * x for x in evidence_of(D).interval()])
    assert evidence_of(scale * D).p == pytest.approx(evidence_of(D).p, rel=1e-5)


def test_one_seed_or_row_or_group_leaves_its_variance_undefined():
    assert np.isnan(evidence_of(np.ones((1, 5))).parts[0].variance)
    assert np.isnan(row_variance(np.ones(1)))
    assert np.isnan(clustered_variance(np.ones(5), np.zeros(5)))


def test_refused():
    with pytest.raises(ValueError, match=r"shape \[5\]: a table \[seeds, rows\]"):
        evidence_of(np.ones(5))
    with pytest.raises(ValueError, match=r"shape \[3, 0\]"):
        evidence_of(np.ones((3, 0)))
    with pytest.raises(ValueError, match=r"groups of shape \[4\]: one group for each of the 5 rows"):
        evidence_of(np.ones((3, 5)), groups=np.arange(4))
