"""What the trainer gives to balancers that look after a step or ahead of it."""

import pytest
import torch

from polytask.train import probe_of, task_losses, training_step

NOISY = {"mlp": {"widths": [8, 4], "batch_norm": True, "dropout": 0.3}}
#: Rates at which a few steps move the weights far.
LOOKS = {
    "famo": {"famo": {"learning_rate": 0.5}},
    "auto_lambda": {"auto_lambda": {"learning_rate": 0.05}},
    "smooth famo": {"smooth": {"of": {"famo": {"learning_rate": 0.5}}, "momentum": 0.5}},
    "smooth auto_lambda": {"smooth": {"of": {"auto_lambda": {"learning_rate": 0.05}}, "momentum": 0.5}},
}
looks = pytest.mark.parametrize("name", LOOKS)


def go(session, steps, check=lambda *_: None):
    """So many steps, over the ends of epochs; every task's loss and weight at every step."""
    session.model.train()
    seen = []
    while len(seen) < steps:
        for step in session.agenda.steps(session.epoch, first=session.step):
            probe = probe_of(session, step)
            losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast)
            check(session, probe, losses)
            weights = training_step(
                losses, session.shared, session.balancer, session.optimizer, epoch=0, scores={}, probe=probe
            )
            session.after_step()
            session.step += 1
            seen.append({name: (loss.item(), weights[name]) for name, loss in losses.items()})
            if len(seen) == steps:
                return seen
        session.epoch, session.step = session.epoch + 1, 0
    return seen


@looks
@pytest.mark.parametrize(
    "settings",
    [{}, {"agenda": "alternating"}, {"precision": "bfloat16", "ema": 0.5}, {"schedule": "cosine", "warmup": 0.2}],
    ids=str,
)
def test_it_resumes_bit_for_bit(training, check_resumes, name, settings):
    check_resumes(lambda: training.session(balancer=LOOKS[name], encoder=NOISY, **settings), go)


@looks
def test_a_step_of_several_tables_resumes(training, check_resumes, name):
    frames = {"price": (training.houses(70), training.tasks[:1]), "sold": (training.houses(24, 1), training.tasks[1:])}
    check_resumes(lambda: training.session(frames, balancer=LOOKS[name], encoder=NOISY), go)


@looks
def test_the_weights_move(training, name):
    seen = go(training.session(balancer=LOOKS[name], encoder=NOISY), 10)
    assert abs(seen[0]["price"][1] - seen[-1]["price"][1]) > 0.02


@looks
@pytest.mark.parametrize("settings", [{}, {"ema": 0.5}, {"precision": "bfloat16"}], ids=str)
def test_a_look_moves_nothing_but_the_weights(training, same, name, settings):
    """The same steps with the weights as they came out, and nobody looking: the same model, state and draws."""
    torch.manual_seed(4)
    session = training.session(balancer=LOOKS[name], encoder=NOISY, **settings)
    seen = go(session, 6)
    torch.manual_seed(4)
    plain = training.session(balancer="sum", encoder=NOISY, **settings)
    given = iter(seen)

    class Given(type(plain.balancer)):
        def forward(self, signals):
            weights = next(given)
            return torch.tensor([weights[n][1] for n in signals.names], dtype=torch.float64)

    plain.balancer = Given(["price", "sold"])
    assert go(plain, 6) == seen
    for part in ("model", "optimizer", "average", "agenda", "random"):
        same(plain.state()[part], session.state()[part])


def test_the_look_after_a_step_has_the_masks_and_the_precision_of_the_step(training):
    def check(session, probe, losses):
        again = probe.losses()
        assert {name: loss.item() for name, loss in again.items()} == {n: loss.item() for n, loss in losses.items()}

    for precision in ("float32", "bfloat16"):
        go(training.session(balancer="famo", encoder=NOISY, precision=precision), 5, check)


def test_the_look_ahead_is_in_full_precision_at_the_present_learning_rate(training):
    rates = []

    def check(session, probe, losses):
        rates.append(probe.learning_rate)
        assert all(float(loss.detach()) != float(probe.losses()[name]) for name, loss in losses.items())

    settings = {"precision": "bfloat16", "schedule": "cosine", "learning_rate": 0.01}
    go(training.session(balancer="auto_lambda", **settings), 5, check)
    assert rates[0] == 0.01
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.009


def test_validation_rows_come_in_an_order_of_their_own_and_none_is_left_out(training):
    session = training.session(balancer="auto_lambda")
    table, seen = session.data.validation["all"], []
    for _ in range(4):
        ((names, batch),) = next(session.ahead.steps(0))
        assert (names, batch.num_rows) == (("price", "sold"), 16)
        seen.append(batch.inputs["<numbers>"])
    order = [int((table.inputs["<numbers>"] == row).all(dim=1).nonzero()[0]) for row in torch.cat(seen)]
    assert sorted(order) == list(range(64))
    ((_, trained),) = next(session.agenda.steps(0))
    assert not torch.equal(trained.inputs["<numbers>"], seen[0])


def test_tasks_that_have_stopped_count_no_more(training):
    session = training.session(balancer="auto_lambda")
    session.selection.active = ["sold"]
    probe = probe_of(session, next(session.agenda.steps(0)))
    assert probe.validation_gradient(["price"]) is None
    assert probe.validation_gradient(["price", "sold"]) is not None


def test_nobody_looks_where_nothing_is_asked_for(training):
    for balancer in ("sum", "pcgrad", {"famo": {"next_batch": True}}):
        session = training.session(balancer=balancer)
        assert session.ahead is None
        assert probe_of(session, next(session.agenda.steps(0))) is None
    seen = go(training.session(balancer={"famo": {"next_batch": True, "learning_rate": 0.5}}), 6)
    assert seen[-1]["price"][1] != seen[0]["price"][1]
