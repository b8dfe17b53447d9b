"""Schemes with state of their own, trained as the loop does: N steps, a fresh session, N more equal 2N, bit for bit."""

import pytest

from polytask.train import task_losses, training_step


def go(session, steps):
    """So many steps with the scheme's penalties and preference; every task's loss at every step."""
    seen = []
    while len(seen) < steps:
        for step in session.agenda.steps(session.epoch, first=session.step):
            losses, penalty = task_losses(session.model, step, session.data.tasks, session.autocast)
            weights = training_step(
                losses,
                session.shared,
                session.balancer,
                session.optimizer,
                penalty=penalty,
                clip=session.clip(),
                epoch=session.epoch,
                scores=session.scores,
                preference=session.model.sharing.preference_of_last_forward,
            )
            session.after_step()
            session.totals.add(losses, weights, sum(batch.num_rows for _, batch in step))
            session.step += 1
            seen.append({name: loss.item() for name, loss in losses.items()})
            if len(seen) == steps:
                return seen
        session.epoch, session.step = session.epoch + 1, 0
    return seen


@pytest.mark.parametrize(
    ("sharing", "balancer"),
    [
        ("rotograd", "sum"),
        ("rotograd", "pcgrad"),
        ("rotograd", "uncertainty"),
        ("preference_conditioned", "cosmos"),
        ("task_norm", "sum"),
        ("lora", "sum"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"ema": 0.9}], ids=str)
def test_it_resumes_bit_for_bit(training, check_resumes, sharing, balancer, settings):
    encoder = {"mlp": {"widths": [8, 4], "batch_norm": True, "dropout": 0.3}}
    check_resumes(
        lambda: training.session(sharing=sharing, balancer=balancer, encoder=encoder, **settings), go, steps=5
    )


def test_a_ray_of_the_forward_weighs_the_losses(training):
    """Without the cosine the weights are the ray itself."""
    session = training.session(sharing="preference_conditioned", balancer={"cosmos": {"strength": 0.0}})
    session.model.train()
    step = next(session.agenda.steps(0))
    losses, _ = task_losses(session.model, step, session.data.tasks, session.autocast)
    ray = session.model.sharing.preference_of_last_forward
    weights = training_step(losses, session.shared, session.balancer, session.optimizer, preference=ray)
    assert weights == pytest.approx(ray)
