"""What a user should read before training starts: rows, columns, settings without effect, what the lint found."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from polytask.balance import BALANCERS
from polytask.config import constructors, plain
from polytask.data import SELECTABLE, Finding, Table
from polytask.experiment.choices import Experiment
from polytask.experiment.more_rows import notices, plan
from polytask.experiment.prepare import Prepared
from polytask.experiment.sources import ALL, Source
from polytask.experiment.split_notices import of_made_splits
from polytask.experiment.stream_notices import of_streams
from polytask.experiment.unlabelled import rows_without_labels
from polytask.sharing import Sharing
from polytask.tasks import Task
from polytask.train import optimizer_class
from polytask.wording import listed

#: Takes the sentences, one by one.
Say = Callable[[str], None]
#: More tables than this are counted in one sentence, more tasks than this are not all named.
MOST = 12
#: Of more than `MOST` findings alike, this many are said.
FEW = 3


def to_stderr(sentence: str) -> None:
    """Where notices go unless somebody takes them: what is printed stays clean."""
    print(sentence, file=sys.stderr)


def tell(
    experiment: Experiment,
    prepared: Prepared,
    sources: Mapping[str, Source],
    say: Say,
    streamed: Mapping[str, Any] | None = None,
) -> None:
    """Says how rows and columns are read, what has no effect, and what the lint found.

    Args:
        experiment: the choices.
        prepared: what the Run's folder holds.
        sources: the tables.
        say: takes the sentences.
        streamed: by streamed table, what its Run wrote down of it.
    """
    for note in dict.fromkeys(note for source in sources.values() for note in source.table.notes):
        say(note)
    for sentence in (
        *of_made_splits(experiment.data, sources),
        *_rows(experiment, prepared, sources),
        *_key(experiment, sources),
    ):
        say(sentence)
    is_many = len(prepared.blueprint.tasks) > MOST
    shown = prepared.blueprint.tasks[:MOST]
    more = f"; … {len(prepared.blueprint.tasks) - MOST} more" if is_many else ""
    say("tasks: " + "; ".join(_task(task, prepared) for task in shown) + more)
    for sentence in of_streams(experiment, prepared, sources, streamed):
        say(sentence)
    apart = _apart(experiment, sources)
    planned = plan(experiment, list(prepared.preprocessor.columns), prepared.splits, sources)
    added = notices(experiment, planned)
    for sentence in (*_columns(experiment, prepared, sources), *added, *apart, *_without_effect(experiment, prepared)):
        say(sentence)
    for sentence in warnings_of(prepared.findings):
        say(sentence)


def warnings_of(findings: Sequence[Finding]) -> Iterator[str]:
    """What the lint found: of findings of one sort the first few, and how many more there are."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.what, []).append(finding)
    for code, alike in by_code.items():
        few = alike if len(alike) <= MOST else alike[:FEW]
        yield from (f"warning: {finding.text}; {finding.remedy}" for finding in few)
        if len(alike) > len(few):
            yield f"warning: {len(alike) - len(few)} more like this ({code}); all are in lint.json"


def _num_serving(experiment: Experiment, prepared: Prepared, sources: Mapping[str, Source], name: str) -> int:
    """Rows of a table without any label, which a mean teacher learns from."""
    return len(rows_without_labels(experiment, sources, prepared.splits, prepared.preprocessor, name))


def _rows(experiment: Experiment, prepared: Prepared, sources: Mapping[str, Source]) -> Iterator[str]:
    """The parts of every table; of many tables in one sentence."""
    if len(prepared.splits) > MOST:
        of_all = {name: split.counts() for name, split in prepared.splits.items()}
        parts = ", ".join(
            f"{sum(c[part] for c in of_all.values()):,} {part}" for part in ("train", "validation", "test")
        )
        fewest, name = min((c["train"], name) for name, c in of_all.items())
        yield f"{len(of_all)} tables; rows of all: {parts}; fewest training rows: {fewest:,} ({name})"
        dropped = sum(c["dropped"] for c in of_all.values())
        if dropped and experiment.train.mean_teacher is not None:
            used = sum(_num_serving(experiment, prepared, sources, name) for name in of_all)
            yield f"{used:,} of {dropped:,} rows without any label serve mean_teacher"
        elif dropped:
            yield f"{dropped:,} rows are left out: every target is missing there"
        yield from _unreadable(sources)
        return
    for name, split in prepared.splits.items():
        where = "" if name == ALL else f"{name}: "
        counts = split.counts()
        yield (
            f"{where}{counts['train']:,} training, {counts['validation']:,} validation, {counts['test']:,} test rows"
        )
        dropped, rows = counts["dropped"], sources[name].whole.num_rows
        if dropped and experiment.train.mean_teacher is not None:
            used = _num_serving(experiment, prepared, sources, name)
            yield f"{where}{used:,} of {dropped:,} rows without any label serve mean_teacher"
        elif dropped:
            yield f"{where}{dropped:,} of {rows:,} rows are left out: every target is missing there"
    yield from _unreadable(sources)


