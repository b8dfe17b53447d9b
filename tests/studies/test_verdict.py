"""Words in their order, the family of tests, and what withholds a verdict."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.studies import (
    Evidence,
    Part,
    decide,
    evidence_of,
    half_width,
    holm,
    influence_on_skill,
    minimum_detectable_effect,
    reason_for_none,
)
from polytask.studies.verdict import hidden_difference


def evidence(difference=0.0, half=0.05, **changes):
    """Evidence whose 95 % interval has this half-width, all of it from rows."""
    variance = (half / float(half_width([Part(1.0)]))) ** 2
    known = {"parts": (Part(0.0, 4), Part(variance)), "seeds": 5, "rows": 1000}
    return Evidence(difference=difference, **known | changes)


@pytest.mark.parametrize(
    ("difference", "half", "word"),
    [
        (0.06, 0.05, "helps"),
        (-0.06, 0.05, "hurts"),
        (0.04, 0.05, "cannot tell"),
        (0.0, 0.05, "cannot tell"),
        (0.0, 0.009, "practically equal"),
        (0.004, 0.003, "practically equal"),  # certainly better, by too little to matter
        (0.008, 0.003, "helps"),  # the interval leaves the region
    ],
)
def test_words(difference, half, word):
    found = decide({"a": evidence(difference, half)})["a"]
    assert found.word == word
    assert found.interval == pytest.approx((difference - half, difference + half))
    assert found.reason == ""


def test_a_region_of_ones_own():
    tasks = {"a": evidence(0.06), "b": evidence(0.06)}
    assert [v.word for v in decide(tasks, region=0.2).values()] == ["practically equal"] * 2
    assert [v.word for v in decide(tasks, region={"a": 0.2, "b": 0}).values()] == ["practically equal", "helps"]


def test_many_tasks_ask_for_more():
    alone = evidence(0.06)
    assert decide({"a": alone})["a"].word == "helps"
    found = decide({"a": alone} | {f"t{i}": evidence(0.0) for i in range(11)})
    assert found["a"].word == "cannot tell"
    assert found["a"].level == pytest.approx(0.05 / 12)
    assert found["a"].interval == decide({"a": alone})["a"].interval
    assert found["a"].adjusted_interval[0] < 0


def test_minimum_detectable_effect_at_the_level_of_the_verdict():
    tasks = {"a": evidence(unit=0.5), "b": evidence()}
    found = decide(tasks)["a"]
    assert found.mde == pytest.approx(minimum_detectable_effect(tasks["a"].parts, 0.025))
    assert found.metric_mde == pytest.approx(found.mde / 2)


REASONS = [
    ({"seeds": 2}, "2 seeds, and at least 3 are needed"),
    ({"seeds": 1}, "1 seed, and at least 3 are needed"),
    ({"rows": 9}, "9 test labels, and at least 10 are needed"),
    ({"rows": 0}, "no test labels, and at least 10 are needed"),
    ({"classes": 1}, "all test labels are of one class"),
    ({"classes": 2, "fewest": 4}, "4 test labels of the rarest class, and at least 10 are needed"),
    ({"groups": 5}, "5 groups of test rows, and at least 6 are needed"),
    ({"difference": math.nan}, "the difference in skill is undefined on these test rows"),
    ({"parts": (Part(0.1, 4), Part(math.nan))}, "the error of the difference is undefined on these test rows"),
]


@pytest.mark.parametrize(("changes", "reason"), REASONS)
def test_no_verdict_and_why(changes, reason):
    found = dataclasses.replace(evidence(0.2), **changes)
    assert reason_for_none(found) == reason
    verdict = decide({"a": found, "b": evidence(0.06)})
    assert (verdict["a"].word, verdict["a"].reason) == ("no verdict", reason)
    assert math.isnan(verdict["a"].p)
    # It takes nothing from the others.
    assert verdict["b"] == decide({"b": evidence(0.06)})["b"]


def test_just_enough():
    found = evidence(0.2, seeds=3, rows=10, classes=2, fewest=10, groups=6)
    assert reason_for_none(found) == ""
    assert decide({"a": found})["a"].word == "helps"


def test_nothing_to_judge():
    assert decide({}) == {}
    assert decide({"a": evidence(seeds=1)})["a"].word == "no verdict"


def alike(rows, **known):
    """Evidence of rows that both arms answer alike."""
    return evidence_of(np.zeros((5, rows)), **known)


@pytest.mark.parametrize(("rows", "word"), [(10, "cannot tell"), (299, "cannot tell"), (300, "practically equal")])
def test_rows_that_are_all_alike_hide_what_the_rule_of_three_says(rows, word):
    found = decide({"a": alike(rows)})["a"]
    hidden = -np.log(0.05) / rows
    assert found.word == word
    assert found.interval == found.adjusted_interval == pytest.approx((-hidden, hidden))
    assert (found.mde, found.p) == (pytest.approx(hidden), 1.0)
    # Where this share of all rows differs, at most one study in twenty has none among its own.
    assert 0.02 < (1 - hidden) ** rows <= 0.05
    said = f"none of {rows} test rows differs between the arms, and so up to {3 / rows:.0%} of all may"
    assert found.reason == (said if word == "cannot tell" else "")


def test_what_is_hidden_follows_groups_the_rarest_class_the_level_and_the_unit():
    two = decide({"a": alike(1000), "b": alike(1000)})["a"]
    assert two.adjusted_interval[1] == two.mde == pytest.approx(np.log(2 / 0.05) / 1000)
    grouped = decide({"a": alike(1000, groups=np.arange(1000) % 20)})["a"]
    assert grouped.reason.startswith("none of 20 groups of test rows differs")
    rare = decide({"a": alike(1000, classes=2, fewest=12, unit=0.5)})["a"]
    assert rare.reason.startswith("none of 12 test rows of the rarest class differs")
    # One right answer of accuracy is worth 1/unit in skill; in units of the metric it is one row.
    assert rare.metric_mde == pytest.approx(-np.log(0.05) / 12)
    assert hidden_difference(alike(100, unit=7.0)) == hidden_difference(alike(100))
    assert hidden_difference(evidence(0.0)) == hidden_difference(evidence_of(np.ones((5, 20)))) == 0.0


@pytest.mark.parametrize("rows", [20, 60, 150, 400])
def test_practically_equal_is_rarely_said_of_an_accuracy_that_differs_by_two_points(rows):
    """Two rows in a hundred are answered better under every seed; without the guard 67 % of 20 rows hid that."""
    rng = np.random.default_rng(rows)
    words, unguarded = [], []
    for _ in range(300):
        better = (rng.random(rows) < 0.02).astype(float)
        D = influence_on_skill(np.tile(better, (5, 1)), np.zeros((5, rows)), constant=0.0)
        found = evidence_of(D, classes=2)
        words.append(decide({"a": found})["a"].word)
        low, high = found.interval()
        unguarded.append(low > -0.01 and high < 0.01)
    assert words.count("practically equal") / 300 <= 0.05
    if rows <= 60:
        assert np.mean(unguarded) > 0.9 * 0.98**rows


studies = st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0.001, 0.2)), min_size=1, max_size=6)


@given(studies)
def test_the_adjusted_interval_leaves_out_zero_exactly_where_holm_rejects(tasks):
    given_evidence = {f"t{i}": evidence(d, half) for i, (d, half) in enumerate(tasks)}
    found = decide(given_evidence, region=0.0)
    p = np.array([e.p for e in given_evidence.values()])
    for verdict, is_rejected in zip(found.values(), p <= holm(p), strict=True):
        low, high = verdict.adjusted_interval
        if min(abs(low), abs(high)) > 1e-9:
            assert (low > 0 or high < 0) == is_rejected
        assert low <= verdict.interval[0] + 1e-12
        assert high >= verdict.interval[1] - 1e-12
        assert (verdict.word in ("helps", "hurts")) == is_rejected


@given(studies)
def test_swapping_the_arms_swaps_helps_and_hurts(tasks):
    swapped = {"helps": "hurts", "hurts": "helps"}
    one, other = (decide({f"t{i}": evidence(sign * d, half) for i, (d, half) in enumerate(tasks)}) for sign in (1, -1))
    assert [v.word for v in other.values()] == [swapped.get(v.word, v.word) for v in one.values()]


def test_refused():
    with pytest.raises(ValueError, match="level=5"):
        decide({}, level=5)
    with pytest.raises(ValueError, match=r"region -0\.1 of task 'a'"):
        decide({"a": evidence()}, region=-0.1)
    with pytest.raises(ValueError, match="task 'b' has no practically-equal region; known: a"):
        decide({"a": evidence(), "b": evidence()}, region={"a": 0.01})
