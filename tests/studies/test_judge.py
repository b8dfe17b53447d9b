"""How arms compare: closed forms on hand-made answers, missing seeds, means over tasks, repeated splits."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import polytask as pt
from polytask.studies.judge import Judge
from polytask.studies.opening import Answers
from polytask.studies.row_values import Judged
from polytask.studies.verdict import decide

SEEDS = [0, 1, 2, 3, 4]


def regression(name, rows, *, primary="mae", seed=0, groups=None, at=None):
    """A task whose standardised target is its target: mean 0, sd 1, median 0."""
    target = torch.tensor(np.random.default_rng(seed).normal(size=rows), dtype=torch.float32)
    return Judged(
        pt.Regression(name, primary=primary),
        {"mean": 0.0, "sd": 1.0, "median": 0.0},
        np.arange(rows) if at is None else at,
        target,
        torch.ones(rows, dtype=torch.bool),
        groups,
    )


def arm(judged, errors):
    """Outputs `{seed: [rows]}` that are wrong by these `[seeds, rows]`."""
    return {s: judged.target + torch.tensor(e, dtype=torch.float32) for s, e in zip(SEEDS, errors, strict=False)}


def judge(judged, usual, **changes):
    tasks = list(dict.fromkeys(task for task, _ in judged))
    settings = {
        "tasks": tasks, "seeds": SEEDS, "num_splits": 1, "test_share": 0.2, "fixed": frozenset(), "is_one_table": True,
    } | changes  # fmt: skip
    own_best = settings.pop("own_best", {})
    return Judge(answers=Answers(judged, usual, own_best), **settings)


@pytest.fixture
def drawn():
    """A task of 40 rows; |errors| of a candidate and a twin `[5, 40]`."""
    g = np.random.default_rng(1)
    return regression("a", 40), np.abs(g.normal(0.5, 0.1, (5, 40))), np.abs(g.normal(0.6, 0.1, (5, 40)))


def test_a_difference_is_the_mean_over_rows_and_seeds_with_both_variances(drawn):
    found, errors, others = drawn
    case = judge({("a", 0): found}, {("c", "a", 0): arm(found, errors), ("u", "a", 0): arm(found, others)})
    evidence = case.difference("c", "u", "a")
    unit = float(found.target.abs().double().mean())
    D = (others - errors) / unit
    assert evidence.difference == pytest.approx(D.mean(), rel=1e-5)
    assert evidence.parts[0].variance == pytest.approx(D.mean(axis=1).var(ddof=1) / 5, rel=1e-4)
    assert evidence.parts[1].variance == pytest.approx(D.mean(axis=0).var(ddof=1) / 40, rel=1e-4)
    assert evidence.unit == pytest.approx(unit)
    back = case.difference("u", "c", "a")
    assert back.difference == pytest.approx(-evidence.difference)
    skill = case.skill("c", "a")
    assert skill.difference == pytest.approx(1 - errors.mean() / unit, rel=1e-4)
    np.testing.assert_allclose(case.scores("c", "a"), [errors.mean(axis=1)], rtol=1e-5)
    assert case.constant("a") == pytest.approx(unit)


def test_a_seed_that_crashed_in_one_arm_counts_in_neither(drawn):
    found, errors, others = drawn
    of_twin = arm(found, others)
    del of_twin[1], of_twin[4]
    case = judge({("a", 0): found}, {("c", "a", 0): arm(found, errors), ("u", "a", 0): of_twin})
    evidence = case.difference("c", "u", "a")
    unit = float(found.target.abs().double().mean())
    kept = [0, 2, 3]
    assert evidence.seeds == 3
    assert evidence.parts[0].degrees == 2
    assert evidence.difference == pytest.approx((others[kept] - errors[kept]).mean() / unit, rel=1e-5)
    assert [math.isnan(x) for x in case.scores("u", "a")[0]] == [False, True, False, False, True]
    assert case.skill("c", "a").seeds == 5


def test_an_arm_without_chance_serves_all_seeds(drawn):
    found, errors, others = drawn
    usual = {("c", "a", 0): arm(found, errors), ("trees", "a", 0): {0: arm(found, others)[0]}}
    case = judge({("a", 0): found}, usual, fixed=frozenset({"trees"}))
    evidence = case.difference("c", "trees", "a")
    unit = float(found.target.abs().double().mean())
    assert evidence.seeds == 5
    assert evidence.difference == pytest.approx((others[0] - errors).mean() / unit, rel=1e-5)
    assert evidence.parts[0].variance == pytest.approx((errors.mean(axis=1) / unit).var(ddof=1) / 5, rel=1e-4)
    own = case.skill("trees", "a")
    assert len(own.parts) == 1
    assert own.parts[0].degrees == 39
    assert case.scores("trees", "a") == [[pytest.approx(others[0].mean(), rel=1e-5)]]


def test_weights_best_for_the_task_stand_beside(drawn):
    found, errors, others = drawn
    case = judge(
        {("a", 0): found},
        {("c", "a", 0): arm(found, others), ("u", "a", 0): arm(found, others)},
        own_best={("c", "a", 0): arm(found, errors)},
    )
    assert case.difference("c", "u", "a").difference == 0
    assert case.difference("c", "u", "a", own_best=True).difference > 0
    np.testing.assert_allclose(case.scores("c", "a", own_best=True), [errors.mean(axis=1)], rtol=1e-5)


def test_nothing_is_said_without_models_or_labels(drawn):
    found, errors, _ = drawn
    empty = regression("b", 0)
    case = judge({("a", 0): found, ("b", 0): empty}, {("c", "a", 0): arm(found, errors)})
    words = decide({"a": case.difference("c", "u", "a"), "b": case.difference("c", "u", "b")})
    assert words["a"].reason == "no seeds, and at least 3 are needed"
    assert words["b"].reason == "no test labels, and at least 10 are needed"
    assert case.mean_difference("c", "u", []) is None
    assert case.mean_difference("c", "u", ["a"]) is None
    assert case.skill("u", "a").seeds == 0


# The mean over tasks -------------------------------------------------------------------------------------------------


def two_tasks(primary="mae", groups=None, overlap=30):
    """Two tasks of 40 rows, of which `overlap` are the same."""
    g = np.random.default_rng(2)
    judged = {
        ("a", 0): regression("a", 40, primary=primary, seed=3, groups=groups),
        ("b", 0): regression("b", 40, primary=primary, seed=4, groups=groups, at=np.arange(40) + 40 - overlap),
    }
    usual = {
        (name, task, 0): arm(judged[task, 0], np.abs(g.normal(level, 0.2, (5, 40))))
        for task in ("a", "b")
        for name, level in (("c", 0.5), ("u", 0.6))
    }
    return judged, usual


def test_the_mean_counts_each_row_once():
    judged, usual = two_tasks()
    case = judge(judged, usual)
    single = [case.difference("c", "u", task) for task in ("a", "b")]
    mean = case.mean_difference("c", "u", ["a", "b"])
    assert mean.difference == pytest.approx(np.mean([e.difference for e in single]))
    assert mean.rows == 50
    D = {t: judged[t, 0].influence(*(case.answers.stacked((n, t, 0), SEEDS) for n in ("c", "u"))) for t in ("a", "b")}
    by_seed = np.mean([D[t].mean(axis=1) for t in D], axis=0)
    assert mean.parts[0].variance == pytest.approx(by_seed.var(ddof=1) / 5)
    # By hand: a row of both tasks carries both influences.
    m = {t: D[t].mean() for t in D}
    rows = np.full(50, np.mean(list(m.values())))
    rows[:40] += 50 / 40 * (D["a"].mean(axis=0) - m["a"]) / 2
    rows[10:] += 50 / 40 * (D["b"].mean(axis=0) - m["b"]) / 2
    assert mean.parts[1].variance == pytest.approx(rows.var(ddof=1) / 50)
    apart = judge(judged, usual, is_one_table=False).mean_difference("c", "u", ["a", "b"])
    assert apart.rows == 80
    assert apart.difference == pytest.approx(mean.difference)


def test_the_bound_is_never_below_the_exact_variance(monkeypatch):
    judged, usual = two_tasks()
    case = judge(judged, usual)
    exact = case.mean_difference("c", "u", ["a", "b"])
    monkeypatch.setattr(Judge, "_joint_influence", lambda *_: None)
    bound = case.mean_difference("c", "u", ["a", "b"])
    assert bound.difference == pytest.approx(exact.difference, rel=1e-5)
    assert bound.parts[0].variance == pytest.approx(exact.parts[0].variance, rel=1e-4)
    assert bound.parts[1].variance >= exact.parts[1].variance
    errors = [math.sqrt(case.difference("c", "u", t).parts[1].variance) for t in ("a", "b")]
    assert bound.parts[1].variance == pytest.approx(np.mean(errors) ** 2)


def test_the_bound_is_met_where_tasks_err_together(monkeypatch):
    judged, usual = two_tasks(overlap=40)
    judged["b", 0] = judged["a", 0]
    usual |= {(name, "b", 0): usual[name, "a", 0] for name in ("c", "u")}
    case = judge(judged, usual)
    exact = case.mean_difference("c", "u", ["a", "b"])
    monkeypatch.setattr(Judge, "_joint_influence", lambda *_: None)
    assert case.mean_difference("c", "u", ["a", "b"]).parts[1].variance == pytest.approx(exact.parts[1].variance)


def test_groups_are_joined_over_tasks():
    groups = np.repeat(np.arange(8), 5).astype(str)
    judged, usual = two_tasks(groups=groups, overlap=40)
    mean = judge(judged, usual).mean_difference("c", "u", ["a", "b"])
    assert (mean.groups, mean.parts[1].degrees) == (8, 7)


# Repeated splits -----------------------------------------------------------------------------------------------------


def resplit(num_splits=4, share=0.25):
    g = np.random.default_rng(5)
    judged, usual = {}, {}
    for k in range(num_splits):
        judged["a", k] = regression("a", 20, seed=k, at=np.arange(20) + 10 * k)
        for name, level in (("c", 0.5), ("u", 0.6)):
            usual[name, "a", k] = arm(judged["a", k], np.abs(g.normal(level + 0.05 * k, 0.2, (2, 20))))
    return judge(judged, usual, seeds=[0, 1], num_splits=num_splits, test_share=share)


def by_hand(case, splits):
    found = []
    for k in splits:
        judged = case.judged("a", k)
        outputs = [case.answers.stacked((name, "a", k), [0, 1]) for name in ("c", "u")]
        maes = [float((o - judged.target).abs().double().mean()) for o in outputs]
        found.append((maes[1] - maes[0]) / float(judged.target.abs().double().mean()))
    return np.array(found)


def test_repeated_splits_go_by_nadeau_and_bengio():
    case = resplit()
    d = by_hand(case, range(4))
    evidence = case.difference("c", "u", "a")
    assert evidence.difference == pytest.approx(d.mean(), rel=1e-4)
    variance = (1 / 4 + 0.25 / 0.75) * d.var(ddof=1)
    assert [(p.variance, p.degrees) for p in evidence.parts] == [(pytest.approx(variance, rel=1e-3), 3)]
    half = stats.t.isf(0.025, 3) * math.sqrt(variance)
    assert evidence.interval() == pytest.approx((d.mean() - half, d.mean() + half), rel=1e-3)
    assert (evidence.seeds, evidence.rows) == (4, 50)  # different rows over all splits
    assert np.shape(case.scores("c", "a")) == (4, 2)
    mean = case.mean_difference("c", "u", ["a"])
    assert mean.difference == pytest.approx(evidence.difference)
    assert mean.parts[0].variance == pytest.approx(evidence.parts[0].variance)


def test_a_split_whose_runs_crashed_is_left_out():
    case = resplit()
    del case.answers.usual["u", "a", 2]
    d = by_hand(resplit(), [0, 1, 3])
    for evidence in (case.difference("c", "u", "a"), case.mean_difference("c", "u", ["a"])):
        assert evidence.seeds == 3
        assert evidence.difference == pytest.approx(d.mean(), rel=1e-4)
    assert case.skill("u", "a").seeds == 3
    case.answers.usual = {}
    assert math.isnan(case.difference("c", "u", "a").difference)
    assert case.mean_difference("c", "u", ["a"]) is None
    assert decide({"a": case.difference("c", "u", "a")})["a"].word == "no verdict"
