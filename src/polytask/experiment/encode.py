"""Training and validation rows as the training takes them: in memory, decoded later, or streamed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from polytask.data import (
    AugmentedExamples,
    Cache,
    Examples,
    JudgedExamples,
    PieceEncoder,
    StreamedExamples,
    StreamSettings,
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
from polytask.model import seed_of
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
) -> TrainingData:
    """Training and validation rows, those of training resampled and augmented if asked for.

    They are tensors on the device; what has to be decoded is decoded later, where there are workers or a cache (of
    resampled rows, now), and the training rows of streamed tables stay in their files.
    """
    training: dict[str, Examples] = {}
    validation: dict[str, JudgedExamples] = {}
    planned = plan(experiment, list(prepared.preprocessor.columns), prepared.splits, sources)
    place = Place(device, workers, cache)
    for name, source in sources.items():
        if source.stream is None:
            training[name] = _training_rows(experiment, prepared, name, source, planned[name], place, say)
            validation[name] = _in_memory(prepared, source, prepared.splits[name].rows("validation"), place)
        else:
            stream = experiment.data.streaming or StreamSettings()
            absent = prepared.preprocessor.lacking(source.table)
            encoder = PieceEncoder(
                source.stream, prepared.preprocessor, source.tasks, prepared.blueprint.fitted, absent
            )
            training[name] = StreamedExamples(encoder, prepared.splits[name], stream.buffer_rows, device)
            validation[name] = encode_streamed(encoder, prepared.splits[name].rows("validation"), device)
        if augmentations := augmentations_of(experiment, prepared.preprocessor, source):
            training[name] = AugmentedExamples(training[name], augmentations)
    tasks = {task.name: task for task in prepared.blueprint.tasks}
    return TrainingData(training, validation, tasks, prepared.blueprint.fitted)


def _training_rows(
    experiment: Experiment,
    prepared: Prepared,
    name: str,
    source: Source,
    planned: MoreRows,
    place: Place,
    say: Callable[[str], None],
) -> Examples:
    """The training rows of a table in memory, with those that are added."""
    table, rows = more_rows(experiment, name, source, planned)
    own = replace(source, table=table)
    resampler = make_resampler(experiment.data.resample, prepared.blueprint.tasks)
    if resampler is None:
        return _in_memory(prepared, own, rows, place)
    generator = np.random.default_rng(seed_of(experiment.seed, "resample", name))
    of_inputs, fitted = prepared.preprocessor, prepared.blueprint.fitted
    inputs, targets = resampled(own, rows, resampler, generator, preprocessor=of_inputs, fitted=fitted, say=say)
    return TensorTable(inputs, targets, place.device)


def _in_memory(prepared: Prepared, source: Source, rows: np.ndarray, place: Place) -> JudgedExamples:
    table, absent = source.table, prepared.preprocessor.lacking(source.table)
    targets = encode_targets(table, source.tasks, prepared.blueprint.fitted, rows)
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
