"""Row values of every metric of every kind of task: their mean is the metric, their variance is the bootstrap's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import polytask as pt
from polytask.ragged import as_padded
from polytask.studies.resampling import resampled_evidence
from polytask.studies.row_values import _KINDS, Judged
from polytask.tasks import TASKS

SEEDS, ROWS = 3, 90


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr("polytask.studies.row_values.RESAMPLES", 30)


def judged(task, values, present=None, groups=None) -> Judged:
    present = np.ones(values.shape, dtype=bool) if present is None else present
    fitted = task.fit(values, present)
    target, known = map(as_padded, task.encode(values, present, fitted))
    return Judged(task, fitted, np.arange(len(values)), target, known, groups)


def make(name, primary=None):
    """A task of a kind, its test rows, and two arms' outputs, the second one worse."""
    g = np.random.default_rng(0)
    signal = g.normal(size=ROWS)
    if name == "two classes":
        found = judged(
            pt.Classification("t", primary=primary), np.where(signal + g.normal(size=ROWS) > 0.3, "yes", "no")
        )
        clean = signal
    elif name == "several classes":
        classes = np.clip(np.round(signal + 1 + 0.5 * g.normal(size=ROWS)), 0, 2).astype(int)
        found = judged(pt.Classification("t", primary=primary), classes)
        clean = -((signal[:, None] + 1 - np.arange(3)) ** 2)
    elif name == "multilabel":
        values = (signal[:, None] * [1, -1, 0.5] + g.normal(size=(ROWS, 3)) > 0).astype(float)
        present = g.random((ROWS, 3)) < 0.8
        present[:, 0] |= ~present.any(axis=1)
        found = judged(pt.Multilabel("t", columns=["a", "b", "c"], primary=primary), values, present)
        clean = signal[:, None] * [1, -1, 0.5]
    elif name == "regression":
        found = judged(pt.Regression("t", primary=primary), 50 + 7 * (signal + 0.5 * g.normal(size=ROWS)))
        clean = signal
    elif name == "vector":
        values = 50 + 7 * (signal[:, None] * [1, -1, 0.5] + 0.5 * g.normal(size=(ROWS, 3)))
        present = g.random((ROWS, 3)) < 0.8
        present[:, 0] |= ~present.any(axis=1)
        task = pt.VectorRegression("t", columns=["a", "b", "c"], primary=primary)
        found, clean = judged(task, values, present), signal[:, None] * [1, -1, 0.5]
    elif name == "tagging":
        codes = g.integers(0, 3, (ROWS, 4))
        values = np.empty(ROWS, dtype=object)
        values[:] = [[["B-x", "I-x", "O"][code] for code in row] for row in codes]
        found, clean = judged(pt.Tagging("t", primary=primary), values), 1.5 * np.eye(3)[codes]
    elif name == "ordinal":
        classes = np.clip(np.round(signal + 1 + 0.4 * g.normal(size=ROWS)), 0, 3).astype(int)
        found = judged(pt.Ordinal("t", primary=primary), classes)
        clean = 3 * (signal[:, None] + 1 - np.arange(3) - 0.5)
    else:
        people = g.integers(0, 12, ROWS)
        found = judged(pt.Similarity("t", dim=2), people)
        clean = g.normal(size=(12, 2))[people]
    arms = [
        torch.tensor(np.stack([clean + noise * g.normal(size=clean.shape) for _ in range(SEEDS)]), dtype=torch.float32)
        for noise in (0.3, 0.8)
    ]
    return found, *arms


KINDS = {
    "two classes": "classification",
    "several classes": "classification",
    "multilabel": "multilabel",
    "regression": "regression",
    "vector": "vector_regression",
    "tagging": "tagging",
    "ordinal": "ordinal",
    "similarity": "similarity",
}
CASES = [(name, metric.name) for name in KINDS for metric in make(name)[0].task.metrics_for(make(name)[0].fitted)]


def test_every_kind_of_task_and_all_row_values_are_here():
    assert set(KINDS.values()) == set(TASKS)
    assert {(KINDS[name], metric) for name, metric in CASES} >= set(_KINDS)


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_the_mean_over_rows_is_the_metric(name, metric):
    found, candidate, twin = make(name, metric if name != "similarity" else None)
    assert found.metric.name == metric
    values = found.row_values(candidate)
    assert (values is not None) == ((KINDS[name], metric) in _KINDS)
    scores = np.array([[found.score(output) for output in arm] for arm in (candidate, twin)])
    if values is not None:
        assert values.shape == (SEEDS, ROWS)
        np.testing.assert_allclose(values.mean(axis=1), scores[0], rtol=1e-5)
    gap = found.metric.perfect - found.constant
    skill = found.skill(candidate)
    assert skill.difference == pytest.approx((scores[0].mean() - found.constant) / gap, rel=1e-5)
    assert found.unit == pytest.approx(abs(gap))
    difference = found.difference(candidate, twin)
    assert difference.difference == pytest.approx((scores[0] - scores[1]).mean() / gap, rel=1e-5, abs=1e-9)
    assert difference.difference > 0
    assert (difference.seeds, difference.rows) == (SEEDS, ROWS)
    assert difference.parts[0].degrees == SEEDS - 1


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_the_difference_has_no_preferred_side(name, metric):
    found, candidate, twin = make(name, metric if name != "similarity" else None)
    one, other = found.difference(candidate, twin), found.difference(twin, candidate)
    assert one.difference == pytest.approx(-other.difference)
    assert [p.variance for p in one.parts] == pytest.approx([p.variance for p in other.parts])
    assert found.difference(candidate, candidate).difference == 0


