"""A Source: one table and the tasks whose rows it holds."""

from dataclasses import dataclass

from polytask.data import Schema, StreamedTable, Table, Unreadable
from polytask.tasks import Task

#: The name of the one table that all tasks have in common.
ALL = "all"


@dataclass(frozen=True)
class Source:
    """One table and the tasks whose rows it holds.

    Attributes:
        table: its rows; of a streamed one, some of them, that show what its columns are.
        tasks: that have rows in it.
        stream: all its rows, where they stay in their files.
        unreadable: pictures, recordings and videos that cannot be read and count as missing.
    """

    table: Table
    tasks: tuple[Task, ...]
    stream: StreamedTable | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def whole(self) -> Table | StreamedTable:
        """The table with all its rows."""
        return self.table if self.stream is None else self.stream

    @property
    def schema(self) -> Schema:
        """Its columns."""
        return self.whole.schema
