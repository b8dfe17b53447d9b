"""What every baseline is: encoded rows as a matrix, and one column of a target learnt from it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, TypeAlias

import numpy as np
from torch import Tensor

from polytask.errors import MissingExtraError
from polytask.ragged import Blocks

#: Rows by columns, as a baseline reads them: a numpy array, or a sparse one of scipy (which names no types).
Matrix: TypeAlias = Any

#: Rows -> a number each, the logit of the second of two classes each, or `[rows, classes]` logits.
Learnt = Callable[[Matrix], np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Encoded rows of one task, as `Preprocessor.transform` and `encode_targets` give them.

    Attributes:
        inputs: of every row.
        target: what the task's loss reads, `[rows]` or `[rows, labels]`.
        present: of the same shape; false where the cell is missing.
    """

    inputs: Blocks
    target: Tensor
    present: Tensor


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One column to learn: the labelled rows to learn from, and those that say how well it goes.

    Attributes:
        rows: labelled training rows.
        target: of them: numbers, or classes 0, 1, … that all have a row.
        validation: labelled validation rows; there may be none.
        validation_target: of them; classes that training has.
        num_classes: two or more; 0 for numbers.
        is_absolute: whether numbers are judged by their absolute error, not by the squared one.
    """

    rows: Matrix
    target: np.ndarray
    validation: Matrix
    validation_target: np.ndarray
    num_classes: int
    is_absolute: bool = False

    @property
    def has_validation(self) -> bool:
        """Whether there is any validation row."""
        return len(self.validation_target) > 0


class Baseline(ABC):
    """A way to learn one column without a network.

    Args:
        inputs: of the training rows: what the matrix learns (levels, means) comes from them alone.
    """

    #: What is tried for classes and for numbers, the usual one first: it is taken where validation rows say nothing.
    for_classes: ClassVar[tuple[Mapping[str, Any], ...]]
    for_numbers: ClassVar[tuple[Mapping[str, Any], ...]]
    #: Whether the seed changes nothing.
    is_deterministic: ClassVar[bool]

    #: The package that it needs and the extra that holds it, where polytask itself does not.
    requires: ClassVar[tuple[str, str] | None] = None

    @classmethod
    def check_installed(cls) -> None:
        """Refuses a baseline whose package is missing, before anything is trained.

        Raises:
            MissingExtraError: names the extra.
        """
        if cls.requires is not None and find_spec(cls.requires[0]) is None:
            raise MissingExtraError(*cls.requires, f"the baseline {cls.requires[0]!r}")

    @abstractmethod
    def __init__(self, inputs: Blocks) -> None: ...

    @abstractmethod
    def matrix(self, inputs: Blocks) -> Matrix:
        """Rows as this baseline reads them."""

    @abstractmethod
    def learn(self, lesson: Lesson, setting: Mapping[str, Any], seed: int) -> Learnt:
        """One column, learnt under one of the settings."""
