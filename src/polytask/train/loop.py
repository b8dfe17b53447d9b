"""The training loop: epochs of steps, validation, history, best weights, checkpoints."""

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import torch
from safetensors.torch import save
from torch.optim.lr_scheduler import ReduceLROnPlateau

from polytask.balance import Shares
from polytask.errors import PolytaskError, ProcessError, RunError
from polytask.runs import (
    RunFolder,
    TaskScores,
    evaluating,
    explained,
    finite,
    judge,
    read_checkpoint,
    run_model,
    write_checkpoint,
)
from polytask.train.conflict import gradient_cosines
from polytask.train.looks import active, probe_of
from polytask.train.progress import Progress
from polytask.train.selection import MEAN
from polytask.train.session import Session
from polytask.train.step import task_losses, training_step
from polytask.train.totals import Totals


class TrainingError(PolytaskError):
    """Training cannot go on: a loss or gradient is not finite. Names the task and what to try."""


def train(session: Session, folder: RunFolder, progress: Progress) -> dict[str, TaskScores]:
    """Trains to the end, going on from the folder's checkpoint where there is one.

    The first process writes `history.jsonl`, `checkpoint/` and at the end `weights/`. Leaves the best weights for the
    watched score in the model that is judged, and returns their scores on the validation rows, in full precision.

    Raises:
        TrainingError: a loss is NaN or infinite.
        RunError: the folder cannot be written, or its checkpoint is damaged.
        ProcessError: several processes differ, or another one has ended.
    """
    resume(session, folder)
    session.team.by_first(lambda: None)  # all have read the checkpoint before the first writes another
    progress.start(session)
    while not session.is_over:
        began = time.monotonic()
        _train_epoch(session, folder, progress)
        record = _finish_epoch(session, folder, began, time.monotonic() - began)
        progress.epoch(record)
        if session.processes is not None:
            session.processes.check_equal()
        session.team.by_first(lambda: save_checkpoint(session, folder))
    if session.team.is_first:
        for name, weights in session.selection.weights.items():
            folder.write(f"weights/{name}.safetensors", save(weights))
    session.judged.load_state_dict(session.selection.weights[MEAN])
    return validate(session, nullcontext)


def _train_epoch(session: Session, folder: RunFolder, progress: Progress) -> None:
    if session.step == 0:
        session.totals = Totals(session.data.tasks)
        session.team.spread(session.model.buffers())  # of batch norm, which every process counts on its own
        session.cosines = _cosines(session)
    clip, saved_at = session.clip(), time.monotonic()
    session.model.train()
    for step in session.agenda.steps(session.epoch, first=session.step):
        training = active(session, step)
        session.draw_apart()
        probe = probe_of(session, training)
        teacher = session.teacher()
        losses, penalty = task_losses(
            session.model, training, session.data.tasks, session.autocast, session.processes, teacher
        )
        consistency = teacher.penalty()
        means = losses.means if isinstance(losses, Shares) else losses
        if means:
            weights = _stepped(session, losses, means, penalty=_added(penalty, consistency), clip=clip, probe=probe)
            session.after_step()
            session.totals.add(means, weights, sum(batch.num_global_rows for _, batch in step), penalty, consistency)
        session.step += 1
        progress.step(session)
        if session.team.is_first and time.monotonic() - saved_at >= session.settings.checkpoint_seconds:
            save_checkpoint(session, folder)
            saved_at = time.monotonic()


def _stepped(session: Session, losses: Any, means: Mapping[str, torch.Tensor], **more: Any) -> dict[str, float]:
    """Takes the step that these losses ask for and returns the tasks' weights; an error says which step it was."""
    try:
        return training_step(
            losses,
            session.shared,
            session.balancer,
            session.optimizer,
            epoch=session.epoch,
            scores=session.scores,
            processes=session.processes,
            preference=session.model.sharing.preference_of_last_forward,
            **more,
        )
    except ProcessError:
        raise
    except ValueError as error:
        _check_finite(session, means)
        raise TrainingError(f"epoch {session.epoch + 1}, step {session.step + 1}: {error}") from error


def _added(*penalties: torch.Tensor | None) -> torch.Tensor | None:
    """The sum of those that there are."""
    found = [penalty for penalty in penalties if penalty is not None]
    return torch.stack(found).sum() if found else None


