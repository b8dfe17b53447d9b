"""From tables to tensors: splits, targets, inputs and blueprint, made once, written into the Run, read from there."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from polytask import papers
from polytask.config import Choice
from polytask.data import (
    Finding,
    Preprocessor,
    Split,
    Table,
    TensorTable,
    default_inputs,
    encode_targets,
    fit_task,
    lint,
    lint_across,
    located,
    make_splits,
)
from polytask.encoders import ENCODERS, default_encoder
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment.choices import DataSettings, Experiment
from polytask.model import Blueprint
from polytask.runs import RunFolder, explained
from polytask.tasks import Task
from polytask.train import TrainingData
from polytask.yaml_file import write_yaml

#: The name of the one table that all tasks have in common.
ALL = "all"


@dataclass(frozen=True)
class Source:
    """One table and the tasks whose rows it holds."""

    table: Table
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Prepared:
    """What a Run folder holds before training starts."""

    blueprint: Blueprint
    preprocessor: Preprocessor
    splits: Mapping[str, Split]
    findings: Sequence[Finding]


def load_sources(experiment: Experiment, data: Any = None) -> dict[str, Source]:
    """The tables by name, each with its tasks.

    Args:
        experiment: names the tasks, and the path where no data are given.
        data: one table for all tasks, or `{task: table}`; in any form that `Table.of` reads.

    Raises:
        ConfigError: no data, or tables for other tasks than the experiment's.
        SchemaError: a table cannot be read, or `kinds` names a column that none has.
    """
    settings = experiment.data
    found = settings.path if data is None else data
    if found is None:
        raise ConfigError("there are no data: give a table, or data.path")
    if not isinstance(found, Mapping):
        return {ALL: Source(Table.of(found, kinds=settings.kinds), experiment.tasks)}
    by_name = {task.name: task for task in experiment.tasks}
    for name in found:
        if name not in by_name:
            raise ConfigError(f"there is a table for {name!r}, which is no task; {nearest(str(name), by_name)}")
    for name in by_name:
        if name not in found:
            raise ConfigError(f"task {name!r} has no table; give one for each task, or one for all")
    tables = {name: Table.of(found[name]) for name in by_name}
    _check_columns("kinds", settings.kinds, tables)
    for name, table in tables.items():
        here = {column: kind for column, kind in settings.kinds.items() if column in table.columns}
        tables[name] = Table.of(table, kinds=here)
    return {name: Source(tables[name], (task,)) for name, task in by_name.items()}


def prepare(experiment: Experiment, sources: Mapping[str, Source], folder: RunFolder) -> None:
    """Splits, fits tasks and preprocessing on training rows, lints, and writes it all into the folder.

    Raises:
        SchemaError: a column is missing or cannot be what it should be.
        ConfigError: settings that do not fit the data.
    """
    settings = experiment.data
    fitted, findings = {}, []
    inputs = _inputs(settings, sources)
    splits = make_splits({name: (s.table, s.tasks) for name, s in sources.items()}, settings.split)
    for name, source in sources.items():
        for task in source.tasks:
            fitted[task.name] = fit_task(source.table, task, splits[name].rows("train"))
        findings += lint(source.table, source.tasks, splits[name], inputs)
    if len(sources) > 1:
        findings += lint_across({name: located(s.table, inputs) for name, s in sources.items()}, splits, inputs)
    training, rows = _training_rows(sources, splits, inputs)
    preprocessor = Preprocessor.fit(training, inputs, rows, settings.preprocess)
    blueprint = Blueprint(
        tasks=experiment.tasks,
        fitted=fitted,
        encoder=experiment.encoder or Choice(ENCODERS[default_encoder(preprocessor.spec)]),
        sharing=experiment.sharing,
        spec=preprocessor.spec,
        seed=experiment.seed,
    )
    try:  # an encoder that cannot read these inputs is refused before anything is written
        blueprint.build()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder.write("config.yaml", write_yaml(_with_absolute_path(experiment.written())))
    folder.write_json("schema.json", {name: s.table.schema.to_json() for name, s in sources.items()})
    folder.write("splits.parquet", _split_bytes(splits))
    with explained(folder.path):
        (folder / "preprocessing").mkdir(exist_ok=True)
        preprocessor.save(folder / "preprocessing")
    folder.write_json("lint.json", [finding.to_dict() for finding in findings])
    folder.write("citations.bib", papers.bibtex(_cited(experiment, blueprint)))
    folder.write_json("model.json", blueprint.to_json())


def read_prepared(folder: RunFolder) -> Prepared:
    """What `prepare` wrote."""
    frame = pd.read_parquet(folder / "splits.parquet")
    splits = {str(name): Split.from_frame(part) for name, part in frame.groupby("table", sort=False)}
    return Prepared(
        blueprint=Blueprint.from_json(folder.read_json("model.json")),
        preprocessor=Preprocessor.load(folder / "preprocessing"),
        splits=splits,
        findings=[Finding(**values) for values in folder.read_json("lint.json")],
    )


def encode(prepared: Prepared, sources: Mapping[str, Source], device: torch.device) -> TrainingData:
    """Training and validation rows as tensors on the device."""
    parts: dict[str, dict[str, TensorTable]] = {"train": {}, "validation": {}}
    fitted = prepared.blueprint.fitted
    for part, tables in parts.items():
        for name, source in sources.items():
            rows = prepared.splits[name].rows(part)
            targets = encode_targets(source.table, source.tasks, fitted, rows)
            tables[name] = TensorTable(prepared.preprocessor.transform(source.table, rows), targets, device)
    tasks = {task.name: task for task in prepared.blueprint.tasks}
    return TrainingData(parts["train"], parts["validation"], tasks, fitted)


def _inputs(settings: DataSettings, sources: Mapping[str, Source]) -> list[str]:
    """The input columns, which every table must have."""
    found: list[str] | None = None
    # A target of one table's task is no input of another's either.
    tasks = [task for source in sources.values() for task in source.tasks]
    targets = {column: task.name for task in tasks for column in task.columns}
    _check_columns("ignore", settings.ignore, {name: source.table for name, source in sources.items()})
    for name, source in sources.items():
        known = source.table.columns
        for column in settings.inputs or ():
            if column not in known:
                raise SchemaError(f"inputs: there is no column {column!r}; {nearest(column, known)}")
        ignore = [column for column in settings.ignore if column in known]
        here = list(settings.inputs or default_inputs(source.table, tasks, ignore, settings.split))
        for column in here:
            if column in targets:
                raise ConfigError(f"data.inputs: {column!r} is the target of task {targets[column]!r}; take it out")
        if found is not None and set(here) != set(found):
            odd = sorted(set(here) ^ set(found))[0]
            raise SchemaError(
                f"the tables have different input columns: {odd!r} is not in all of them (table {name!r}); "
                "name the common ones in data.inputs, or put it into data.ignore"
            )
        found = found or here
    return found or []


def _check_columns(setting: str, columns: Iterable[str], tables: Mapping[str, Table]) -> None:
    """Refuses a column that no table has; that only some have it is no mistake."""
    known = {column for table in tables.values() for column in table.columns}
    for column in columns:
        if column not in known:
            where = " in any table" if len(tables) > 1 else ""
            raise SchemaError(f"{setting}: there is no column {column!r}{where}; {nearest(column, known)}")


def _training_rows(
    sources: Mapping[str, Source], splits: Mapping[str, Split], inputs: list[str]
) -> tuple[Table, np.ndarray]:
    """One table with the training rows of all, and their row numbers in it."""
    if len(sources) == 1:
        ((name, source),) = sources.items()
        return source.table, splits[name].rows("train")
    frames = [located(s.table, inputs).frame.iloc[splits[name].rows("train")] for name, s in sources.items()]
    first = next(iter(sources.values())).table
    joined = pd.concat(frames, ignore_index=True)
    return Table(joined, kinds={name: first.kind(name) for name in inputs}), np.arange(len(joined))


def _split_bytes(splits: Mapping[str, Split]) -> bytes:
    frames = [split.to_frame().assign(table=name) for name, split in splits.items()]
    buffer = io.BytesIO()
    pd.concat(frames).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _cited(experiment: Experiment, blueprint: Blueprint) -> list[str]:
    """The papers of all that was chosen."""
    classes: list[Any] = [type(task) for task in experiment.tasks]
    classes += [blueprint.encoder.constructor, experiment.sharing.constructor, experiment.balancer.constructor]
    keys = [key for cls in classes if (key := getattr(cls, "paper", None))]
    data = experiment.data
    if blueprint.spec.numbers and data.preprocess.numbers == "robust":
        keys.append("holzmuller2024")
    if blueprint.encoder.settings.get("numbers", "linear") != "linear":
        keys.append("gorishniy2022")
    if data.split.stratify and not (data.split.by_time or data.split.column):
        keys.append("sechidis2011")
    return list(dict.fromkeys(keys))


def _with_absolute_path(values: dict[str, Any]) -> dict[str, Any]:
    """So that `polytask fit config.yaml` finds the data from within the Run folder."""
    path = values["data"].get("path")
    if path is None:
        return values
    found = {name: absolute(one) for name, one in path.items()} if isinstance(path, Mapping) else absolute(path)
    return values | {"data": values["data"] | {"path": found}}


def absolute(path: str | Path | None) -> str | None:
    """A path that still holds when the working folder changes; URLs and None as they are."""
    return None if path is None else str(Path(path).resolve())
