"""What every augmentation is: a change of training rows that leaves their labels right."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from polytask.config import choose
from polytask.data.batch import Batch
from polytask.errors import nearest
from polytask.feature import InputSpec, mask_of
from polytask.tasks import Task

#: Picture column -> the mean and the standard deviation of each of its channels, by which it was normalised.
Scales = Mapping[str, tuple[Sequence[float], Sequence[float]]]


class Augmentation(ABC):
    """A change of training rows that leaves their labels right; never of rows that are judged.

    Settings are keyword-only. It draws from the generator that it is given and from nothing else.
    """

    #: `TheAugmentation.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: Its name in the catalogue.
    name: ClassVar[str]
    #: "batch": changes encoded batches, anew in every pass; "rows": adds changed copies of rows before encoding.
    level: ClassVar[Literal["batch", "rows"]]
    #: When to use it, in a line.
    use_when: ClassVar[str] = ""

    @classmethod
    def catalogue(cls) -> Mapping[str, type["Augmentation"]]:
        """The names by which its like are chosen."""
        from polytask.data.augment import AUGMENTATIONS  # which is made of these classes

        return AUGMENTATIONS


class BatchAugmentation(Augmentation):
    """Changes batches on their own device, differently in every pass."""

    level: ClassVar[Literal["batch", "rows"]] = "batch"

    @abstractmethod
    def prepare(self, spec: InputSpec, tasks: Sequence[Task], scales: Scales) -> None:
        """Finds the columns to act on; called once before the first batch.

        Args:
            spec: the inputs of a batch.
            tasks: whose targets a batch has.
            scales: picture column -> mean and deviation of each channel.

        Raises:
            ValueError: it does not fit these inputs or tasks.
        """

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The changed batch; the one given stays as it is.

        Args:
            batch: of at least one row.
            generator: on the CPU, whatever the device of the batch.
        """


def checked(name: str, setting: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value of a setting.

    Raises:
        ValueError: it is outside `[low, high]`.
    """
    if not low <= value <= high or value == float("inf"):
        wanted = f"a number from {low:g}" + (f" to {high:g}" if high < float("inf") else "")
        raise ValueError(f"augmentation {name}: {setting}={value}, {wanted} is wanted")
    return value


def checked_range(name: str, setting: str, value: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The two ends of a range.

    Raises:
        ValueError: they are not in order, or outside `[low, high]`.
    """
    first, last = value
    if not low <= first <= last <= high:
        raise ValueError(
            f"augmentation {name}: {setting}={list(value)}, two numbers in order from {low:g} to {high:g} are wanted"
        )
    return first, last


def chosen_columns(name: str, wanted: Sequence[str] | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    """The columns to act on: those named, or all of the kind.

    Args:
        name: of the augmentation.
        wanted: the columns a user named; None: all.
        known: the columns of the kind.
        what: the kind, for an error ("picture").

    Raises:
        ValueError: there is none, or one is named that is none of the kind.
    """
    if not known:
        raise ValueError(f"augmentation {name}: there is no {what} column among the inputs for it to change")
    if wanted is not None and not wanted:
        raise ValueError(f"augmentation {name}: columns is empty; name a column, or leave it out to change all")
    for column in wanted or ():
        if column not in known:
            raise ValueError(f"augmentation {name}: {column!r} is no {what} column; {nearest(column, known)}")
    return tuple(known if wanted is None else dict.fromkeys(wanted))


def refuse_pairs(name: str, tasks: Sequence[Task]) -> None:
    """Raises ValueError for a task whose loss compares rows with each other: a mixture of two rows is like neither."""
    for task in tasks:
        if task.uses_pairs:
            raise ValueError(
                f"augmentation {name}: task {task.name!r} ({task.kind}) compares rows with each other, which a "
                "mixture of two rows does not allow; leave the augmentation or the task out"
            )


def check_extra(name: str) -> None:
    """Raises MissingExtraError where kornia is not installed."""
    from polytask.errors import MissingExtraError

    try:
        import kornia  # noqa: F401
    except ImportError:
        raise MissingExtraError("kornia", "vision", f"augmentation {name}") from None


def is_chosen(num_rows: int, probability: float, generator: torch.Generator) -> Tensor:
    """Which rows are changed, bool `[rows]` on the CPU."""
    return torch.rand(num_rows, generator=generator) < probability


def uniform(
    num_rows: int, low: float, high: float, generator: torch.Generator, *, is_logarithmic: bool = False
) -> Tensor:
    """A number a row between low and high, float32 `[rows]` on the CPU."""
    drawn = torch.rand(num_rows, generator=generator)
    if is_logarithmic:
        return torch.exp(np.log(low) + drawn * (np.log(high) - np.log(low)))
    return low + drawn * (high - low)


def on_rows(values: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The values with only the chosen rows changed; nothing is computed for the others.

    Args:
        values: `[batch, …]`, not changed.
        chosen: bool `[batch]` on the CPU.
        change: given the chosen rows and their numbers (int64, on the CPU), the new rows.
    """
    index = chosen.nonzero().flatten()
    if not len(index):
        return values
    moved = index.to(values.device)
    return values.index_copy(0, moved, change(values.index_select(0, moved), index))


def as_rows(values: Tensor, like: Tensor) -> Tensor:
    """A value a row, on the device of `like`, shaped so that it meets all of a row's axes there."""
    return values.to(like.device).reshape(-1, *[1] * (like.ndim - 1))


def token_columns(spec: InputSpec) -> list[str]:
    """The sequence columns that hold tokens."""
    return [name for name, each in spec.sequences.items() if each.num_codes]


def number_sequences(spec: InputSpec) -> list[str]:
    """The sequence columns that hold numbers."""
    return [name for name, each in spec.sequences.items() if not each.num_codes]


def lengths_in(batch: Batch, column: str) -> Tensor:
    """How many items each row has, int64 `[batch]`; items stand first, padding last."""
    return batch.inputs[mask_of(column)].sum(dim=1)
