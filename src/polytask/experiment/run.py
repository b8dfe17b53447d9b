"""An Experiment becomes a Run: prepare, train (or go on), write down."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import polytask
from polytask.data import Cache, Workers
from polytask.errors import ConfigError
from polytask.experiment.borrowed import FILE, with_borrowed, without_one_round, write_labels
from polytask.experiment.choices import Experiment
from polytask.experiment.derived import as_trained, written_names
from polytask.experiment.encode import encode
from polytask.experiment.given import Given, load_sources
from polytask.experiment.machine import own_state
from polytask.experiment.notices import Say, tell
from polytask.experiment.prepare import Prepared, absolute, prepare, read_prepared
from polytask.experiment.resume import check_same, record_environment, without_path
from polytask.experiment.sources import Source
from polytask.model import seed_of
from polytask.ragged import as_padded
from polytask.runs import (
    FIRST,
    FORMAT,
    Outputs,
    Run,
    RunFolder,
    TaskScores,
    environment,
    evaluating,
    finite,
    judge,
    predictions,
    run_model,
)
from polytask.tasks import Fitted, thresholds
from polytask.train import Progress, Quiet, Session, Team, TrainingData, make_progress, team, train


def run(
    experiment: Experiment,
    *,
    data: Any = None,
    folder: str | Path | None = None,
    quiet: bool = False,
    say: Say = lambda sentence: None,
    given: Given | None = None,
    progress: Progress | None = None,
) -> Run:
    """Trains one model for all tasks and writes the Run.

    Started again with the same settings, data and folder, it goes on where it was; a finished Run is returned as it is.
    In a program that torchrun started, all processes train this one Run, each on its part of every batch.

    Args:
        experiment: every choice.
        data: one table for all tasks, or `{task: table}`; `experiment.data.path` is read where not given.
        folder: of the Run; `runs/<tasks>-<digest of settings and data>` where not given.
        quiet: show no progress.
        say: takes notices: what is read, what is dropped, what the lint found.
        given: what a study has made for all of its Runs.
        progress: what shows the training; chosen by `quiet` and the terminal where not given.

    Raises:
        SchemaError: the data do not fit the tasks.
        ConfigError: settings that do not fit.
        RunError: the folder cannot be written, or holds something else.
    """
    with team() as processes, ExitStack() as held, ExitStack() as undo:
        if not processes.is_first:
            say, progress = _unheard, Quiet()
        sources = load_sources(experiment, data)
        target = RunFolder(folder or default_folder(experiment, sources))
        state = processes.by_first(lambda: _open(experiment, sources, target, given, held, undo))
        prepared = read_prepared(target)
        trained = as_trained(experiment, sources)
        tables = target.read_json("run.json")["tables"]
        streamed = {name: record["stream"] for name, record in tables.items() if "stream" in record}
        tell(trained, prepared, sources, say, streamed)
        if state == "finished":
            say("this Run is finished: it is given back as it is")
        else:
            if experiment.data.pseudo_labels is not None:
                _borrow(experiment, prepared, sources, target, given, processes, say, Quiet() if quiet else progress)
            _train(trained, prepared, sources, target, progress or make_progress(quiet=quiet), say, processes)
        undo.pop_all()
    return Run(target.path, data={name: source.whole for name, source in sources.items()})


def _unheard(sentence: str) -> None:
    """What the first of several processes says, the others need not."""


def _open(
    experiment: Experiment,
    sources: Mapping[str, Source],
    target: RunFolder,
    given: Given | None,
    held: ExitStack,
    undo: ExitStack,
) -> str:
    """Locks the folder, prepares the Run where there is none yet, and says how far it had come."""
    is_new = not target.path.exists()
    target.create()
    held.enter_context(target.locked())
    state = target.state()
    if state == "empty":
        undo.callback(target.forget, whole=is_new)
        target.clear()
        made = prepare(experiment, sources, target, given)
        target.write_json("run.json", _head(sources, given, made))
    else:
        check_same(experiment, sources, target, given)
    return state


def default_folder(experiment: Experiment, sources: Mapping[str, Source]) -> Path:
    """`runs/<tasks>-<digest>`: the same settings and data always meet the same folder."""
    content = [
        without_path(experiment.written()),
        {n: s.whole.fingerprint() for n, s in sources.items()},
        polytask.__version__,
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:10]
    names = "-".join(task.name for task in experiment.tasks[:3])[:60]
    return Path("runs") / f"{names}-{digest}"


def _borrow(
    experiment: Experiment,
    prepared: Prepared,
    sources: Mapping[str, Source],
    folder: RunFolder,
    given: Given | None,
    processes: Team,
    say: Say,
    progress: Progress | None,
) -> None:
    """Trains on the labels that are given, and writes down those that this training lends; does so once."""
    if processes.by_first(lambda: (folder / FILE).exists()):
        return
    say("a first training finds labels to borrow")
    before = without_one_round(experiment)
    first = run(before, data=dict(sources), folder=folder / FIRST, given=given, progress=progress)
    processes.by_first(lambda: write_labels(experiment, prepared.preprocessor, sources, first, folder, say))


def _train(
    experiment: Experiment,
    prepared: Prepared,
    sources: Mapping[str, Source],
    folder: RunFolder,
    progress: Progress,
    say: Say,
    processes: Team,
) -> None:
    settings = experiment.train
    device = processes.device(settings.device, "train.device")
    began = time.time()
    num_workers, kept = experiment.data.workers, experiment.data.cache
    cache = None if kept is None else Cache(kept)
    with own_state(settings.threads), Workers(num_workers) as workers:
        torch.manual_seed(seed_of(experiment.seed, "training"))
        trained = with_borrowed(experiment, prepared.splits, sources, folder)
        data = encode(experiment, prepared, sources, device, say, workers if num_workers else None, cache, trained)
        session = _session(experiment, prepared, data, device, processes)
        several = {"processes": processes.size} if processes.size > 1 else {}
        processes.by_first(lambda: record_environment(folder, environment(device) | several, say))
        try:
            scores = train(session, folder, progress)
        finally:
            progress.close()
        processes.by_first(lambda: _finish(session, prepared, folder, scores, time.time() - began))


def _session(
    experiment: Experiment, prepared: Prepared, data: TrainingData, device: torch.device, processes: Team
) -> Session:
    settings = experiment.train
    model = prepared.blueprint.build().to(device)
    largest = max(table.num_rows for table in data.training.values())
    if settings.batch_size is not None and settings.batch_size > largest:
        raise ConfigError(
            f"train.batch_size={settings.batch_size}, but there are {largest} training rows; use at most {largest}"
        )
    names = [task.name for task in experiment.tasks]
    generator = torch.Generator().manual_seed(seed_of(experiment.seed, "balancer"))
    try:  # settings that only the tasks or the tables show to be wrong
        agenda = experiment.agenda(data.training, settings.batch_size_for(largest), experiment.seed)
        balancer = experiment.balancer(names, generator, engine=experiment.gradients).to(device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    session = Session(model, data, balancer, agenda, settings, processes)
    if settings.compile:
        # A donated buffer does not outlive a backward pass, and each task's gradient is a pass through the same graph.
        torch._functorch.config.donated_buffer = False
        model.compile()
    return session


def _finish(
    session: Session,
    prepared: Prepared,
    folder: RunFolder,
    scores: dict[str, TaskScores],
    seconds: float,
) -> None:
    """Tunes what validation rows teach; writes their predictions, metrics, checksums; last that the Run is finished."""
    outputs = _validation_outputs(session)
    fitted = _tuned(session, outputs)
    tuned = {name: fit for name, fit in fitted.items() if fit is not session.data.fitted[name]}
    metrics: dict[str, Any] = {"validation": finite(scores), "test": None, "test_opened": None}
    if tuned:
        blueprint = replace(prepared.blueprint, fitted=fitted)
        folder.write_json("model.json", blueprint.to_json())
        for name, table in session.data.validation.items():
            here = [session.data.tasks[task] for task in table.tasks if task in tuned]
            scores = scores | judge(here, fitted, outputs[name], table)
        # Said beside the scores: those of validation rows are of thresholds found on the same rows.
        metrics |= {"validation": finite(scores), "tuned_on_validation": {n: thresholds(f) for n, f in tuned.items()}}
    frame = _validation_predictions(session, prepared, outputs, fitted)
    folder.write("predictions/validation.parquet", frame.to_parquet(index=False))
    folder.write_json("metrics.json", metrics)
    folder.seal()
    best_score, best_epoch = session.selection.best["mean"]
    record = {"epochs": session.epoch, "best_epoch": best_epoch, "best_score": best_score}
    ended = {"state": "finished", "written": _now(), "seconds": round(seconds, 1)}
    folder.write_json("run.json", folder.read_json("run.json") | ended | finite(record))


def _validation_outputs(session: Session) -> dict[str, Outputs]:
    """What the weights that are kept say of every table's validation rows."""
    with evaluating(session.judged):
        return {
            name: run_model(session.judged, table, [session.data.tasks[task] for task in table.tasks])
            for name, table in session.data.validation.items()
        }


