"""The augmentations of a table's batches, ready for its inputs and tasks."""

from polytask.data import BatchAugmentation, ImageColumn, Preprocessor, batch_augmentations
from polytask.errors import ConfigError
from polytask.experiment.choices import Experiment
from polytask.experiment.sources import Source


def augmentations_of(experiment: Experiment, preprocessor: Preprocessor, source: Source) -> list[BatchAugmentation]:
    """What changes the batches of this table.

    Raises:
        ConfigError: one does not fit the inputs or tasks.
    """
    pictures = [column for column in preprocessor.prepared if isinstance(column, ImageColumn)]
    scales = {column.name: (column.mean, column.deviation) for column in pictures}
    try:
        return batch_augmentations(experiment.data.augment, preprocessor.spec, source.tasks, scales)
    except ValueError as error:
        raise ConfigError(str(error)) from error
