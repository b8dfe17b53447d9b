"""Every kind of task in the catalogue: what docs/concepts.md promises of a Task."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from polytask.config import build, plain
from polytask.errors import SchemaError
from polytask.feature import Feature
from polytask.ragged import Ragged, as_padded
from polytask.tasks import TASKS, Task

ROWS = 24
RNG = np.random.default_rng(5)


def lists(*cells):
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return values


FEW = np.array([2, 0, 1, 0, 2, 2, 1, 0] * 3)
TAGS = lists(*[["art"], ["art", "war"], [], ["law", "war"], ["law"], ["war"]] * 4)
TEXTS = np.array(["low", "mid", "high"], dtype=object)[FEW]
COLUMNS = (RNG.random((ROWS, 3)) < 0.4).astype(float)
WORDS = lists(*[["noun", "verb"], ["verb"], ["noun", "noun", "punctuation"], ["verb", "noun", "noun", "noun"]] * 6)
SPANS = lists(*[["B-city", "I-city", "O", "O"], ["O", "B-day"], ["O"], ["B-day", "B-city", "O"]] * 6)

#: Kind -> settings and raw cells of tasks that together have every option.
CASES = {
    "classification": [
        ({}, FEW % 2),
        ({"label_smoothing": 0.1, "class_weight": "balanced"}, FEW == 1),
        ({"class_weight": {"mid": 3.0}}, TEXTS),
        ({"label_smoothing": 0.2}, FEW.astype(float)),
        ({"criterion": "focal", "alpha": 0.25, "class_weight": "effective", "threshold": 0.3}, FEW % 2),
        ({"criterion": "nnpu", "prior": 0.4}, FEW == 2),
        ({"criterion": "focal", "gamma": 1.5, "logit_adjustment": 1.0, "label_smoothing": 0.1}, TEXTS),
    ],
    "multilabel": [
        ({"columns": ("a", "b", "c")}, COLUMNS),
        ({"class_weight": "balanced"}, TAGS),
        ({"criterion": "focal", "class_weight": "effective", "threshold": 0.6, "logit_adjustment": 0.5}, TAGS),
    ],
    "regression": [
        ({}, RNG.normal(1e3, 7, ROWS)),
        ({"criterion": "mae"}, RNG.integers(0, 50, ROWS)),
        ({"criterion": "huber", "delta": 0.5}, RNG.exponential(3, ROWS)),
        *[({"transform": name}, RNG.lognormal(0, 1, ROWS)) for name in ("log", "log1p", "box_cox", "yeo_johnson")],
    ],
    "ordinal": [({}, FEW), ({"order": ("low", "mid", "high", "top"), "class_weight": "balanced"}, TEXTS)],
    "similarity": [
        ({"dim": 8}, TEXTS),
        ({"dim": 8, "normalize": False, "balance_pairs": False}, FEW),
        ({"dim": 8, "criterion": "margin", "positive_margin": 0.1}, FEW),
    ],
    "vector_regression": [
        ({"columns": ("a", "b", "c")}, RNG.normal([1, 50, 1e3], [0.1, 3, 20], (ROWS, 3))),
        ({"criterion": "mae", "scale": "common"}, lists(*RNG.exponential(3, (ROWS, 2)).tolist())),
    ],
    "tagging": [({"tokens": "words"}, SPANS), ({"class_weight": "balanced"}, WORDS)],
}


class Given:
    """A task with its cells, some of them missing, and what it learnt of them."""

    def __init__(self, kind, settings, values):
        self.task = TASKS[kind]("target", **settings)
        self.values = values.copy()
        self.present = np.random.default_rng(1).random(values.shape) < 0.8
        if values.dtype == object or values.dtype.kind == "f":
            self.values[~self.present] = None if values.dtype == object else np.nan
        self.fitted = self.task.fit(self.values, self.present)
        self.target, self.kept = self.encoded(self.values, self.present, self.fitted)

    def encoded(self, values, present, fitted):
        """Targets and what is present, as a batch of all rows has them."""
        target, kept = self.task.encode(values, present, fitted)
        self.is_ragged = isinstance(target, Ragged)
        return as_padded(target), as_padded(kept)

    def output(self, seed=0, dtype=torch.float32):
        """Any output of the shape the head gives."""
        shape = list(self.task.constant(self.fitted, len(self.target)).shape)
        if self.is_ragged:
            shape[1] = self.target.shape[1]
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)

    def features(self, *channels):
        """Features that its head reads: of each token where that is what it judges."""
        if self.is_ragged:
            length = self.target.shape[1]
            return [Feature(torch.randn(ROWS, length, c), torch.ones(ROWS, length) > 0) for c in channels]
        return [Feature(torch.randn(ROWS, c)) for c in channels]

    def mask(self, output):
        """What of an output is present."""
        return self.kept if output.ndim == self.kept.ndim else self.kept.unsqueeze(-1).expand_as(output)

    def weight(self, seed=2):
        draw = torch.rand(self.kept.shape, generator=torch.Generator().manual_seed(seed))
        return torch.where(self.kept, draw + 0.1, 0.0)

    @property
    def is_of_pairs(self):
        return self.task.kind == "similarity"

    def perfect(self):
        """An output that could not be better."""
        kind, classes = self.task.kind, len(self.fitted.get("classes", ()))
        if kind in ("regression", "vector_regression"):
            return self.target.clone()
        if kind == "ordinal":
            return torch.where(self.target[:, None] > torch.arange(classes - 1), 20.0, -20.0)
        if kind == "multilabel" or classes == 2:
            return torch.where(self.target > 0, 20.0, -20.0)
        return 20.0 * nn.functional.one_hot(self.target, classes or self.task.dim).float()


EVERY = [(kind, *case) for kind, cases in CASES.items() for case in cases]


@pytest.fixture(params=EVERY, ids=[f"{kind}-{'-'.join(settings) or 'plain'}" for kind, settings, _ in EVERY])
def given_(request):
    return Given(*request.param)


def loss(task, *arguments):
    total, count = task.loss(*arguments)
    assert total.shape == count.shape == ()
    return total, count


def test_every_kind_has_a_case():
    assert set(CASES) == set(TASKS)
    assert all(cls.kind == kind for kind, cls in TASKS.items())


def test_a_kind_that_lacks_a_part_cannot_be_built():
    class Half(Task):
        metrics = ()

    with pytest.raises(TypeError, match=r"abstract.*constant.*decode.*encode.*fit.*head.*loss"):
        Half("half")


def test_settings_are_written_and_read_again(given_):
    written = json.loads(json.dumps(plain(given_.task)))
    assert build(type(given_.task), written) == given_.task


def test_fitted_is_json_and_enough(given_):
    again = json.loads(json.dumps(given_.fitted, allow_nan=False))
    assert again == given_.fitted
    target, kept = given_.encoded(given_.values, given_.present, again)
    assert torch.equal(target, given_.target)
    assert torch.equal(kept, given_.kept)
    assert torch.isfinite(target.double()).all()
    assert target.shape == kept.shape
    assert kept.dtype == torch.bool


def test_missing_cells_are_missing(given_):
    present = torch.from_numpy(given_.present)
    if given_.is_ragged:
        assert given_.kept.sum(dim=1).tolist() == [len(cell) if cell is not None else 0 for cell in given_.values]
        return
    assert torch.equal(
        given_.kept, present if given_.kept.ndim == present.ndim else present[:, None].expand_as(given_.kept)
    )


@pytest.mark.parametrize("reads", [-1, -2, (0, 1)])
@pytest.mark.parametrize("hidden", [(), (5,)])
def test_head_reads_its_stages_and_learns(given_, reads, hidden):
    task = replace(given_.task, reads=reads, hidden=hidden)
    features = [Feature(torch.randn(ROWS, 4, 3, 3)), Feature(torch.randn(ROWS, 6))]
    features = given_.features(4, 6) if given_.is_ragged else features
    head = task.head(given_.fitted, [4, 6])
    output = head(features)
    assert output.shape == given_.output().shape
    total, _ = loss(task, output, given_.target, given_.kept, given_.weight())
    total.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in head.parameters())


def test_head_refuses_a_stage_that_is_not_there(given_):
    with pytest.raises(ValueError, match=r"task 'target' reads stage 2, but the encoder has 2 stages: 0 to 1"):
        replace(given_.task, reads=2).head(given_.fitted, [4, 6])


def test_count_is_the_weight_of_what_is_present(given_):
    weight = given_.weight()
    _, count = loss(given_.task, given_.output(), given_.target, given_.kept, weight)
    if given_.is_of_pairs:
        expected = (weight.sum() ** 2 - (weight**2).sum()) / 2
    else:
        expected = weight.sum()
    torch.testing.assert_close(count, expected)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1e30])
def test_masked_cells_do_not_count_whatever_they_hold(given_, odd):
    task, kept, clean = given_.task, given_.kept, given_.output().requires_grad_()
    expected = loss(task, clean, given_.target, kept, given_.weight())
    mask = given_.mask(clean)
    output = torch.where(mask, clean.detach(), odd).requires_grad_()
    filler = odd if given_.target.is_floating_point() else -999
    target = torch.where(kept, given_.target, torch.full_like(given_.target, filler))
    weight = torch.where(kept, given_.weight(), torch.tensor(odd))
    found = loss(task, output, target, kept, weight)
    assert found == expected
    (expected[0] / expected[1]).backward()
    (found[0] / found[1]).backward()
    assert torch.equal(output.grad, clean.grad)
    assert (output.grad[~mask] == 0).all()


@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_masking_is_leaving_out(seed, share):
    generator = torch.Generator().manual_seed(seed)
    for kind, settings, values in EVERY:
        found = Given(kind, settings, values)
        # Of one label's column, or of rows: a row is left out where none of its cells is present.
        rows = torch.rand(ROWS, generator=generator) < share
        kept = found.kept & (rows if found.kept.ndim == 1 else rows[:, None])
        output, weight = found.output(seed % 97), found.weight()
        masked = loss(found.task, output, found.target, kept, weight)
        left = loss(found.task, output[rows], found.target[rows], found.kept[rows], weight[rows])
        torch.testing.assert_close(masked, left, rtol=1e-5, atol=1e-6)


def test_all_masked_is_nothing(given_):
    output = given_.output().requires_grad_()
    total, count = loss(given_.task, output, given_.target, torch.zeros_like(given_.kept), given_.weight())
    assert (float(total.detach()), float(count)) == (0.0, 0.0)
    total.backward()
    assert not output.grad.any()


def test_sums_add_up_over_splits(given_):
    if given_.is_of_pairs or getattr(given_.task, "prior", None):
        pytest.skip("pairs, and the risk of unlabelled rows, are formed within a batch")
    arguments = (given_.output(), given_.target, given_.kept, given_.weight())
    parts = [loss(given_.task, *(a[part] for a in arguments)) for part in (slice(0, 5), slice(5, None))]
    whole = loss(given_.task, *arguments)
    torch.testing.assert_close(whole, tuple(sum(part[k] for part in parts) for k in range(2)))


def test_order_of_rows_does_not_matter(given_):
    arguments = (given_.output(), given_.target, given_.kept, given_.weight())
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))
    shuffled = tuple(a[order] for a in arguments)
    torch.testing.assert_close(loss(given_.task, *arguments), loss(given_.task, *shuffled))
    before = given_.task.evaluate(*arguments[:3], given_.fitted)
    after = given_.task.evaluate(*shuffled[:3], given_.fitted)
    assert after == pytest.approx(before, abs=1e-6, nan_ok=True)


def test_the_scale_of_weights_does_not_matter(given_):
    arguments = (given_.output(), given_.target, given_.kept)
    total, count = loss(given_.task, *arguments, given_.weight())
    more, weight = loss(given_.task, *arguments, 8 * given_.weight())
    torch.testing.assert_close(more / weight, total / count)
    torch.testing.assert_close(weight, count * (64 if given_.is_of_pairs else 8))


def test_a_row_of_weight_two_is_a_row_twice(given_):
    if given_.is_of_pairs:
        pytest.skip("a row twice is one pair more")
    twice = torch.cat([torch.arange(ROWS), torch.tensor([2])])
    weight = torch.where(given_.kept, 1.0, 0.0)
    arguments = (given_.output(), given_.target, given_.kept, weight)
    double = torch.where(torch.arange(ROWS) == 2, 2.0, 1.0)
    weighted = weight * (double if weight.ndim == 1 else double[:, None])
    torch.testing.assert_close(
        loss(given_.task, *arguments[:3], weighted), loss(given_.task, *(a[twice] for a in arguments))
    )


def test_cell_weights_are_finite_and_of_the_targets_shape(given_):
    weight = given_.task.cell_weight(given_.target, given_.kept, given_.fitted)
    assert weight.shape == given_.target.shape
    assert weight.dtype == torch.float32
    assert torch.isfinite(weight).all()
    assert (weight >= 0).all()


def test_balanced_cells_count_alike_by_class(given_):
    """Where classes are balanced, each has the same share of the weight, and a cell weighs 1 in the mean."""
    if getattr(given_.task, "class_weight", None) != "balanced":
        pytest.skip("no balanced classes")
    weight = given_.task.cell_weight(given_.target, given_.kept, given_.fitted)
    one_column = (1, -1) if given_.is_ragged else (ROWS, -1)
    by_column = (cells.reshape(one_column) for cells in (given_.target, given_.kept, weight))
    by_column = by_column if given_.is_ragged else (cells.T for cells in by_column)
    for target, kept, weights in zip(*by_column, strict=True):
        shares = [weights[kept & (target == value)].sum() for value in target[kept].unique()]
        torch.testing.assert_close(torch.stack(shares), (kept.sum() / len(shares)).expand(len(shares)))


def test_a_perfect_output_has_skill_one(given_):
    task, fitted = given_.task, given_.fitted
    for metric in task.metrics_for(fitted):
        judged = replace(task, primary=metric.name)
        constant = judged.constant(fitted, ROWS)
        scores = [metric.score(o, given_.target, given_.kept, fitted) for o in (given_.perfect(), constant)]
        assert scores[0] == pytest.approx(metric.perfect, abs=1e-6), metric.name
        assert judged.skill(scores[0], scores[1], fitted) == pytest.approx(1, abs=1e-6), metric.name


def test_the_constant_has_skill_zero_and_no_constant_beats_it(given_):
    task, fitted = given_.task, given_.fitted
    for metric in task.metrics_for(fitted):
        judged = replace(task, primary=metric.name)
        assert judged.primary_metric(fitted) is metric
        constant = judged.constant(fitted, ROWS)
        assert (constant == constant[:1]).all()
        score = metric.score(constant, given_.target, given_.kept, fitted)
        assert judged.skill(score, score, fitted) == 0
        sign = 1 if metric.higher_is_better else -1
        for seed in range(30):
            first = given_.output(seed)[:1]
            other = 2 * (first[:, :1] if given_.is_ragged else first).expand_as(constant)
            if task.kind == "ordinal":
                other = other.sort(dim=1, descending=True).values
            assert sign * metric.score(other, given_.target, given_.kept, fitted) <= sign * score + 1e-6, metric.name


def test_metrics_are_those_of_the_kind_and_finite(given_):
    task = given_.task
    found = task.evaluate(given_.output(), given_.target, given_.kept, given_.fitted)
    assert next(iter(found)) == task.primary_metric(given_.fitted).name
    assert set(found) <= {metric.name for metric in task.metrics}
    assert all(np.isfinite(value) for value in found.values())


def test_metrics_of_nothing_are_nan(given_):
    nothing = torch.zeros_like(given_.kept)
    found = given_.task.evaluate(given_.output(), given_.target, nothing, given_.fitted)
    assert all(np.isnan(value) for value in found.values())


def test_masked_cells_do_not_count_in_metrics(given_):
    task, kept = given_.task, given_.kept
    output = given_.output()
    mask = given_.mask(output)
    odd = torch.where(mask, output, float("nan"))
    target = torch.where(kept, given_.target, torch.full_like(given_.target, -999))
    before = task.evaluate(output, given_.target, kept, given_.fitted)
    assert task.evaluate(odd, target, kept, given_.fitted) == before


def test_predictions_are_in_the_users_terms(given_):
    task, kept = given_.task, given_.kept
    decoded = task.decode(given_.perfect(), given_.fitted)
    assert all(len(column) == ROWS for column in decoded.values())
    if given_.is_of_pairs:
        assert list(decoded) == [f"target[{k}]" for k in range(task.dim)]
        return
    if task.kind == "multilabel":
        assert list(decoded) == [f"target.{label}" for label in given_.fitted["labels"]]
        found = np.stack(list(decoded.values()), axis=1)
        assert (found == given_.target.numpy())[kept.numpy()].all()
        return
    if task.kind == "vector_regression":
        assert list(decoded) == (
            [f"target.{c}" for c in "abc"] if len(task.columns) > 1 else ["target[0]", "target[1]"]
        )
        found = np.stack(list(decoded.values()), axis=1)
        own = found if len(task.columns) > 1 else lists(*found.tolist())
        again, _ = task.encode(own, np.ones(own.shape, dtype=bool), given_.fitted)
        torch.testing.assert_close(again[kept], given_.target[kept])
        return
    assert list(decoded) == ["target"]
    again, _ = given_.encoded(decoded["target"], np.ones(ROWS, dtype=bool), given_.fitted)
    torch.testing.assert_close(again[kept], given_.target[kept])


def test_probabilities_agree_with_predictions(given_):
    output = given_.output()
    found = given_.task.probabilities(output, given_.fitted)
    if not found:
        assert given_.task.kind in ("regression", "similarity", "tagging", "vector_regression")
        return
    columns = np.stack(list(found.values()), axis=1)
    assert ((columns >= 0) & (columns <= 1)).all()
    names = given_.fitted.get("labels") or given_.fitted["classes"]
    assert list(found) == [f"target[{name}]" for name in names]
    decoded = given_.task.decode(output, given_.fitted)
    threshold = getattr(given_.task, "threshold", 0.5)
    if given_.task.kind == "multilabel":
        assert ((columns > threshold) == np.stack(list(decoded.values()), axis=1)).all()
    else:
        np.testing.assert_allclose(columns.sum(axis=1), 1, rtol=1e-5)
    if given_.task.kind == "classification" and len(names) == 2:
        assert [names[int(p > threshold)] for p in columns[:, 1]] == decoded["target"].tolist()
    elif given_.task.kind == "classification":
        assert [names[k] for k in columns.argmax(axis=1)] == decoded["target"].tolist()


def test_gradients_are_right(given_):
    output = given_.output(dtype=torch.float64).requires_grad_()
    weight = given_.weight().double()
    assert torch.autograd.gradcheck(lambda o: given_.task.loss(o, given_.target, given_.kept, weight)[0], output)


def test_half_precision_is_lifted(given_):
    arguments = (given_.target, given_.kept, given_.weight())
    half = given_.output().bfloat16()
    expected = loss(given_.task, half.float(), *arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(given_.task, half, *arguments)
    assert found[0].dtype == found[1].dtype == torch.float32
    torch.testing.assert_close(found, expected)
    metrics = given_.task.evaluate(half, given_.target, given_.kept, given_.fitted)
    assert metrics == given_.task.evaluate(half.float(), given_.target, given_.kept, given_.fitted)


def test_a_head_works_under_autocast(given_):
    head = given_.task.head(given_.fitted, [6])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = head(given_.features(6))
        total, _ = loss(given_.task, output, given_.target, given_.kept, given_.weight())
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_all_missing_is_an_error(given_):
    with pytest.raises(SchemaError, match=r"task 'target' \(column '\w+'.*every (cell|label)"):
        given_.task.fit(given_.values, np.zeros_like(given_.present))


@pytest.mark.parametrize("kind", TASKS)
def test_names_and_metrics_are_checked(kind):
    with pytest.raises(ValueError, match=r"a task's name is letters"):
        TASKS[kind]("a name")
    with pytest.raises(ValueError, match=r"task 'a': primary='best' is no metric of a \w+ task"):
        TASKS[kind]("a", primary="best")
    with pytest.raises(ValueError, match=r"after is a list, got 'b'"):
        TASKS[kind]("a", after="b")
    assert TASKS[kind]("a", after=["b"], reads=[0, 1], hidden=[3]) == TASKS[kind](
        "a", after=("b",), reads=(0, 1), hidden=(3,)
    )
    with pytest.raises(TypeError, match="positional"):
        TASKS[kind]("a", "b")
