"""What every way to resample promises, and how one is chosen and used."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.config import Choice, as_choice, plain, settings_of
from polytask.data.table import Table
from polytask.data.targets import Targets, encode_targets, fit_task
from polytask.errors import ConfigError, nearest
from polytask.ragged import Blocks, InputRows, as_padded
from polytask.tasks import Fitted, Task

#: A choice as it is written: a name, or the name with its settings.
Written = str | dict[str, dict[str, Any] | None]


class Resampler(ABC):
    """A way to resample the training rows of one table; validation and test rows are never touched."""

    name: ClassVar[str]
    #: Key of its publication.
    paper: ClassVar[str | None] = None

    @abstractmethod
    def check(self, tasks: Sequence[Task]) -> None:
        """Refuses what can be known to be wrong before there are data.

        Raises:
            ConfigError: a task that is not there or of a wrong kind.
        """

    @abstractmethod
    def about(self, tasks: Sequence[Task]) -> list[str]:
        """The tasks whose classes or labels it evens out."""

    @abstractmethod
    def positions(
        self,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Which rows train: positions among the rows of `targets`, int64, some several times.

        Args:
            targets: of the training rows of one table.
            tasks: of this table.
            fitted: what each of them learnt.
            generator: of the draws.
        """

    def extended(
        self,
        inputs: Blocks,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> tuple[dict[str, InputRows], Targets]:
        """The rows with new ones below them; the same where only whole rows are cloned or left out.

        Raises:
            ConfigError: inputs or targets that rows cannot be made for.
        """
        return dict(inputs), targets

    @abstractmethod
    def said(self, before: Targets, after: Targets, tasks: Sequence[Task], fitted: Mapping[str, Fitted]) -> str:
        """What became of this table, in words; empty where nothing was done."""


def chosen(written: Written) -> Choice[Resampler]:
    """The choice that is written.

    Raises:
        ConfigError: an unknown name or setting.
    """
    from polytask.data.resample.catalogue import RESAMPLERS  # its members stand on this file

    return as_choice(written, RESAMPLERS, "resample", path=("data", "resample"))


def make_resampler(written: Written | None, tasks: Sequence[Task]) -> Resampler | None:
    """What was chosen for these tasks; None where nothing was.

    Raises:
        ConfigError: an unknown name, setting or task.
    """
    if written is None:
        return None
    try:
        found = chosen(written)()
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(f"data.resample: {error}") from error
    found.check(tasks)
    return found


def restricted(written: Written | None, tasks: Sequence[Task], kept: Sequence[str]) -> Written | None:
    """What was chosen for these tasks, for some of them only: None where it is about the others.

    Args:
        written: the choice.
        tasks: for which it was made.
        kept: names of those that are left.
    """
    return renamed(written, tasks, {name: [name] for name in kept})


def renamed(written: Written | None, tasks: Sequence[Task], names: Mapping[str, Sequence[str]]) -> Written | None:
    """What was chosen for these tasks, for others that are made of them: None where it is about none of these.

    Args:
        written: the choice.
        tasks: for which it was made.
        names: task -> those that are made of it, which have its classes or labels; one that is not there has none.
    """
    if written is None:
        return None
    choice, made = chosen(written), make_resampler(written, tasks)
    assert made is not None
    left = [new for name in made.about(tasks) for new in names.get(name, ())]
    if not left:
        return None
    key = "task" if "task" in settings_of(choice.constructor) else "tasks"
    return {
        choice.constructor.name: plain({**choice.settings, key: left[0] if key == "task" and len(left) == 1 else left})
    }


def resample(
    table: Table, tasks: Sequence[Task], rows: np.ndarray, resampler: Resampler, generator: np.random.Generator
) -> np.ndarray:
    """These rows as the resampler repeats or drops them: positions in the table, int64.

    Args:
        table: of the rows.
        tasks: whose targets it looks at.
        rows: positions of training rows.
        resampler: one that clones or leaves out whole rows.
        generator: of the draws.

    Raises:
        ConfigError: tasks it cannot look at.
        SchemaError: targets that cannot be read.

    Example:
        >>> import pandas as pd
        >>> from polytask.data.resample.of_class import Oversample
        >>> from polytask.tasks import Classification
        >>> table = Table(pd.DataFrame({"y": [0, 0, 0, 1]}))
        >>> generator = np.random.default_rng(0)
        >>> resample(table, [Classification("y")], np.arange(4), Oversample(), generator).tolist()
        [0, 1, 2, 3, 3, 3]
    """
    resampler.check(tasks)
    fitted = {task.name: fit_task(table, task, rows) for task in tasks}
    positions = resampler.positions(encode_targets(table, tasks, fitted, rows), tasks, fitted, generator)
    return np.asarray(rows, dtype=np.int64)[positions]


def codes_of(targets: Targets, task: str) -> np.ndarray:
    """The class of every row, −1 without a label."""
    values, present = as_padded(targets.values[task]).cpu(), as_padded(targets.present[task]).cpu()
    return np.where(present.numpy(), values.numpy().astype(np.int64), -1)


def task_of_classes(name: str | None, tasks: Sequence[Task], what: str) -> Task:
    """The task whose classes are evened out.

    Raises:
        ConfigError: it is not there, has no classes, or several could be meant.
    """
    able = [task for task in tasks if task.kind in ("classification", "ordinal")]
    if name is None:
        if len(able) == 1:
            return able[0]
        names = ", ".join(repr(task.name) for task in able) or "none"
        raise ConfigError(
            f"data.resample: {what} wants one task of classes, and there are {len(able)} ({names}): name it, as "
            f"{{{what}: {{task: {able[0].name if able else 'name'}}}}}"
        )
    by_name = {task.name: task for task in tasks}
    if name not in by_name:
        raise ConfigError(f"data.resample: {what} names {name!r}, which is no task; {nearest(name, by_name)}")
    if by_name[name] not in able:
        hint = "; ml_ros evens out the labels of a multilabel task" if by_name[name].kind == "multilabel" else ""
        raise ConfigError(
            f"data.resample: {what} evens out classes, and task {name!r} is of kind {by_name[name].kind}; a "
            f"classification or ordinal task is wanted{hint}"
        )
    return by_name[name]
