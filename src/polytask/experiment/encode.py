"""Training and validation rows as the training takes them: in memory, decoded later, or streamed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from polytask.data import (
    AugmentedExamples,
    Cache,
    Examples,
    JudgedExamples,
    PieceEncoder,
    Split,
    StreamedExamples,
    StreamSettings,
    Targets,
    TensorTable,
    Workers,
    encode_rows,
    encode_streamed,
    encode_targets,
    make_resampler,
)
from polytask.experiment.augmented import augmentations_of
from polytask.experiment.choices import Experiment
from polytask.experiment.more_rows import MoreRows, more_rows, plan
from polytask.experiment.prepare import Prepared
from polytask.experiment.resampled import resampled
from polytask.experiment.sources import Source
from polytask.experiment.unlabelled import joined, no_targets, rows_without_labels, tasks_served, unlabelled_name
from polytask.model import seed_of
from polytask.tasks import Task
from polytask.train import TrainingData


@dataclass(frozen=True)
class Place:
    """Where batches are wanted, and who decodes what they need.

    Attributes:
        device: of the batches.
        workers: decode a batch's cells at a time; None: all before training.
        cache: keeps what was decoded.
    """

    device: torch.device
    workers: Workers | None = None
    cache: Cache | None = None


def encode(
    experiment: Experiment,
    prepared: Prepared,
    sources: Mapping[str, Source],
    device: torch.device,
    say: Callable[[str], None] = lambda sentence: None,
    workers: Workers | None = None,
    cache: Cache | None = None,
    trained: tuple[Mapping[str, Source], Mapping[str, Split]] | None = None,
) -> TrainingData:
    """Training and validation rows, those of training resampled and augmented if asked for.

    They are tensors on the device; what has to be decoded is decoded later, where there are workers or a cache (of
    resampled rows, now), and the training rows of streamed tables stay in their files. `trained` are the tables and
    splits of the training rows where labels were borrowed. A mean teacher has rows without labels besides.
    """
    training: dict[str, Examples] = {}
    validation: dict[str, JudgedExamples] = {}
    of_training, splits = trained or (sources, prepared.splits)
    planned = plan(experiment, list(prepared.preprocessor.columns), splits, of_training)
    place = Place(device, workers, cache)
    for name, source in sources.items():
        if source.stream is None:
            own, others = of_training[name], _served(experiment, prepared, name, sources)
            rows = _training_rows(experiment, prepared, name, own, planned[name], place, say, others)
            training[name] = _augmented(experiment, prepared, rows, replace(own, tasks=(*own.tasks, *others)))
            if experiment.train.mean_teacher is not None:
                training |= _unlabelled(experiment, prepared, name, of_training, splits, place, others)
            validation[name] = _in_memory(prepared, source, prepared.splits[name].rows("validation"), place)
        else:
            stream = experiment.data.streaming or StreamSettings()
            absent = prepared.preprocessor.lacking(source.table)
            encoder = PieceEncoder(
                source.stream, prepared.preprocessor, source.tasks, prepared.blueprint.fitted, absent
            )
            streamed = StreamedExamples(encoder, prepared.splits[name], stream.buffer_rows, device)
            training[name] = _augmented(experiment, prepared, streamed, source)
            validation[name] = encode_streamed(encoder, prepared.splits[name].rows("validation"), device)
    tasks = {task.name: task for task in prepared.blueprint.tasks}
    return TrainingData(training, validation, tasks, prepared.blueprint.fitted)


def _augmented(experiment: Experiment, prepared: Prepared, rows: Examples, source: Source) -> Examples:
    augmentations = augmentations_of(experiment, prepared.preprocessor, source)
    return AugmentedExamples(rows, augmentations) if augmentations else rows


def _served(experiment: Experiment, prepared: Prepared, name: str, sources: Mapping[str, Source]) -> list[Task]:
    """The tasks of other tables that a table's rows serve without a label, for a mean teacher."""
    if experiment.train.mean_teacher is None:
        return []
    return tasks_served(name, sources, list(prepared.preprocessor.columns))


def _unlabelled(
    experiment: Experiment,
    prepared: Prepared,
    name: str,
    sources: Mapping[str, Source],
    splits: Mapping[str, Split],
    place: Place,
    others: Sequence[Task],
) -> dict[str, Examples]:
    """The rows of a table in which every label is missing, which a mean teacher learns from; empty without any."""
    source = sources[name]
    tasks = tuple(task for task in (*source.tasks, *others) if task.spatial is None)
    rows = rows_without_labels(experiment, sources, splits, prepared.preprocessor, name) if tasks else np.arange(0)
    if not len(rows):
        return {}
    found = _in_memory(prepared, replace(source, tasks=()), rows, place, tasks)
    return {unlabelled_name(name): _augmented(experiment, prepared, found, replace(source, tasks=tasks))}


def _training_rows(
    experiment: Experiment,
    prepared: Prepared,
    name: str,
    source: Source,
    planned: MoreRows,
    place: Place,
    say: Callable[[str], None],
    others: Sequence[Task],
) -> Examples:
    """The training rows of a table in memory, with those that are added; `others` have no label there."""
    table, rows = more_rows(experiment, name, source, planned)
    own = replace(source, table=table)
    resampler = make_resampler(experiment.data.resample, prepared.blueprint.tasks)
    if resampler is None:
        return _in_memory(prepared, own, rows, place, others)
    generator = np.random.default_rng(seed_of(experiment.seed, "resample", name))
    of_inputs, fitted = prepared.preprocessor, prepared.blueprint.fitted
    inputs, targets = resampled(own, rows, resampler, generator, preprocessor=of_inputs, fitted=fitted, say=say)
    return TensorTable(inputs, _with_others(targets, others, prepared), place.device)


def _with_others(targets: Targets, others: Sequence[Task], prepared: Prepared) -> Targets:
    """With targets of other tasks that are missing in every row."""
    if not others:
        return targets
    num_rows = targets.num_rows
    return joined(targets, no_targets(others, prepared.blueprint.fitted, num_rows))


def _in_memory(
    prepared: Prepared, source: Source, rows: np.ndarray, place: Place, others: Sequence[Task] = ()
) -> JudgedExamples:
    table, absent = source.table, prepared.preprocessor.lacking(source.table)
    targets = joined(
        encode_targets(table, source.tasks, prepared.blueprint.fitted, rows),
        no_targets(others, prepared.blueprint.fitted, len(rows)),
    )
    return encode_rows(
        prepared.preprocessor,
        table,
        rows,
        targets,
        device=place.device,
        absent=absent,
        workers=place.workers,
        cache=place.cache,
    )
