"""The embedding of a table against its definition."""

import math

import pytest
import torch

from polytask.encoders.tabular import CategoryEmbedding, PeriodicEmbedding, TableEmbedding
from polytask.feature import CATEGORIES, NUMBERS, InputSpec


def test_one_table_holds_all_categories():
    embedding = CategoryEmbedding((3, 5, 2), 4)
    codes = torch.tensor([[0, 4, 1], [2, 1, 0]])
    found = embedding(codes)
    for row in range(2):
        for column, first in enumerate((0, 3, 8)):
            expected = embedding.table[first + codes[row, column]]
            assert torch.equal(found[row, 4 * column : 4 * column + 4], expected)


def test_categories_start_small_and_the_unseen_code_at_zero():
    embedding = CategoryEmbedding((3000, 1, 2), 4)
    assert (embedding.table[[1, 3002]] == 0).all()
    assert (embedding.table[[0, 2, 3000, 3001]] != 0).all()
    assert 0.045 < float(embedding.table.detach().std()) < 0.055


def test_periodic_is_sines_and_cosines():
    embedding = PeriodicEmbedding(2, 3, 0.5, None)
    x = torch.randn(4, 2)
    found = embedding(x).detach().reshape(4, 2, 6)
    for row in range(4):
        for column in range(2):
            for k in range(3):
                angle = 2 * math.pi * float(embedding.frequencies.detach()[column, k]) * float(x[row, column])
                assert float(found[row, column, k]) == pytest.approx(math.cos(angle), abs=1e-5)
                assert float(found[row, column, 3 + k]) == pytest.approx(math.sin(angle), abs=1e-5)


def test_plr_is_a_layer_a_number():
    embedding = PeriodicEmbedding(2, 3, 0.5, 5)
    waves = PeriodicEmbedding(2, 3, 0.5, None)
    waves.frequencies.data = embedding.frequencies.data
    x = torch.randn(4, 2)
    between = waves(x).reshape(4, 2, 6)
    expected = [(between[:, k] @ embedding.weight[k] + embedding.bias[k]).relu() for k in range(2)]
    torch.testing.assert_close(embedding(x), torch.cat(expected, dim=1))


@pytest.mark.parametrize(("numbers", "width"), [("linear", 2), ("periodic", 2 * 2 * 6), ("plr", 2 * 3)])
def test_numbers_come_first_then_categories(numbers, width):
    spec = InputSpec(numbers=("a", "b"), categories=(("c", 4),))
    embedding = TableEmbedding(spec, numbers=numbers, embedding_dim=3, frequencies=6)
    inputs = {NUMBERS: torch.randn(5, 2), CATEGORIES: torch.randint(0, 4, (5, 1))}
    found = embedding(inputs).values
    assert found.shape[1] == embedding.width == width + 3
    assert torch.equal(found[:, width:], embedding.categories(inputs[CATEGORIES]))
    if numbers == "linear":
        assert torch.equal(found[:, :2], inputs[NUMBERS])


@pytest.mark.parametrize("settings", [{"embedding_dim": 0}, {"frequencies": 0}, {"frequency_scale": 0.0}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match="embedding_dim, frequencies and frequency_scale are > 0"):
        TableEmbedding(InputSpec(numbers=("a",)), **settings)
