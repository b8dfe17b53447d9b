"""Row values of the ROC-AUC over pairs: against the task's metric, the jackknife, and a case by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from polytask.studies import evidence_of
from polytask.studies.pairs import judged_rows, pairs_roc_auc
from polytask.tasks import Similarity

METRIC = Similarity("person").metrics[0].score


def embeddings(seed=0, num_rows=60, identities=12, spread=1.0, ties=False):
    rng = np.random.default_rng(seed)
    identity = rng.integers(0, identities, num_rows)
    identity[:3] = [0, 0, 1]
    centres = rng.normal(size=(identities, 3))
    output = centres[identity] + spread * rng.normal(size=(2, num_rows, 3))
    return (output.round(0) if ties else output).astype(np.float32), identity


def metric(output, identity):
    return METRIC(torch.from_numpy(output), torch.from_numpy(identity), torch.ones(len(identity), dtype=torch.bool), {})


def area(output, identity):
    """The same in float64, from scikit-learn."""
    first, second = np.triu_indices(len(identity), k=1)
    distance = np.linalg.norm(output[first].astype(float) - output[second], axis=1)
    return roc_auc_score(identity[first] == identity[second], -distance)


@given(st.integers(0, 1000), st.booleans())
def test_the_mean_over_rows_is_the_tasks_metric(seed, ties):
    output, identity = embeddings(seed, ties=ties)
    values = pairs_roc_auc(output, identity)
    assert values.shape == (2, 60)
    assert values.mean(axis=1) == pytest.approx([metric(o, identity) for o in output])


def test_by_hand():
    # Pairs of a1 a2 b1 b2 at 0, 1, 1.5, 9: same at 1 and 7.5; different at 1.5, 9, .5, 8. Placements of the same
    # pairs 3/4 and 2/4 (of 1.5, 9, 8; of 9, 8), of the different ones 1/2, 1, 0, 1. AUC 5/8.
    line, names = np.array([[[0.0], [1.0], [1.5], [9.0]]]), np.array(["a", "a", "b", "b"])
    same, different = np.array([1, 1, -1, -1]) / 8, np.array([[-1, 3], [-5, 3], [-1, -5], [3, 3]]).sum(axis=1) / 8
    by_rows = pairs_roc_auc(line, names, groups=np.arange(4))
    assert by_rows[0] == pytest.approx(5 / 8 + 4 * (same / 2 + different / 4))
    # Two rows of one identity share their pair where identities are what is drawn.
    assert pairs_roc_auc(line, names)[0] == pytest.approx(5 / 8 + 4 * (same / 4 + different / 4))


def test_it_is_the_slope_along_the_weight_of_a_row():
    output, identity = embeddings(3, num_rows=20, identities=5)
    first, second = np.triu_indices(20, k=1)
    distance = np.linalg.norm(output[0][first].astype(float) - output[0][second], axis=1)

    def weighted(row, more):
        weight = np.ones(20)
        weight[row] += more
        same = identity[first] == identity[second]
        return roc_auc_score(same, -distance, sample_weight=weight[first] * weight[second])

    slopes = [(weighted(row, 1e-4) - weighted(row, -1e-4)) / 2e-4 for row in range(20)]
    values = pairs_roc_auc(output[:1], identity, groups=np.arange(20))[0]
    assert values == pytest.approx(area(output[0], identity) + 20 * np.array(slopes))


def jackknife(output, identity, groups):
    """Variance of the area by leaving out one group of rows after the other."""
    areas = np.array([area(output[groups != g], identity[groups != g]) for g in np.unique(groups)])
    return (len(areas) - 1) / len(areas) * np.sum((areas - areas.mean()) ** 2)


def test_the_variance_over_rows_is_the_jackknifes():
    output, identity = embeddings(1, num_rows=150, identities=30)
    found = evidence_of(pairs_roc_auc(output[:1], identity, groups=np.arange(150))).parts[1].variance
    assert found == pytest.approx(jackknife(output[0], identity, np.arange(150)), rel=0.05)


@pytest.mark.parametrize("sizes", [1, 2])
def test_the_variance_over_groups_is_the_jackknifes_of_whole_groups(sizes):
    """Identities, and groups of two of them, whose different pairs come and go with the group too."""
    output, identity = embeddings(2, num_rows=240, identities=60)
    groups = identity // sizes
    found = evidence_of(pairs_roc_auc(output[:1], identity, groups=groups), groups=groups).parts[1].variance
    assert found == pytest.approx(jackknife(output[0], identity, groups), rel=0.1)
    if sizes == 1:
        assert (pairs_roc_auc(output, identity) == pairs_roc_auc(output, identity, groups=identity)).all()


def test_above_the_cap_the_rows_that_the_metric_draws_count():
    output, identity = embeddings(0, num_rows=4200, identities=300)
    values = pairs_roc_auc(output[:1], identity)
    assert values.mean() == pytest.approx(metric(output[0], identity))
    drawn = judged_rows(4200)
    assert len(drawn) == 4096
    others = np.setdiff1d(np.arange(4200), drawn)
    assert values[0, others] == pytest.approx(np.full(104, values.mean()))


def test_names_are_identities_too():
    output, identity = embeddings()
    names = np.array([f"person {k}" for k in identity])
    assert (pairs_roc_auc(output, names) == pairs_roc_auc(output, identity)).all()


@pytest.mark.parametrize("identity", [[0, 1, 2], [0, 0, 0], [0]])
def test_pairs_of_one_kind_have_no_values(identity):
    assert np.isnan(pairs_roc_auc(np.ones((2, len(identity), 3)), np.array(identity))).all()


def test_a_broken_seed_leaves_the_others():
    output, identity = embeddings()
    output[1, 5] = np.nan
    values = pairs_roc_auc(output, identity)
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()
