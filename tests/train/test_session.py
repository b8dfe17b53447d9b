"""What is saved is all that training depends on: N steps, a fresh session, N more steps equal 2N, bit for bit."""

import pytest
import torch

from polytask.runs import read_checkpoint, write_checkpoint
from polytask.train import task_losses, training_step

FAMILIES = [
    "adamw", "adam", {"adam": {"amsgrad": True}}, {"sgd": {"momentum": 0.9}}, "sgd", "adagrad", "rmsprop",
    {"rmsprop": {"centered": True, "momentum": 0.5}}, "adadelta", "adamax", "nadam", "radam", "asgd", "rprop", "adafactor",
    "adatask", {"adatask": {"rule": "adagrad"}}, {"adatask": {"rule": "rmsprop", "weight_decay": 0.1}}, "m_config",
]  # fmt: skip
BATCH_NORM = {"mlp": {"widths": [8, 4], "batch_norm": True, "dropout": 0.3}}


def go(session, steps):
    """So many steps, over the ends of epochs; every task's loss at every step."""
    seen = []
    while len(seen) < steps:
        for step in session.agenda.steps(session.epoch, first=session.step):
            losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast)
            weights = training_step(
                losses,
                session.shared,
                session.balancer,
                session.optimizer,
                clip=session.clip(),
                epoch=session.epoch,
                scores=session.scores,
            )
            session.after_step()
            session.totals.add(losses, weights, sum(batch.num_rows for _, batch in step))
            session.step += 1
            seen.append({name: loss.item() for name, loss in losses.items()})
            if len(seen) == steps:
                return seen
        session.epoch, session.step = session.epoch + 1, 0
    return seen


@pytest.mark.parametrize("optimizer", FAMILIES, ids=str)
def test_every_family_of_optimizers_resumes_within_an_epoch(training, check_resumes, optimizer):
    check_resumes(lambda: training.session(encoder=BATCH_NORM, optimizer=optimizer), go)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema": 0.9},
        {"schedule": "cosine", "warmup": 0.2, "clip_norm": 0.5},
        {"precision": "bfloat16", "ema": 0.5},
        {"clip_value": 0.1, "weight_decay": 0.1},
    ],
    ids=str,
)
def test_every_setting_of_the_loop_resumes(training, check_resumes, settings):
    check_resumes(lambda: training.session(encoder=BATCH_NORM, **settings), go)


@pytest.mark.parametrize(
    "balancer",
    ["uncertainty", "dwa", "pcgrad", "cagrad", "graddrop", "moco", "db_mtl", {"gradnorm": {"warmup": 4}}],
    ids=str,
)
@pytest.mark.parametrize("agenda", ["joint", "alternating"])
def test_every_balancer_and_agenda_resumes(training, check_resumes, balancer, agenda):
    check_resumes(lambda: training.session(balancer=balancer, agenda=agenda), go)


def test_tables_of_different_sizes_resume(training, check_resumes):
    frames = {"price": (training.houses(70), training.tasks[:1]), "sold": (training.houses(24, 1), training.tasks[1:])}
    check_resumes(lambda: training.session(frames, agenda={"alternating": {"order": "uniform"}}), go)


def test_plateau_resumes(training, same, tmp_path):
    def make():
        return training.session(schedule="plateau", early_stopping={"patience": 2})

    one = make()
    for skill in (-0.1, -0.2):
        one.schedule.step(skill)
    write_checkpoint(tmp_path / "checkpoint", one.state())
    other = make()
    other.restore(read_checkpoint(tmp_path / "checkpoint")[0], {})
    for session in (one, other):
        session.schedule.step(-0.3)
        assert session.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    same(other.state(), one.state())


def test_the_average_is_an_exponential_one_and_is_what_is_judged(training):
    session = training.session(ema=0.75, encoder=BATCH_NORM)
    session.model.train()
    names = [name for name, _ in session.model.named_parameters()]
    expected = None
    for _ in range(3):
        go(session, 1)
        now = [p.detach().clone() for p in session.model.parameters()]
        # The first step is taken as it is: there is nothing before it to average with.
        expected = now if expected is None else [0.75 * e + 0.25 * n for e, n in zip(expected, now, strict=True)]
    assert session.judged is not session.model
    for name, value, wanted in zip(names, session.judged.parameters(), expected, strict=True):
        torch.testing.assert_close(value, wanted, msg=name)
    assert training.session().judged.tasks == ("price", "sold")


def test_without_an_average_the_model_itself_is_judged(training):
    session = training.session()
    assert session.judged is session.model


def test_gradients_are_cut_by_value_then_by_norm(training):
    session = training.session(clip_value=0.5, clip_norm=0.6)
    p, untouched = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(1))
    p.grad = torch.tensor([3.0, -0.1, -2.0])
    session.clip()([p, untouched])
    cut = torch.tensor([0.5, -0.1, -0.5])
    torch.testing.assert_close(p.grad, cut * 0.6 / cut.norm(), rtol=1e-5, atol=0)
    assert untouched.grad is None
    assert training.session().clip() is None


def test_totals_are_means_over_the_steps_a_task_had(training):
    session = training.session()
    session.totals.add({"price": torch.tensor(2.0), "sold": torch.tensor(1.0)}, {"price": 1.0, "sold": 0.5}, 16)
    session.totals.add({"price": torch.tensor(4.0)}, {"price": 3.0}, 8)
    assert session.totals.mean_losses() == {"price": 3.0, "sold": 1.0}
    assert session.totals.mean_weights() == {"price": 2.0, "sold": 0.5}
    assert session.totals.rows == 24
