"""Curves: mean and range over Runs, thinned, and as far as all Runs trained."""

import pytest

from polytask.report.curves import (
    ALL_POINTS,
    LEAST_POINTS,
    POINTS,
    cosine_of,
    curve,
    is_weighted,
    mean_of,
    points_for,
    recorded,
    skill_of,
    thinned,
    weight_of,
)
from polytask.report.source import History


def history(*skills, **more):
    records = tuple(
        {"epoch": i + 1, "score": skill, "validation": {"a": {"skill": skill}}, **more}
        for i, skill in enumerate(skills)
    )
    return History("arm", None, records)


def test_mean_and_range():
    found = curve([history(0.1, 0.4), history(0.3, 0.8)], skill_of("a"))
    assert found == {"epoch": [1, 2], "mean": [0.2, 0.6], "low": [0.1, 0.4], "high": [0.3, 0.8]}
    assert curve([history(0.1, 0.4), history(0.3, 0.8)], skill_of(None))["mean"] == [0.2, 0.6]


def test_a_curve_ends_where_its_first_run_ends():
    runs = [history(0.1, 0.2, 0.3), history(0.1, 0.2, 0.9), history(0.1, 0.2)]
    found = curve(runs, skill_of("a"))
    assert found["epoch"] == [1, 2]
    assert found["mean"] == [0.1, 0.2]
    assert curve(runs[:2], skill_of("a"))["epoch"] == [1, 2, 3]
    assert curve([*runs, history(None)], skill_of("a"))["epoch"] == [1, 2]  # a Run that never had a skill


def test_small_weights_keep_their_digits():
    run = history(0.1, weights={"a": 0.0000123456})
    assert curve([run], weight_of("a"))["mean"] == [0.00001235]


def test_what_was_not_recorded():
    assert curve([], skill_of("a")) == {}
    assert curve([history(None, float("nan"))], skill_of("a")) == {}
    assert curve([history(0.5)], skill_of("b")) == {}
    assert curve([history(None, 0.5)], skill_of("a"))["epoch"] == [2]


def test_weights_and_cosines():
    run = history(0.1, 0.2, weights={"a": 1.0, "b": 2.0}, cosines={"a|b": -0.5})
    assert curve([run], weight_of("b"))["mean"] == [2.0, 2.0]
    assert mean_of([run], cosine_of("a|b")) == -0.5
    assert mean_of([run], cosine_of("a|c")) is None
    assert recorded([run], "cosines") == ["a|b"]
    assert is_weighted([run])
    assert not is_weighted([history(0.1, weights={"a": 1.0})])


@pytest.mark.parametrize("length", [1, 2, 119, 120, 121, 1000])
def test_thinned_keeps_the_ends(length):
    kept = thinned(length, POINTS)
    assert kept[0] == 0
    assert kept[-1] == length - 1
    assert len(kept) == min(length, POINTS)
    assert kept == sorted(set(kept))


@pytest.mark.parametrize("curves", [1, 10, 72, 500, 10_000])
def test_all_curves_together_are_bounded(curves):
    each = points_for(curves)
    assert LEAST_POINTS <= each <= POINTS
    assert each * curves <= ALL_POINTS or each == LEAST_POINTS
