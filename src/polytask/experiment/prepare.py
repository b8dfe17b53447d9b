"""From tables to tensors: splits, targets, inputs and blueprint, made once, written into the Run, read from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from polytask import papers
from polytask.config import Choice, constructors
from polytask.data import (
    Finding,
    FittingRows,
    Preprocessor,
    Split,
    fit_task,
    is_url,
    make_resampler,
    read_splits,
    split_bytes,
)
from polytask.encoders import ENCODERS, default_encoder
from polytask.errors import ConfigError
from polytask.experiment.augmented import augmentations_of
from polytask.experiment.borrowed import check_tasks
from polytask.experiment.choices import Experiment
from polytask.experiment.derived import as_trained
from polytask.experiment.given import Given, make_given
from polytask.experiment.more_rows import plan
from polytask.experiment.sources import Source
from polytask.experiment.streamed import of_drawn_rows
from polytask.experiment.unlabelled import check_mean_teacher, tasks_served
from polytask.feature import InputSpec
from polytask.model import Blueprint
from polytask.runs import RunFolder, explained
from polytask.tasks import Fitted, Task
from polytask.train import optimizer_class
from polytask.yaml_file import write_yaml


@dataclass(frozen=True)
class Prepared:
    """What a Run folder holds before training starts."""

    blueprint: Blueprint
    preprocessor: Preprocessor
    splits: Mapping[str, Split]
    findings: Sequence[Finding]


def prepare(
    experiment: Experiment, sources: Mapping[str, Source], folder: RunFolder, given: Given | None = None
) -> Given:
    """Splits, fits tasks and preprocessing on training rows, lints, and writes it all into the folder.

    Args:
        experiment: every choice.
        sources: the tables.
        folder: of the Run.
        given: splits, preprocessing and lint where they were made already.

    Returns:
        What was given, or else made.

    Raises:
        SchemaError: a column is missing or cannot be what it should be.
        ConfigError: settings that do not fit the data.
    """
    trained = as_trained(experiment, sources)
    if experiment.data.pseudo_labels is not None:
        check_tasks(trained.tasks)
    made = given or make_given(trained, sources)
    splits, preprocessor = made.splits, made.preprocessor
    fitted = {
        task.name: _fitted(task, source, splits[name], made.fitting.get(name))
        for name, source in sources.items()
        for task in source.tasks
    }
    blueprint = make_blueprint(trained, fitted, preprocessor.spec, _tasks_of(sources))
    if experiment.train.mean_teacher is not None:
        inputs = list(preprocessor.columns)
        served = [[t.name for t in (*s.tasks, *tasks_served(n, sources, inputs))] for n, s in sources.items()]
        check_mean_teacher(trained, blueprint.build(), served)
    plan(experiment, list(preprocessor.columns), splits, sources)
    for source in sources.values():
        augmentations_of(experiment, preprocessor, source)
    folder.write("config.yaml", write_yaml(_with_absolute_path(experiment.written())))
    folder.write_json("schema.json", {name: s.schema.to_json() for name, s in sources.items()})
    folder.write("splits.parquet", split_bytes(splits))
    with explained(folder.path):
        (folder / "preprocessing").mkdir(exist_ok=True)
        preprocessor.save(folder / "preprocessing")
    folder.write_json("lint.json", [finding.to_dict() for finding in made.findings])
    is_streamed = all(source.stream is not None for source in sources.values())
    folder.write(
        "citations.bib", papers.bibtex(_cited(trained, blueprint, preprocessor.cited, is_streamed=is_streamed))
    )
    folder.write_json("model.json", blueprint.to_json())
    return made


def _fitted(task: Task, source: Source, split: Split, drawn: FittingRows | None) -> Fitted:
    if drawn is None:
        return fit_task(source.table, task, split.rows("train"))
    with of_drawn_rows([drawn]):
        return fit_task(drawn.table, task, drawn.task_rows[task.name])


def make_blueprint(
    experiment: Experiment, fitted: Mapping[str, Fitted], spec: InputSpec, tables: Sequence[Sequence[str]]
) -> Blueprint:
    """What the model is built from; what cannot be built, or not trained on these tables, is refused at once.

    Args:
        experiment: the choices.
        fitted: what each task learnt from the training rows.
        spec: what the encoder reads.
        tables: the tasks of each table.

    Raises:
        ConfigError: settings of encoder, sharing or heads that do not fit the inputs, or a sharing the tables.
    """
    blueprint = Blueprint(
        tasks=experiment.tasks,
        fitted=fitted,
        encoder=experiment.encoder or Choice(ENCODERS[default_encoder(spec)]),
        sharing=experiment.sharing,
        spec=spec,
        seed=experiment.seed,
        regularizers=experiment.regularizers,
    )
    try:
        with torch.random.fork_rng(devices=[]):
            kinds = blueprint.encoder(spec).kinds()  # stages that do not meet are answered here, not from inside torch
        for task in experiment.tasks:
            task.check_encoder(spec, kinds)
        model = blueprint.build()
        model.sharing.check_rows(tables, is_one_task_a_step=not experiment.agenda.constructor.balances)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return blueprint


def _tasks_of(sources: Mapping[str, Source]) -> list[list[str]]:
    return [[task.name for task in source.tasks] for source in sources.values()]


def read_prepared(folder: RunFolder) -> Prepared:
    """What `prepare` wrote."""
    return Prepared(
        blueprint=Blueprint.from_json(folder.read_json("model.json")),
        preprocessor=Preprocessor.load(folder / "preprocessing"),
        splits=read_splits(folder / "splits.parquet"),
        findings=[Finding(**values) for values in folder.read_json("lint.json")],
    )


def _cited(
    experiment: Experiment, blueprint: Blueprint, features: Sequence[str] = (), *, is_streamed: bool = False
) -> list[str]:
    """The papers of all that was chosen, those of features among them."""
    classes: list[Any] = []
    chosen: list[Choice[Any]] = [blueprint.encoder, experiment.sharing, *experiment.regularizers, experiment.balancer]
    classes += [cls for choice in chosen for cls in constructors(choice)]
    classes.append(optimizer_class(experiment.train))
    classes += [cls for choice in experiment.data.augment for cls in constructors(choice)]
    keys = [key for task in experiment.tasks for key in task.papers()]
    keys += [key for cls in classes if (key := getattr(cls, "paper", None))]
    keys += features
    data = experiment.data
    if blueprint.spec.numbers and data.preprocess.numbers == "robust":
        keys.append("holzmuller2024")
    if blueprint.encoder.settings.get("numbers", "linear") != "linear":
        keys.append("gorishniy2022")
    keys += [type(one).paper for one in (data.pseudo_labels, experiment.train.mean_teacher) if one is not None]
    if experiment.sharing.settings.get("distance") == "trace":
        keys.append("yang2017")
    splits = () if is_streamed else (data.split, *data.splits.values())
    if any(s.stratify and not (s.by_time or s.column or s.largest_first) for s in splits):
        keys.append("sechidis2011")
    resampler = make_resampler(data.resample, experiment.tasks)
    if resampler is not None and resampler.paper is not None:
        keys.append(resampler.paper)
    return list(dict.fromkeys(keys))


def _with_absolute_path(values: dict[str, Any]) -> dict[str, Any]:
    """So that `polytask fit config.yaml` finds the data from within the Run folder."""
    path = values["data"].get("path")
    if path is None:
        return values
    found = {name: absolute(one) for name, one in path.items()} if isinstance(path, Mapping) else absolute(path)
    return values | {"data": values["data"] | {"path": found}}


def absolute(path: Any) -> Any:
    """A path, or several, that still holds when the working folder changes; URLs and None as they are."""
    if isinstance(path, list | tuple):
        return [absolute(one) for one in path]
    return path if path is None or is_url(path) else str(Path(path).resolve())
