"""A Run found again by its folder."""

from collections.abc import Mapping
from pathlib import Path

from polytask.data import StreamedTable, Table
from polytask.runs.run import Rows, Run


def load(folder: str | Path, *, data: Rows | None = None) -> Run:
    """A finished Run from its folder.

    Args:
        folder: of the Run.
        data: the table (or `{task: table}`) it was trained on, where that was in memory; needed only to open its
            own test part.

    Raises:
        RunError: the folder is none, is unfinished, damaged, or from a newer polytask.
    """
    if data is None:
        return Run(folder)
    tables = data if isinstance(data, Mapping) else {"all": data}
    run = Run(folder)
    records = run.folder.read_json("run.json")["tables"]
    opened: dict[str, Table | StreamedTable] = {}
    for name, table in tables.items():
        is_streamed = "stream" in records.get(name, {}) and not isinstance(table, Table | StreamedTable)
        opened[name] = StreamedTable(table, kinds=records[name]["kinds"]) if is_streamed else Table.of(table)
    return Run(folder, data=opened)
