import numpy as np
import pytest
import torch

from polytask.feature import Feature, OutputSpec
from polytask.tasks import Classification, Multilabel, Ordinal, Regression, Similarity, VectorRegression

CELLS = {
    "two": (Classification("t"), np.array(["a", "b", "a"], dtype=object), OutputSpec((), "softmax", ("a", "b"))),
    "more": (Classification("t"), np.array([1, 2, 3]), OutputSpec((3,), "softmax", ("1", "2", "3"))),
    "ordinal": (Ordinal("t"), np.array([1, 2, 3]), OutputSpec((2,), "sigmoid", ("1", "2", "3"))),
    "labels": (Multilabel("t", columns=["u", "v"]), np.array([[0.0, 1], [1, 0], [1, 1]]), OutputSpec((2,), "sigmoid")),
    "number": (Regression("t"), np.array([1.0, 2.0, 4.0]), OutputSpec()),
    "numbers": (VectorRegression("t", columns=["u", "v"]), np.array([[0.0, 1], [1, 0], [1, 1]]), OutputSpec((2,))),
    "embedding": (Similarity("t", dim=3), np.array(["a", "b", "a"], dtype=object), None),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_spec_says_what_the_head_gives(name):
    task, values, expected = CELLS[name]
    fitted = task.fit(values, np.ones(values.shape, dtype=bool))
    spec = task.output_spec(fitted)
    output = task.head(fitted, (4,))([Feature(torch.ones(2, 4))])
    assert spec.shape == tuple(output.shape[1:])
    assert expected is None or spec == expected
    assert spec.is_binary == (name == "two")


def test_probabilities():
    values = torch.tensor([[0.0, 1.0], [2.0, 2.0]])
    assert torch.equal(OutputSpec((2,), "softmax").probabilities(values), values.softmax(dim=1))
    assert torch.equal(OutputSpec((2,), "sigmoid").probabilities(values), values.sigmoid())
    assert torch.equal(OutputSpec((), "softmax").probabilities(values[:, 0]), values[:, 0].sigmoid())
    assert torch.equal(OutputSpec((2,)).probabilities(values), values)
    maps = torch.randn(1, 3, 2, 2)
    assert torch.allclose(OutputSpec((3, 2, 2), "softmax").probabilities(maps).sum(dim=1), torch.ones(1, 2, 2))
