"""The tasks' gradient cosines, against gradients taken by hand."""

import pytest
import torch

from polytask.train import gradient_cosines
from polytask.train.loop import _cosines

BATCH_NORM = {"mlp": {"widths": [8, 4], "batch_norm": True, "dropout": 0.3}}


def by_hand(model, step, tasks):
    """The cosine of two tasks' gradients on the shared parameters, by plain autograd."""
    shared = list(model.shared_parameters())
    model.eval()
    gradients = {}
    for names, batch in step:
        for name in names:
            output = model(batch.inputs)[name]
            total, count = tasks[name].loss(output, batch.targets[name], batch.present[name], batch.weight[name])
            found = torch.autograd.grad(total / count, shared, allow_unused=True)
            parts = [torch.zeros_like(p) if g is None else g for g, p in zip(found, shared, strict=True)]
            gradients[name] = torch.cat([part.flatten() for part in parts]).double()
    (one, a), (other, b) = gradients.items()
    return {f"{one}|{other}": float(a @ b / (a.norm() * b.norm()))}


@pytest.mark.parametrize("encoder", [None, BATCH_NORM])
def test_cosines_are_those_of_the_gradients(training, encoder):
    session = training.session(encoder=encoder)
    step = next(session.agenda.steps(0))
    expected = by_hand(session.model, step, session.data.tasks)
    session.model.train()
    found = gradient_cosines(session.model, [step], session.data.tasks)
    assert list(found) == ["price|sold"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_parts_of_different_tables_are_compared(training):
    frames = {"price": (training.houses(40), training.tasks[:1]), "sold": (training.houses(24, 1), training.tasks[1:])}
    session = training.session(frames)
    step = next(session.agenda.steps(0))
    expected = by_hand(session.model, step, session.data.tasks)
    assert gradient_cosines(session.model, [step], session.data.tasks) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("agenda", ["joint", "alternating", {"alternating": {"order": "uniform"}}])
def test_nothing_is_touched(training, agenda):
    session = training.session(encoder=BATCH_NORM, agenda=agenda)
    session.model.train()
    for p in session.model.parameters():
        p.grad = torch.full_like(p, 0.5)
    before = {name: value.clone() for name, value in session.model.state_dict().items()}
    streams, random = session.agenda.state(), torch.get_rng_state()
    assert set(_cosines(session)) == {"price|sold"}
    assert all((p.grad == 0.5).all() for p in session.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in session.model.state_dict().items())
    assert any("running_mean" in name for name in before)
    assert session.agenda.state() == streams
    assert torch.equal(torch.get_rng_state(), random)
    assert session.model.training


def test_an_error_leaves_the_mode_as_it_was(training):
    session = training.session()
    session.model.train()
    step = next(session.agenda.steps(0))
    with pytest.raises(KeyError):
        gradient_cosines(session.model, [step], {"price": training.tasks[0], "other": training.tasks[1]})
    assert session.model.training


def test_empty_where_there_is_nothing_to_compare(training):
    independent = training.session(sharing="independent")
    step = next(independent.agenda.steps(0))
    assert gradient_cosines(independent.model, [step], independent.data.tasks) == {}
    alone = training.session({"all": (training.houses(), training.tasks[:1])})
    assert gradient_cosines(alone.model, [next(alone.agenda.steps(0))], alone.data.tasks) == {}
    both = training.session()
    ((names, batch),) = next(both.agenda.steps(0))
    assert gradient_cosines(both.model, [[(names[:1], batch)]], both.data.tasks) == {}
