"""Howe's interval, p values, Holm and the screen, against closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from polytask.studies import Part, half_width, holm, holm_adjusted, minimum_detectable_effect, p_value, screen

PARTS = [Part(4.0, 4), Part(9.0)]

variances = st.floats(1e-6, 1e6)
degrees = st.sampled_from([2.0, 4.0, 9.0, 499.0, np.inf])
parts = st.lists(st.builds(Part, variances, degrees), min_size=1, max_size=3)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=15)


def test_half_width_is_the_root_of_the_squared_single_intervals():
    t, z = stats.t.ppf(0.975, 4), stats.norm.ppf(0.975)
    assert half_width(PARTS) == pytest.approx(np.sqrt(t**2 * 4 + z**2 * 9))
    assert half_width(PARTS[:1]) == pytest.approx(t * 2)
    assert half_width(PARTS[1:]) == pytest.approx(z * 3)


def test_half_width_takes_arrays_of_variances():
    found = half_width([Part(np.array([1.0, 4.0]), 4), Part(np.array([0.0, 9.0]))])
    assert found == pytest.approx([half_width([Part(1.0, 4)]), half_width(PARTS)])


def test_p_value_of_one_part_is_that_of_the_t_test():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.5, 2.0):
        values = rng.normal(shift, 1, 7)
        found = p_value(values.mean(), [Part(values.var(ddof=1) / 7, 6)])
        assert found == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6)


def test_p_value_at_its_ends():
    assert p_value(0.0, PARTS) == 1.0
    assert p_value(1.0, [Part(0.0, 4), Part(0.0)]) == 1e-12
    assert p_value(0.0, [Part(0.0, 4)]) == 1.0
    assert np.isnan(p_value(np.nan, PARTS))
    assert np.isnan(p_value(1.0, [Part(np.nan, 0)]))


@given(difference=st.floats(1e-3, 1e3), parts=parts)
def test_p_value_is_the_level_whose_interval_ends_at_zero(difference, parts):
    p = p_value(difference, parts)
    if 1e-12 < p < 1:
        assert half_width(parts, p) == pytest.approx(difference, rel=1e-6, abs=1e-9 * half_width(parts))
    assert p_value(-difference, parts) == p


@given(parts=parts, levels=st.tuples(st.floats(1e-6, 0.99), st.floats(1e-6, 0.99)))
def test_a_higher_level_is_a_narrower_interval(parts, levels):
    low, high = sorted(levels)
    assert half_width(parts, high) <= half_width(parts, low)


@given(parts=parts, difference=st.floats(0.01, 100), scale=st.floats(0.01, 100))
def test_units_do_not_matter(parts, difference, scale):
    scaled = [Part(part.variance * scale**2, part.degrees) for part in parts]
    assert half_width(scaled) == pytest.approx(scale * half_width(parts))
    assert minimum_detectable_effect(scaled) == pytest.approx(scale * minimum_detectable_effect(parts))
    assert p_value(scale * difference, scaled) == pytest.approx(p_value(difference, parts), rel=1e-5, abs=1e-12)


def test_minimum_detectable_effect_adds_the_quantiles_of_power():
    expected = half_width(PARTS, 0.01) + np.sqrt(stats.t.ppf(0.8, 4) ** 2 * 4 + stats.norm.ppf(0.8) ** 2 * 9)
    assert minimum_detectable_effect(PARTS, 0.01) == pytest.approx(expected)
    assert minimum_detectable_effect(PARTS, 0.01, power=0.9) > expected


def test_holm_stops_at_the_first_that_is_not_rejected():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])
    # 0.024 alone would be below 0.05/2, but 0.02 > 0.05/3 came first.
    assert (np.array([0.02, 0.024, 0.9]) <= holm([0.02, 0.024, 0.9])).tolist() == [False, False, False]
    assert holm([0.04]).tolist() == [0.05]
    assert holm([]).tolist() == []


def reject_by_hand(p, level):
    """Holm, from the book: in order, until one fails."""
    rejected = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] > level / (len(p) - step):
            break
        rejected.add(index)
    return rejected


@given(p=p_values, level=st.sampled_from([0.01, 0.05, 0.1]))
def test_holm_rejects_what_the_book_rejects(p, level):
    expected = reject_by_hand(p, level)
    assert set(np.flatnonzero(np.array(p) <= holm(p, level))) == expected


@given(p=p_values, seed=st.integers(0, 100))
def test_the_order_of_tests_does_not_matter(p, seed):
    order = np.random.default_rng(seed).permutation(len(p))
    values = np.array(p)
    for function in (holm, holm_adjusted, screen):
        assert function(values[order]).tolist() == function(values)[order].tolist()


def test_adjusted_p_values_by_hand():
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([0.6, 0.7]).tolist() == [1.0, 1.0]


def test_screen_is_that_of_benjamini_and_hochberg():
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    below = np.array(p) <= 0.1 * np.arange(1, 11) / 10  # the largest such is the seventh, and all before it follow
    assert np.flatnonzero(below)[-1] == 5
    assert screen(p).tolist() == [True] * 6 + [False] * 4
    assert screen([]).tolist() == []


@pytest.mark.parametrize("function", [holm, holm_adjusted, screen])
@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan])
def test_what_is_no_p_value_is_refused(function, wrong):
    with pytest.raises(ValueError, match=r"p value .* at place 1: a number between 0 and 1 is wanted"):
        function([0.5, wrong])
