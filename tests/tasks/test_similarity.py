"""Similarity: pairs within a batch."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from polytask.errors import SchemaError
from polytask.feature import Feature
from polytask.tasks import Similarity
from polytask.tasks import similarity as module

WHO = torch.tensor([0, 1, 0, 2, 1, 0])
ALL = torch.ones(6, dtype=torch.bool)


def by_hand(task, output, target, weight):
    """The definition, pair by pair: lists of (weight, loss) of pairs of one identity and of two."""
    sides = {True: [], False: []}
    for i, j in itertools.combinations(range(len(target)), 2):
        d, same = float((output[i] - output[j]).norm()), bool(target[i] == target[j])
        near = d**2 / 2 if task.criterion == "contrastive" else max(0, d - task.positive_margin)
        far = max(0, task.margin - d)
        far = far**2 / 2 if task.criterion == "contrastive" else far
        sides[same].append((float(weight[i] * weight[j]), near if same else far))
    return sides


@pytest.mark.parametrize("criterion", ["contrastive", "margin"])
@pytest.mark.parametrize("balance", [True, False])
def test_loss_is_its_definition(criterion, balance):
    task = Similarity("a", dim=3, criterion=criterion, margin=1.3, positive_margin=0.2, balance_pairs=balance)
    output, weight = torch.randn(6, 3), torch.rand(6) + 0.1
    sides = by_hand(task, output, WHO, weight)
    weights = {same: sum(w for w, _ in side) for same, side in sides.items()}
    total = sum(weights.values())
    scale = {same: total / 2 / weights[same] if balance else 1.0 for same in sides}
    expected = sum(w * loss * scale[same] for same, side in sides.items() for w, loss in side)
    found = task.loss(output, WHO, ALL, weight)
    torch.testing.assert_close(found, (torch.tensor(expected), torch.tensor(total)))


def test_equal_rows_have_a_finite_gradient():
    for criterion in ("contrastive", "margin"):
        output = torch.ones(6, 4, requires_grad=True)
        total, _ = Similarity("a", criterion=criterion).loss(output, WHO, ALL, torch.ones(6))
        total.backward()
        assert torch.isfinite(output.grad).all()


def test_near_rows_keep_their_distance():
    # By matrix product this distance would be lost in rounding: 100² − 100².
    rows = torch.tensor([[100.0, 0.0], [100.0, 1e-4]])
    assert float(module.distances(rows, rows)[0, 1]) == pytest.approx(1e-4, rel=1e-2)


def test_one_row_or_none_makes_no_pair():
    for rows in (0, 1):
        output = torch.randn(rows, 4, requires_grad=True)
        total, count = Similarity("a").loss(output, WHO[:rows], ALL[:rows], torch.ones(rows))
        assert (float(total.detach()), float(count)) == (0.0, 0.0)


def test_pairs_of_one_kind_only_are_not_scaled():
    task = Similarity("a", normalize=False)
    output, same = torch.randn(3, 2), torch.zeros(3, dtype=torch.long)
    found = task.loss(output, same, ALL[:3], torch.ones(3))
    plain = Similarity("a", balance_pairs=False).loss(output, same, ALL[:3], torch.ones(3))
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("rows", [7, 700])
def test_auc_is_over_all_pairs(rows):
    rng = np.random.default_rng(rows)
    output, who = rng.integers(-9, 9, (rows, 3)).astype(float), rng.integers(0, 4, rows)
    first, second = np.triu_indices(rows, 1)
    distance = np.linalg.norm(output[first] - output[second], axis=1).astype(np.float32)
    found = Similarity("a").evaluate(
        torch.from_numpy(output), torch.from_numpy(who), torch.ones(rows, dtype=torch.bool), {}
    )
    assert found["roc_auc"] == pytest.approx(roc_auc_score(who[first] == who[second], -distance), abs=1e-6)


def test_auc_of_many_rows_is_of_a_fixed_draw(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    output, who = torch.randn(200, 3), torch.randint(0, 5, (200,))
    drawn = torch.randperm(200, generator=torch.Generator().manual_seed(0))[:50]
    expected = module.pairs_auc(output[drawn], who[drawn])
    torch.manual_seed(99)
    assert module.pairs_auc(output, who) == expected


def test_embeddings_have_length_one_where_asked():
    features = [Feature(torch.randn(5, 4))]
    one = Similarity("a", dim=3).head({}, [4])(features)
    torch.testing.assert_close(one.norm(dim=1), torch.ones(5))
    assert Similarity("a", dim=3, normalize=False).head({}, [4])(features).norm(dim=1).std() > 0


def test_identities_need_not_be_known():
    task = Similarity("a")
    fitted = task.fit(np.array([1, 1, 2]), np.ones(3, dtype=bool))
    assert fitted == {"identities": 2, "rows": 3, "pairs": 3, "same_pairs": 1}
    values = np.array(["x", 7, None, "7", 7.0], dtype=object)
    target, present = task.encode(values, np.array([True, True, False, True, True]), fitted)
    assert present.tolist() == [True, True, False, True, True]
    assert target[1] == target[3] == target[4] != target[0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2, 3], r"task 'a' \(column 'a'\): .*among 3 rows no two rows share an identity"),
        ([1, 1, 1], r"among 3 rows every row is of one identity"),
        ([1], r"among 1 rows no two rows share an identity"),
    ],
)
def test_what_the_data_cannot_be(values, text):
    with pytest.raises(SchemaError, match=text):
        Similarity("a").fit(np.array(values), np.ones(len(values), dtype=bool))


@pytest.mark.parametrize("settings", [{"margin": 0.0}, {"positive_margin": 1.0}, {"positive_margin": -0.1}, {"dim": 0}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match=r"task 'a': (dim|margin)"):
        Similarity("a", **settings)