def _unreadable(sources: Mapping[str, Source]) -> Iterator[str]:
    """Cells that count as missing since they cannot be read; none of them is passed over."""
    for name, source in sources.items():
        where = "" if name == ALL else f"{name}: "
        yield from (f"warning: {where}{each.sentence}" for each in source.unreadable)


def _key(experiment: Experiment, sources: Mapping[str, Source]) -> Iterator[str]:
    """Whose rows are held together, and the tables that do not say it."""
    key = experiment.data.key
    if key is not None:
        have = [name for name, source in sources.items() if key in source.table.columns]
        where = f" over {len(have)} tables" if len(have) > 1 else ""
        without = f"; without it: {listed([name for name in sources if name not in have])}"
        yield f"all rows of one {key!r} are on one side{where}" + without * (len(have) < len(sources))


def _task(task: Task, prepared: Prepared) -> str:
    fitted = prepared.blueprint.fitted[task.name]
    classes = f" of {len(fitted['classes'])} classes" if "classes" in fitted else ""
    return f"{task.name}, {task.kind}{classes}, judged by {task.primary_metric(fitted).name}"


def _columns(experiment: Experiment, prepared: Prepared, sources: Mapping[str, Source]) -> Iterator[str]:
    """The input columns by kind, and the columns that are none though nobody said so."""
    kinds: dict[str, list[str]] = {}
    for name, kind in prepared.preprocessor.columns.items():
        kinds.setdefault(kind, []).append(name)
    yield "inputs: " + "; ".join(f"{len(names)} {kind} ({listed(names)})" for kind, names in kinds.items())
    for column in prepared.preprocessor.prepared:
        yield from column.notices
    constant = prepared.preprocessor.constant
    if constant:
        yield f"left out, constant in training: {listed(constant)}"
    unselected = prepared.preprocessor.unselected
    if unselected:
        others = [name for name, kind in prepared.preprocessor.columns.items() if kind not in SELECTABLE]
        unjudged = f"; kept as they cannot be judged: {listed(others)}" if others else ""
        number = len(prepared.preprocessor.prepared)
        yield f"selected {number} input columns, left out {len(unselected)}: {listed(unselected)}{unjudged}"
    columns = [(column, source.table) for source in sources.values() for column in source.schema.columns]
    unread = {c.name: c.kind for c, of in columns if c.kind in ("id", "other") and not _is_said(c.name, of)}
    shown = [f"{name}: {kind}" for name, kind in unread.items() if name not in experiment.data.ignore]
    if shown and experiment.data.inputs is None:
        yield f"left out, of a kind that is no input ({listed(shown)}); see data.kinds and data.ignore"


def _is_said(column: str, table: Table) -> bool:
    """Whether a column was made along with the table, as those of windows are; nobody takes it for an input."""
    return column in table.made or column == table.split_column


def _apart(experiment: Experiment, sources: Mapping[str, Source]) -> Iterator[str]:
    """The regularizers that compare tasks' outputs where no step has the same rows for two tasks."""
    if experiment.agenda.constructor.balances and any(len(source.tasks) > 1 for source in sources.values()):
        return
    for choice in experiment.regularizers:
        if choice.constructor.compares_outputs:
            name = choice.constructor.name
            yield f"warning: regularizer {name} has no effect: no step trains two tasks on the same rows"


def _without_effect(experiment: Experiment, prepared: Prepared) -> Iterator[str]:
    for task in prepared.blueprint.tasks:
        if experiment.train.mean_teacher is not None and task.spatial is not None:
            yield f"warning: train.mean_teacher has no effect on task {task.name!r}: its outputs have places that move"
        if task.after:
            yield f"warning: task {task.name!r}: after={list(task.after)} has no effect under this agenda"
    if experiment.sharing.constructor.notices is not Sharing.notices:
        yield from (f"warning: {sentence}" for sentence in prepared.blueprint.build().sharing.notices())
    *_, balancer = constructors(experiment.balancer)  # one that wraps another does what that one does
    reads = {*balancer.reads, *getattr(optimizer_class(experiment.train), "reads", ())}
    engine = plain(experiment.gradients)
    if engine and not reads & {"gramian", "jacobian"}:
        yield f"warning: gradients: {engine} has no effect: balancer {balancer.__name__} reads no gradients"
    if balancer is BALANCERS["sum"]:
        return
    if balancer.looks_ahead:
        steers = "lets the validation rows steer the training: judge it by the test rows"
        yield f"warning: balancer {balancer.__name__} {steers}"
    if not experiment.agenda.constructor.balances:
        yield f"warning: balancer {balancer.__name__} has little to balance: this agenda trains one task a step"
    elif balancer.scales == "gradients" and not list(prepared.blueprint.build().shared_parameters()):
        yield f"warning: balancer {balancer.__name__} has no effect: these tasks share no parameters"
