"""What a balancer that looks after a step, or ahead of it, sees of a training."""

from contextlib import nullcontext

from torch import Tensor

from polytask.balance import Probe
from polytask.train.agenda import Step
from polytask.train.session import Session
from polytask.train.step import task_losses


def probe_of(session: Session, step: Step) -> Probe | None:
    """The probe of this step, made before its forward pass; None for a balancer that reads none.

    A balancer that looks ahead sees the next batch of the validation rows, of the tasks that still train: those rows
    then steer the training. It looks in full precision, since the losses it compares lie close together; one that
    looks after the step compares with the losses that the step had, in theirs.
    """
    if "probe" not in session.balancer.reads:
        return None
    autocast = session.autocast if session.balancer.looks_after else nullcontext

    def losses_of(batches: Step) -> dict[str, Tensor]:
        return task_losses(session.model, batches, session.data.tasks, autocast, session.processes)[0]

    ahead = None if session.ahead is None else active(session, next(session.ahead.steps(session.epoch)))
    return Probe(
        session.model,
        losses=lambda: losses_of(step),
        validation=None if ahead is None else lambda: losses_of(ahead),
        learning_rate=session.optimizer.param_groups[0]["lr"],
        processes=session.processes,
    )


def active(session: Session, step: Step) -> Step:
    """The step without the tasks that have stopped."""
    return [(tuple(name for name in names if name in session.selection.active), batch) for names, batch in step]
