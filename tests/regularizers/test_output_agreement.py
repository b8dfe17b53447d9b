import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from polytask.feature import OutputSpec
from polytask.regularizers import OutputAgreement

THREE, BINARY = OutputSpec((3,), "softmax", ("a", "b", "c")), OutputSpec((), "softmax", ("no", "yes"))


def make(spec=THREE, tasks=("x", "y", "z"), **settings):
    return OutputAgreement(dict.fromkeys(tasks, spec), {}, **{"weight": 1.0, **settings})


def drawn(*shape, tasks=("x", "y", "z")):
    generator = torch.Generator().manual_seed(0)
    return {task: 2 * torch.randn(*shape, generator=generator, dtype=torch.float64) for task in tasks}


def js(p, q):
    return float(jensenshannon(p, q)) ** 2


def test_over_rows_against_scipy():
    outputs = drawn(4, 3)
    p = {task: output.softmax(dim=1) for task, output in outputs.items()}
    pairs = [("x", "y"), ("x", "z"), ("y", "z")]
    expected = sum(js(p[a][row], p[b][row]) for a, b in pairs for row in range(4)) / 12
    assert make()(outputs, {}).item() == pytest.approx(expected)


def test_over_the_batch_against_scipy():
    outputs = drawn(4, 3, tasks=("x", "y"))
    x, y = (output.softmax(dim=1).mean(dim=0) for output in outputs.values())
    assert make(over="batch")(outputs, {}).item() == pytest.approx(js(x, y))
    turned = {"x": outputs["x"], "y": outputs["x"].flip(0)}  # other rows, the same classes as often
    assert make(over="batch")(turned, {}).item() == pytest.approx(0, abs=1e-12)
    assert make()(turned, {}) > 0.01


def test_two_classes_are_those_of_the_sigmoid():
    outputs = drawn(5, tasks=("x", "y"))
    rows = zip(*(output.sigmoid().tolist() for output in outputs.values()), strict=True)
    expected = sum(js([1 - p, p], [1 - q, q]) for p, q in rows) / 5
    assert make(BINARY)(outputs, {}).item() == pytest.approx(expected)


def test_it_is_at_most_ln_2_and_stays_finite_at_the_ends():
    far = {"x": torch.tensor([1e4, -1e4], requires_grad=True), "y": torch.tensor([-1e4, 1e4])}
    found = make(BINARY)(far, {})
    found.backward()
    assert found.item() == pytest.approx(math.log(2))
    assert torch.isfinite(far["x"].grad).all()


def test_maps_and_sequences_have_their_classes_where_they_are():
    sequences = drawn(2, 4, 3, tasks=("x", "y"))
    flat = {task: output.flatten(0, 1) for task, output in sequences.items()}
    torch.testing.assert_close(make()(sequences, {}), make()(flat, {}))
    maps = {task: output.transpose(1, 2).reshape(2, 3, 2, 2) for task, output in sequences.items()}
    torch.testing.assert_close(make()(maps, {}), make()(flat, {}))


def test_one_task_alone_is_compared_with_nobody():
    assert make()(drawn(4, 3, tasks=("y",)), {}) is None


def test_other_classes_are_refused_by_name():
    specs = {"x": THREE, "y": OutputSpec((3,), "softmax", ("a", "b", "d")), "z": THREE}
    with pytest.raises(ValueError, match=r"tasks 'x' and 'y' have different classes \(a, b, c; a, b, d\)"):
        OutputAgreement(specs, {})
    OutputAgreement(specs, {}, tasks=["x", "z"])
