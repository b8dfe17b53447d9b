"""From a list of choices to augmentations that are ready for a table's batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polytask.config import NOWHERE, Choice, Source, as_choice
from polytask.data.augment.base import Augmentation, BatchAugmentation, Scales
from polytask.data.augment.rows import RowAugmentation
from polytask.errors import ConfigError
from polytask.feature import InputSpec
from polytask.tasks import Task
from polytask.wording import shown


def read_augmentations(values: Any, source: Source = NOWHERE) -> tuple[Choice[Augmentation], ...]:
    """A list of choices, however each is written; each is built once, so that a wrong setting is answered at once.

    Raises:
        ConfigError: no list, an unknown name or setting, or a value that a setting cannot have.

    Example:
        >>> [choice.settings for choice in read_augmentations(["flip", {"rotate": {"degrees": 30}}])]
        [{}, {'degrees': 30.0}]
    """
    if isinstance(values, str | Mapping | Choice | type) or not isinstance(values, Iterable):
        raise ConfigError(f"augment: a list is wanted ([flip, {{rotate: {{degrees: 15}}}}]), got {shown(values)}")
    catalogue = Augmentation.catalogue()
    found = []
    for place, value in enumerate(values):
        choice = as_choice(value, catalogue, "augmentation", source, ("augment", str(place)))
        try:
            choice()
        except (ValueError, TypeError) as error:
            raise ConfigError(str(error)) from error
        found.append(choice)
    return tuple(found)


def row_augmentations(choices: Iterable[Choice[Augmentation]]) -> list[RowAugmentation]:
    """Those that add copies of rows."""
    made = [choice() for choice in choices if choice.constructor.level == "rows"]
    return [augmentation for augmentation in made if isinstance(augmentation, RowAugmentation)]


def batch_augmentations(
    choices: Iterable[Choice[Augmentation]], spec: InputSpec, tasks: Sequence[Task], scales: Scales
) -> list[BatchAugmentation]:
    """Those that act on batches, ready for these inputs and tasks.

    Args:
        choices: of any level.
        spec: the inputs of a batch.
        tasks: whose targets a batch has.
        scales: picture column -> mean and deviation of each channel.

    Raises:
        ValueError: one does not fit these inputs or tasks.
    """
    made = [choice() for choice in choices if choice.constructor.level == "batch"]
    found = [augmentation for augmentation in made if isinstance(augmentation, BatchAugmentation)]
    for augmentation in found:
        augmentation.prepare(spec, tasks, scales)
    return found
