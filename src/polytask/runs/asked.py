"""What a Run is asked for: which of its tasks, on which rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from polytask.data import StreamedTable, Table, open_rows
from polytask.errors import ConfigError, nearest
from polytask.tasks import Task


def tasks_of(tasks: Sequence[Task], names: Sequence[str] | None) -> list[Task]:
    """The tasks of these names, in their order; all where no names are given.

    Raises:
        ConfigError: a name that is no task's, or no name at all.
    """
    known = {task.name: task for task in tasks}
    if names is None:
        return list(tasks)
    if isinstance(names, str) or not names:
        raise ConfigError(f"tasks: a list of this Run's tasks is wanted ({', '.join(known)}), got {names!r}")
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} is no task of this Run; {nearest(name, known)}")
    return [known[name] for name in names]


def tables_of(rows: Any, tasks: Sequence[Task]) -> list[tuple[Table | StreamedTable, list[Task]]]:
    """Given rows as tables, each with the tasks it is for: one for all, or one a task.

    Args:
        rows: in any form that `open_rows` opens, or a mapping of such by the tasks' names.
        tasks: to be judged.

    Raises:
        ConfigError: a task without rows.
        SchemaError: rows that are no table.
    """
    if not isinstance(rows, Mapping):
        return [(open_rows(rows), list(tasks))]
    for task in tasks:
        if task.name not in rows:
            raise ConfigError(f"task {task.name!r} has no rows; rows are given for {', '.join(map(str, rows))}")
    return [(open_rows(rows[task.name]), [task]) for task in tasks]