@pytest.mark.parametrize(("name", "metric"), [case for case in CASES if (KINDS[case[0]], case[1]) in _KINDS])
def test_the_rows_variance_is_the_bootstraps(name, metric):
    found, candidate, twin = make(name, metric if name != "similarity" else None)
    linear = found.difference(candidate, twin)

    spread = float(found.target.double().var(unbiased=False)) if metric == "r2" else None

    def score(output, rows):
        rows = torch.from_numpy(rows)
        if name == "vector" and metric == "r2":
            kept, by_output = found.present[rows], []
            for k in range(3):
                every = found.target[found.present[:, k], k].double()
                errors = (torch.from_numpy(output) - found.target[rows])[kept[:, k], k].double()
                by_output.append(1 - float(errors.square().mean() / every.var(unbiased=False)))
            return np.mean(by_output)
        if spread is not None:  # the target's variance is a part of the unit, which is held fixed
            return 1 - float((torch.from_numpy(output) - found.target[rows]).double().square().mean()) / spread
        return found.metric.score(torch.from_numpy(output), found.target[rows], found.present[rows], found.fitted)

    drawn = resampled_evidence(
        score,
        candidate.numpy(),
        twin.numpy(),
        np.arange(ROWS),
        constant=found.constant,
        perfect=found.metric.perfect,
        groups=found.clusters,
        resamples=200,
        generator=np.random.default_rng(1),
    )
    assert linear.difference == pytest.approx(drawn.difference, rel=1e-4)
    assert linear.parts[0].variance == pytest.approx(drawn.parts[0].variance, rel=1e-3)
    ratio = linear.parts[1].variance / drawn.parts[1].variance
    assert 0.6 < ratio < 1.5
    assert linear.parts[1].degrees == drawn.parts[1].degrees


@pytest.mark.parametrize(("name", "metric"), [("ordinal", "quadratic_kappa"), ("multilabel", "micro_f1")])
def test_a_metric_without_row_values_is_resampled(name, metric, monkeypatch):
    found, candidate, twin = make(name, metric)
    assert found.row_values(candidate) is None
    assert found.influence(candidate, twin) is None
    evidence = found.difference(candidate, twin)
    assert evidence.parts[1].degrees == ROWS - 1
    assert evidence.parts[1].variance > 0
    again = found.difference(candidate, twin)
    assert again == evidence  # drawn by a fixed seed


def test_groups_are_what_chance_draws():
    groups = np.repeat(np.arange(9), 10).astype(str)
    found, candidate, twin = make("regression")
    grouped = replace(found, groups=groups)
    evidence = grouped.difference(candidate, twin)
    assert (evidence.groups, evidence.parts[1].degrees) == (9, 8)
    kappa, *arms = make("ordinal")
    evidence = replace(kappa, groups=groups).difference(*arms)
    assert (evidence.groups, evidence.parts[1].degrees) == (9, 8)


def test_identities_are_what_chance_draws_where_pairs_are_judged():
    found, candidate, twin = make("similarity")
    evidence = found.difference(candidate, twin)
    assert evidence.groups == len(np.unique(found.target)) == 12


def test_counts_that_decide_whether_there_is_a_verdict():
    two = make("two classes")[0]
    rarest = int(min(np.unique(two.target, return_counts=True)[1]))
    assert two.counts == {"classes": 2, "fewest": rarest}
    assert make("two classes", "accuracy")[0].counts == {"classes": 2, "fewest": None}
    assert make("several classes")[0].counts == {"classes": 3, "fewest": None}
    assert make("regression")[0].counts == {"classes": None, "fewest": None}
    one = replace(two, target=torch.ones_like(two.target))
    assert one.counts == {"classes": 1, "fewest": None}


def test_without_labels_or_models_there_is_nothing():
    found, candidate, twin = make("regression")
    none = replace(
        found, rows=found.rows[:0], target=found.target[:0], present=found.present[:0], groups=np.zeros(0, dtype=str)
    )
    evidence = none.difference(candidate[:, :0], twin[:, :0])
    assert (evidence.seeds, evidence.rows, evidence.groups, evidence.parts) == (SEEDS, 0, 0, ())
    assert np.isnan([evidence.difference, none.constant, none.score(candidate[0, :0])]).all()
    for name in KINDS:
        found, candidate, _ = make(name)
        empty = torch.empty(0)
        assert found.difference(empty, empty).seeds == 0
        assert found.skill(empty).seeds == 0
