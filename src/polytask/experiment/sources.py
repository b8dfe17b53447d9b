"""A Source: one table and the tasks whose rows it holds."""

from dataclasses import dataclass

from polytask.data import Table
from polytask.tasks import Task

#: The name of the one table that all tasks have in common.
ALL = "all"


@dataclass(frozen=True)
class Source:
    """One table and the tasks whose rows it holds."""

    table: Table
    tasks: tuple[Task, ...]
