"""A Source: one table and the tasks whose rows it holds."""

from dataclasses import dataclass

from polytask.data import Table, Unreadable
from polytask.tasks import Task

#: The name of the one table that all tasks have in common.
ALL = "all"


@dataclass(frozen=True)
class Source:
    """One table and the tasks whose rows it holds.

    Attributes:
        table: the rows.
        tasks: that have targets in it.
        unreadable: pictures, recordings and videos that cannot be read and count as missing.
    """

    table: Table
    tasks: tuple[Task, ...]
    unreadable: tuple[Unreadable, ...] = ()