def _finish_epoch(session: Session, folder: RunFolder, began: float, trained: float) -> dict[str, Any]:
    """Validates, keeps what is best, writes the epoch's line of history.

    `began` is when this process took up the epoch, `trained` the seconds its steps took.
    """
    _check_finite(session, {n: t for n, t in session.totals.losses.items() if t is not None})
    session.epoch += 1
    session.step = 0
    shared = _sharing_records(session)  # before validation, whose forwards a scheme may remember
    scores = validate(session, session.autocast)
    session.scores = {name: score["skill"] for name, score in scores.items()}
    watched = session.selection.watched(session.scores)
    learning_rate = session.optimizer.param_groups[0]["lr"]
    if isinstance(session.schedule, ReduceLROnPlateau):
        session.schedule.step(-math.inf if math.isnan(watched) else watched)
    improved = session.selection.update(session.epoch, session.scores, session.judged.state_dict())
    session.is_over = session.epoch >= session.settings.epochs or session.selection.is_over(session.epoch)
    seconds = round(time.monotonic() - began, 3)
    record = {
        "epoch": session.epoch,
        "score": watched,
        "learning_rate": learning_rate,
        "training_loss": session.totals.mean_losses(),
        **({} if (penalty := session.totals.mean_penalty()) is None else {"penalty": penalty}),
        **({} if (apart := session.totals.mean_consistency()) is None else {"consistency": apart}),
        "validation": scores,
        "weights": session.totals.mean_weights(),
        "cosines": session.cosines,
        **({"sharing": shared} if shared else {}),
        "improved": improved,
        "active": list(session.selection.active),
        "rows": session.totals.rows,
        "timing": {"seconds": seconds, "rows_per_second": round(session.totals.rows / max(trained, 1e-9), 1)},
    }
    if session.team.is_first:
        _append_history(session, folder, finite(record))
    session.unsaved.update(improved)
    return record


def _sharing_records(session: Session) -> dict[str, Any]:
    """What the scheme that trains says of who shares what, by title; only the first process asks."""
    if not session.team.is_first:
        return {}
    with torch.no_grad():
        return {title: record.to_json() for title, record in session.model.sharing.records().items()}


def validate(session: Session, autocast: Callable[[], AbstractContextManager[object]]) -> dict[str, TaskScores]:
    """Every task's scores on its validation rows, judged by the first process."""
    scores: dict[str, TaskScores] = session.team.by_first(lambda: _scores(session, autocast))
    return scores


def _scores(session: Session, autocast: Callable[[], AbstractContextManager[object]]) -> dict[str, TaskScores]:
    found: dict[str, TaskScores] = {}
    with evaluating(session.judged):
        for table in session.data.validation.values():
            tasks = [session.data.tasks[name] for name in table.tasks]
            outputs = run_model(session.judged, table, tasks, autocast=autocast)
            found |= judge(tasks, session.data.fitted, outputs, table)
    return {name: found[name] for name in session.data.tasks}


def _cosines(session: Session) -> dict[str, float]:
    """The tasks' gradient cosines on the first batch of every stream; the streams stay where they are."""
    before = session.agenda.state()
    first: dict[str, Any] = {}
    for step in islice(session.agenda.steps(session.epoch), session.agenda.steps_per_epoch):
        for names, batch in step:
            first.setdefault("|".join(names), (names, batch))
        if {n for names, _ in first.values() for n in names} >= set(session.data.tasks):
            break
    session.agenda.restore(before)
    return gradient_cosines(session.model, [list(first.values())], session.data.tasks, session.processes)


def _check_finite(session: Session, losses: Mapping[str, torch.Tensor]) -> None:
    for name, loss in losses.items():
        if not torch.isfinite(loss).all():
            value = float(loss.detach())
            raise TrainingError(
                f"the loss of task {name!r} became {value} in epoch {session.epoch + 1}: lower learning_rate "
                f"({session.settings.learning_rate}), set clip_norm, or look for extreme values in its inputs or target"
            )


def _append_history(session: Session, folder: RunFolder, record: Any) -> None:
    line = json.dumps(record, ensure_ascii=False) + "\n"
    with (
        explained(folder / "history.jsonl"),
        (folder / "history.jsonl").open("a", encoding="utf-8") as handle,
    ):
        handle.write(line)
        handle.flush()
    session.history_bytes = (folder / "history.jsonl").stat().st_size


def save_checkpoint(session: Session, folder: RunFolder) -> None:
    """Writes down everything that going on from here needs; best weights only where they are new."""
    _check_finite(session, {n: t for n, t in session.totals.losses.items() if t is not None})
    weights = {name: save(session.selection.weights[name]) for name in sorted(session.unsaved)}
    kept = session.selection.best.keys() - session.unsaved
    write_checkpoint(folder / "checkpoint", session.state(), weights, kept)
    session.unsaved.clear()


def resume(session: Session, folder: RunFolder) -> None:
    """Restores the newest checkpoint, and cuts the lines of history written after it.

    Raises:
        RunError: the checkpoint or the history is damaged.
    """
    found = read_checkpoint(folder / "checkpoint")
    history = folder / "history.jsonl"
    if found is None:
        if session.team.is_first:
            history.unlink(missing_ok=True)
        return
    session.restore(*found)
    if not session.team.is_first:
        return
    with explained(history), history.open("ab") as handle:
        if handle.tell() < session.history_bytes:
            raise RunError(
                f"{history} is shorter than the checkpoint says; remove the folder {folder.path} to train this Run "
                "from its beginning"
            )
        handle.truncate(session.history_bytes)