def _tuned(session: Session, outputs: Mapping[str, Outputs]) -> dict[str, Fitted]:
    """What the tasks have learnt, with what validation rows taught those that ask for it."""
    fitted = dict(session.data.fitted)
    for name, table in session.data.validation.items():
        for task in table.tasks:
            target, present = (as_padded(cells[task]).cpu() for cells in (table.targets, table.present))
            fitted[task] = session.data.tasks[task].tune(fitted[task], outputs[name].values[task], target, present)
    return fitted


def _validation_predictions(
    session: Session, prepared: Prepared, outputs: Mapping[str, Outputs], fitted: Mapping[str, Fitted]
) -> pd.DataFrame:
    frames = []
    for name, table in session.data.validation.items():
        tasks = [session.data.tasks[task] for task in table.tasks]
        rows = pd.Index(prepared.splits[name].rows("validation"), name="row")
        frame = predictions(tasks, fitted, outputs[name], probabilities=True, index=rows).reset_index()
        frame.insert(0, "table", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _head(sources: Mapping[str, Source], given: Given | None, made: Given) -> dict[str, Any]:
    tables = {
        name: {
            "source": absolute(s.whole.source),
            "kinds": dict(s.whole.overrides),
            "fingerprint": s.whole.fingerprint(),
            "rows": s.whole.num_rows,
            "tasks": [task.name for task in s.tasks],
            **({"stream": made.fitting[name].record()} if name in made.fitting else {}),
        }
        | _made(s)
        | ({"unreadable": {each.column: each.to_dict() for each in s.unreadable}} if s.unreadable else {})
        for name, s in sources.items()
    }
    head = {
        "format": FORMAT,
        "polytask": polytask.__version__,
        "state": "training",
        "written": _now(),
        "tables": tables,
    }
    notes = list(dict.fromkeys(note for s in sources.values() for note in s.table.notes))
    return head | ({"notes": notes} if notes else {}) | ({"given": given.mark} if given else {})


def _made(source: Source) -> dict[str, Any]:
    """How a table is made again that was not simply read, and whose rows it holds."""
    table = source.table
    found: dict[str, Any] = {"origin": table.origin} if table.origin else {}
    if table.value is not None:
        found |= {"value": table.value, "written": written_names(source)}
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
