"""Rows of rare classes several times, or of frequent ones not all."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from polytask.data.resample.base import Resampler, codes_of, task_of_classes
from polytask.data.targets import Targets
from polytask.errors import ConfigError
from polytask.tasks import Fitted, Task


class OfClass(Resampler):
    """Evens out the classes of one task; rows without a label of it stay as they are.

    Args:
        task: its name; the only task of classes where not given. Of tables of their own, a name for each.
        ratio: rows of a class over those of the largest that are wanted, in (0, 1].

    Raises:
        ValueError: a ratio out of range.
    """

    def __init__(self, *, task: str | tuple[str, ...] | None = None, ratio: float = 1.0) -> None:
        if not 0 < ratio <= 1:
            raise ValueError(f"{self.name}: ratio={ratio} is out of range; a share in (0, 1] is wanted, as 1.0")
        self.task = task
        self.ratio = ratio

    def check(self, tasks: Sequence[Task]) -> None:
        """See `Resampler.check`."""
        self.task = tuple(self.about(tasks))

    def about(self, tasks: Sequence[Task]) -> list[str]:
        """See `Resampler.about`."""
        names = self.task if isinstance(self.task, tuple) else (self.task,)
        return [task_of_classes(name, tasks, self.name).name for name in names]

    def own(self, targets: Targets) -> str | None:
        """The task of these targets whose classes are evened out, if it is there.

        Raises:
            ConfigError: there are two.
        """
        names = self.task if isinstance(self.task, tuple) else (self.task,)
        here = [name for name in names if name in targets.values]
        if len(here) > 1:
            raise ConfigError(
                f"data.resample: {self.name} names {here[0]!r} and {here[1]!r}, which are of one table, and classes "
                "of one task a table are evened out; leave one out"
            )
        return here[0] if here else None

    def said(self, before: Targets, after: Targets, tasks: Sequence[Task], fitted: Mapping[str, Fitted]) -> str:
        """The rows of each class, before and after."""
        task = self.own(before)
        if task is None:
            return ""
        classes = fitted[task]["classes"]
        codes = [codes_of(targets, task) for targets in (before, after)]
        counts = [np.bincount(c[c >= 0], minlength=len(classes)) for c in codes]
        changed = [k for k in range(len(classes)) if counts[0][k] != counts[1][k]]
        shown = ", ".join(f"{classes[k]} {counts[0][k]:,} -> {counts[1][k]:,}" for k in changed[:6])
        return f"{task}: {shown}{', …' * (len(changed) > 6)}" if changed else f"{task}: no class is changed"


class Oversample(OfClass):
    """Rows of rarer classes are cloned until each class has `ratio` times the rows of the largest.

    A class of n rows that lacks m is cloned m ÷ n times as a whole; of the rest, rows are drawn without repeats. A
    cloned row brings its labels of all other tasks along.

    Args:
        task: its name; the only task of classes where not given. Of tables of their own, a name for each.
        ratio: rows of a class over those of the largest that are wanted, in (0, 1].

    Raises:
        ValueError: a ratio out of range.
    """

    name: ClassVar[str] = "oversample"

    def positions(
        self,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """All rows, and the clones behind them."""
        everything = np.arange(targets.num_rows)
        task = self.own(targets)
        if task is None:
            return everything
        codes = codes_of(targets, task)
        clones = []
        for code, lacking in enumerate(lacking_rows(codes, self.ratio)):
            rows = np.flatnonzero(codes == code)
            if lacking and len(rows):
                whole, rest = divmod(int(lacking), len(rows))
                clones += [*[rows] * whole, np.sort(generator.choice(rows, rest, replace=False))]
        return np.concatenate([everything, *clones])


class Undersample(OfClass):
    """Rows of frequent classes are left out until the rarest has `ratio` times the rows of each.

    What is left out is drawn at random, and lost to the other tasks too: see `oversample`, which loses nothing.

    Args:
        task: its name; the only task of classes where not given. Of tables of their own, a name for each.
        ratio: rows of the rarest class over those of any other that are wanted, in (0, 1].

    Raises:
        ValueError: a ratio out of range.
    """

    name: ClassVar[str] = "undersample"

    def positions(
        self,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """The rows that are kept, in order."""
        kept = np.ones(targets.num_rows, dtype=bool)
        task = self.own(targets)
        if task is None:
            return np.arange(len(kept))
        codes = codes_of(targets, task)
        counts = np.bincount(codes[codes >= 0])
        most = int(counts[counts > 0].min(initial=len(codes)) / self.ratio)
        for code in np.flatnonzero(counts > most):
            rows = np.flatnonzero(codes == code)
            kept[generator.choice(rows, len(rows) - most, replace=False)] = False
        return np.flatnonzero(kept)


def lacking_rows(codes: np.ndarray, ratio: float) -> np.ndarray:
    """How many rows each class lacks of `ratio` times the largest, `[classes]`; 0 for one without rows.

    Args:
        codes: the class of every row, −1 without a label.
        ratio: wanted.
    """
    counts = np.bincount(codes[codes >= 0])
    wanted = round(ratio * int(counts.max(initial=0)))
    return np.where(counts > 0, np.maximum(wanted - counts, 0), 0)
