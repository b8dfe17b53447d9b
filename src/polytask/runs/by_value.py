"""Rows that say whose they are: where each value of a column has tasks of its own, its own tasks answer a row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polytask.data import StreamedTable, Table, keys_of
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.tasks import Task

if TYPE_CHECKING:
    from polytask.runs.run import Run


@dataclass(frozen=True)
class Values:
    """The values of a column that have tasks of their own in a Run.

    Attributes:
        column: whose values they are; None: the Run's tasks are for all rows alike.
        tasks: value -> written name -> name of the task that is the value's own.
    """

    column: str | None = None
    tasks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, Any]]) -> Values:
        """What `run.json` says of the tables."""
        own = [table for table in tables.values() if "value" in table]
        if not own:
            return cls()
        tasks = {table["value"]: {written: made for made, written in table["written"].items()} for table in own}
        return cls(own[0]["origin"]["steps"]["by"], tasks)

    @property
    def written(self) -> list[str]:
        """The tasks as the experiment names them."""
        return list(next(iter(self.tasks.values()), {}))

    def asked(self, table: Table | StreamedTable, tasks: Sequence[str] | None) -> list[str] | None:
        """The written tasks that rows are asked for, each row its own value's; None where the Run's tasks are meant.

        Raises:
            ConfigError: written tasks beside a value's own, or rows that do not say their value.
        """
        if self.column is None:
            return None
        if tasks is None:
            return self.written if self.column in table.columns else None
        if isinstance(tasks, str) or not any(name in self.written for name in tasks):
            return None
        for name in tasks:
            if name not in self.written:
                raise ConfigError(f"tasks: {name!r} is no task of all values; {nearest(name, self.written)}")
        if self.column not in table.columns:
            raise SchemaError(
                f"the rows have no column {self.column!r}, which says whose {tasks[0]!r} is wanted; add it, or name "
                f"a task of one value, such as {next(iter(self.tasks.values()))[tasks[0]]!r}"
            )
        return list(tasks)

    def made(self, names: Sequence[str] | None) -> Sequence[str] | None:
        """The Run's own tasks of these names: of a written one, those of all values."""
        if names is None or isinstance(names, str):
            return names
        return [
            made for name in names for made in ([own[name] for own in self.tasks.values() if name in own] or [name])
        ]

    def rows(self, table: Table) -> dict[str, np.ndarray]:
        """Value -> positions of its rows, for the values that have some.

        Raises:
            SchemaError: a row of a value that training did not have, or of none.
        """
        keys, known = self._known(table)
        if not known.all():
            raise SchemaError(self._of_nobody(table, keys, known))
        return self._places(keys, known)

    def answered(self, table: Table) -> dict[str, np.ndarray]:
        """As `rows`; rows of other values, or of none, are left out with a warning.

        Raises:
            SchemaError: every row is such.
        """
        keys, known = self._known(table)
        if not known.any():
            raise SchemaError(self._of_nobody(table, keys, known))
        if not known.all():
            warnings.warn(f"{self._of_nobody(table, keys, known)}; their predictions are missing", stacklevel=4)
        return self._places(keys, known)

    def _known(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """The value of each row, and whether it has tasks."""
        assert self.column is not None
        keys, present = keys_of(table, self.column)
        return keys, np.array([key in self.tasks for key in keys], dtype=bool) & present

    def _places(self, keys: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
        return {value: rows for value in self.tasks if len(rows := np.flatnonzero((keys == value) & known))}

    def _of_nobody(self, table: Table, keys: np.ndarray, known: np.ndarray) -> str:
        """Which rows have no tasks: how many, of which values, and the first."""
        assert self.column is not None
        row, present = int(np.argmin(known)), table.mask(self.column)
        came = f"{keys[row]!r}, which training did not have" if present[row] else "missing"
        counts = pd.Series(np.where(present, keys, "missing")[~known]).value_counts()
        shown = ", ".join(f"{value}: {count:,}" for value, count in counts.head(5).items())
        more = ", …" if len(counts) > 5 else ""
        return (
            f"column {self.column!r}, row {row}: the value is {came} ({int((~known).sum()):,} of {table.num_rows:,} "
            f"rows are of values without tasks: {shown}{more}); {nearest(str(keys[row]), self.tasks)}"
        )


def in_memory(table: Table | StreamedTable) -> Table:
    """All rows of a table in memory."""
    return table if isinstance(table, Table) else table.take(table.columns, np.arange(table.num_rows))


def predict_by_value(run: Run, table: Table, names: Sequence[str], settings: Mapping[str, Any]) -> pd.DataFrame:
    """Predictions for rows of several values, a column a written task, each row by its own value's task.

    Rows of a value that has no tasks have missing predictions, with a warning.

    Args:
        run: that predicts.
        table: the rows, with the column of values.
        names: written tasks.
        settings: of `Run.predict`.

    Raises:
        SchemaError: no row is of a value that has tasks.
    """
    frames = []
    for value, rows in run.values.answered(table).items():
        own = run.values.tasks[value]
        frame = run.predict(table.take(rows), tasks=[own[name] for name in names], **settings)
        back = {own[name]: name for name in names}
        frame.columns = [_renamed(column, back) for column in frame.columns]
        frames.append(frame.set_axis(rows))
    # Classes that one value knows and another does not: their probability is missing there.
    found = pd.concat(frames).sort_index()
    if len(found) == table.num_rows:
        return found
    # Whole numbers and yes/no stay so beside missing ones.
    nullable = {
        name: "Int64" if found[name].dtype.kind in "iu" else "boolean"
        for name in found
        if found[name].dtype.kind in "iub"
    }
    return found.astype(nullable).reindex(range(table.num_rows))


def _renamed(column: str, names: Mapping[str, str]) -> str:
    """`score-3[yes]` as `score[yes]`."""
    made = next(made for made in names if column == made or column.startswith(f"{made}["))
    return names[made] + column[len(made) :]


def split_by_value(values: Values, table: Table, tasks: Sequence[Task]) -> list[tuple[Table, list[Task]]]:
    """The rows of each value with those of these tasks that are its own.

    Raises:
        ConfigError: no row is of a value of these tasks.
    """
    found = []
    for value, rows in values.rows(table).items():
        own = set(values.tasks[value].values())
        here = [task for task in tasks if task.name in own]
        if here:
            found.append((table.take(rows), here))
    if not found:
        raise ConfigError(f"none of these {table.num_rows} rows is of a value that {tasks[0].name!r} is for")
    return found
