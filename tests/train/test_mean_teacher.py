"""The mean teacher: its penalty against the formula, its average, what it asks, and that it resumes bit for bit."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from polytask.config import build
from polytask.errors import ConfigError
from polytask.train import MeanTeacher, Training, task_losses, training_step
from polytask.train.mean_teacher import AveragedTeacher

NOISY = {"mlp": {"widths": [8, 4], "dropout": 0.3}}
PLAIN = {"mlp": {"widths": [8, 4], "dropout": 0.0}}


def go(session, steps):
    """So many steps, over the ends of epochs; losses and penalty of every step."""
    seen = []
    while len(seen) < steps:
        for step in session.agenda.steps(session.epoch, first=session.step):
            teacher = session.teacher()
            losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast, teacher=teacher)
            penalty = teacher.penalty()
            weights = training_step(
                losses, session.shared, session.balancer, session.optimizer, penalty=penalty, epoch=session.epoch
            )
            session.after_step()
            session.totals.add(losses, weights, sum(batch.num_rows for _, batch in step), None, penalty)
            session.step += 1
            seen.append({name: loss.item() for name, loss in losses.items()} | {"penalty": penalty.item()})
            if len(seen) == steps:
                return seen
        session.epoch, session.step = session.epoch + 1, 0
    return seen


@pytest.mark.parametrize("encoder", [NOISY, {"mlp": {"widths": [8, 4], "batch_norm": True, "dropout": 0.3}}], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_resumes_bit_for_bit(training, check_resumes, encoder, precision):
    check_resumes(lambda: training.session(encoder=encoder, mean_teacher={}, precision=precision), go)


def test_the_penalty_is_the_weighted_distance_of_both_outputs(training):
    session = training.session(encoder=PLAIN, mean_teacher={"weight": 3.0, "ramp": 0.0})
    session.model.train()
    go(session, 3)
    ((names, batch),) = next(iter(session.agenda.steps(session.epoch)))
    teacher = session.teacher()
    task_losses(session.model, [(names, batch)], session.data.tasks, session.autocast, teacher=teacher)
    student, average = session.model(batch.inputs), session.judged(batch.inputs)
    price = (student["price"] - average["price"]).square().mean()
    sold = (student["sold"].sigmoid() - average["sold"].sigmoid()).square().mean()
    assert float(price.detach()) > 0
    torch.testing.assert_close(teacher.penalty(), 3.0 * (price + sold))


def test_only_the_student_is_pulled(training):
    session = training.session(encoder=PLAIN, mean_teacher={"ramp": 0.0})
    go(session, 2)
    ((names, batch),) = next(iter(session.agenda.steps(session.epoch)))
    teacher = session.teacher()
    session.optimizer.zero_grad()
    task_losses(session.model, [(names, batch)], session.data.tasks, session.autocast, teacher=teacher)
    teacher.penalty().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in session.model.parameters())
    assert all(p.grad is None for p in session.judged.parameters())


def test_rows_without_labels_count_as_others_do(training):
    frame = training.houses(16)
    frame.loc[:11, "price"] = np.nan
    session = training.session({"all": (frame, training.tasks)}, encoder=PLAIN, mean_teacher={"ramp": 0.0})
    session.model.train()
    go(session, 2)
    table = session.data.training["all"]
    whole, none = table.batch(torch.arange(16)), table.batch(torch.arange(12))
    assert none.labelled == ("sold",)
    teacher = session.teacher()
    losses, _ = task_losses(session.model, [(("price",), none)], session.data.tasks, session.autocast, teacher=teacher)
    assert losses == {}
    outputs = session.model(none.inputs)["price"], session.judged(none.inputs)["price"]
    torch.testing.assert_close(
        teacher.penalty(), session.settings.mean_teacher.weight * (outputs[0] - outputs[1]).square().mean()
    )
    # Of several batches: the mean over all rows, not of the batches' means.
    apart, together = session.teacher(), session.teacher()
    parts = [(("price",), table.batch(torch.arange(12))), (("price",), table.batch(torch.arange(12, 16)))]
    task_losses(session.model, parts, session.data.tasks, session.autocast, teacher=apart)
    task_losses(session.model, [(("price",), whole)], session.data.tasks, session.autocast, teacher=together)
    torch.testing.assert_close(apart.penalty(), together.penalty())


def test_student_and_teacher_draw_apart(training):
    session = training.session(encoder=NOISY, mean_teacher={"ramp": 0.0})
    session.model.train()
    ((names, batch),) = next(iter(session.agenda.steps(0)))
    teacher = session.teacher()
    task_losses(session.model, [(names, batch)], session.data.tasks, session.autocast, teacher=teacher)
    assert float(teacher.penalty().detach()) > 0  # though both have the same weights


def test_a_second_view_is_what_the_teacher_sees(training):
    session = training.session(encoder=PLAIN, mean_teacher={"ramp": 0.0})
    ((names, batch),) = next(iter(session.agenda.steps(0)))
    other = {name: values + 1 for name, values in batch.inputs.items()}
    teacher = session.teacher()
    step = [(names, dataclasses.replace(batch, second=other))]
    task_losses(session.model, step, session.data.tasks, session.autocast, teacher=teacher)
    student, average = session.model(batch.inputs), session.judged(other)
    price = (student["price"] - average["price"]).square().mean()
    sold = (student["sold"].sigmoid() - average["sold"].sigmoid()).square().mean()
    torch.testing.assert_close(teacher.penalty(), 10.0 * (price + sold))


def test_the_average_is_plain_until_it_decays_faster(training):
    session = training.session(encoder=NOISY, mean_teacher={"decay": 0.6})
    session.model.train()
    expected = None
    for step in range(5):
        go(session, 1)
        now = [p.detach().clone() for p in session.model.parameters()]
        decay = min(0.6, step / (step + 1))  # the plain mean of 1, 2 and 3 weights, 0.6 from then on
        expected = (
            now if expected is None else [decay * e + (1 - decay) * n for e, n in zip(expected, now, strict=True)]
        )
    for value, wanted in zip(session.judged.parameters(), expected, strict=True):
        torch.testing.assert_close(value, wanted)


def test_it_rises_over_the_first_share_of_all_steps(training):
    session = training.session(mean_teacher={"weight": 2.0, "ramp": 0.5}, epochs=4)
    assert session.agenda.steps_per_epoch == 4
    found = []
    for session.epoch, session.step in [(0, 0), (1, 0), (1, 2), (2, 0), (3, 3)]:
        found.append(session.teacher().weight)
    assert found == pytest.approx([2 * math.exp(-5 * (1 - t) ** 2) for t in (0, 0.5, 0.75, 1, 1)])
    assert MeanTeacher(ramp=0.0).weight_at(0.0) == 10.0


def test_without_it_nothing_is_asked_or_compared(training):
    session = training.session()
    teacher = session.teacher()
    assert not isinstance(teacher, AveragedTeacher)
    ((names, batch),) = next(iter(session.agenda.steps(0)))
    assert teacher.asks(names, batch) == ["price", "sold"]
    assert teacher.penalty() is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mean_teacher": {"weight": 0}}, "mean_teacher.weight=0.*above 0"),
        ({"mean_teacher": {"ramp": 2}}, "mean_teacher.ramp=2.*0 to 1"),
        ({"mean_teacher": {"decay": 1.0}}, "mean_teacher.decay=1.*between 0 and 1"),
        ({"mean_teacher": {}, "ema": 0.999}, "ema=0.999 and mean_teacher.decay=0.99 are of one average"),
    ],
)
def test_settings_out_of_range_are_a_sentence(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(Training, settings)
