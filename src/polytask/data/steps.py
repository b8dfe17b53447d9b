"""From files to the tables that are split: reading, and what is asked for after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytask.config import build, plain
from polytask.data.by_value import tables_by_value
from polytask.data.merge import OnContradiction, merge
from polytask.data.read import read
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table
from polytask.data.time_windows import WindowSettings, windows
from polytask.errors import SchemaError
from polytask.wording import listed

#: The name of a table that stands alone.
ALONE = "all"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What is done to tables between reading them and splitting their rows.

    Args:
        format: of the files, where their paths do not say it (see `read`).
        columns: of the files, where their format has them.
        merge: the key by which several tables become one.
        on_contradiction: what comes of two different cells of one key and column when tables are merged.
        windows: how a time series is cut into windows, which are then the rows.
        split: which rows of a time series train, validate, test; read with `windows` only.
        by: a column: the rows of each of its values become a table of their own.
    """

    format: str | None = None
    columns: tuple[str, ...] = ()
    merge: str | None = None
    on_contradiction: OnContradiction = "error"
    windows: WindowSettings | None = None
    split: SplitSettings = field(default_factory=SplitSettings)
    by: str | None = None

    @property
    def is_any(self) -> bool:
        """Whether there is anything to be done after reading."""
        return not (self.merge is None and self.windows is None and self.by is None)

    def read(self, found: Any, kinds: Mapping[str, str]) -> Table:
        """One table, in any form that `Table.of` reads; a file in the format that is said."""
        if not isinstance(found, str | Path):
            return Table.of(found, kinds=kinds)
        return read(found, kinds=kinds, format=self.format, columns=self.columns)

    def tables(self, found: Any, kinds: Mapping[str, str]) -> dict[str, Table]:
        """The tables by name; one that stands alone is called "all".

        Each says in `Table.origin` how it is made again, where it came from files.

        Args:
            found: a table in any form that `Table.of` reads.
            kinds: column -> kind, of what is read.

        Raises:
            SchemaError: it cannot be read, or a step does not fit it.
        """
        if self.merge is not None:
            if not isinstance(found, Mapping):
                raise SchemaError(
                    f"merge={self.merge!r}: several tables are wanted, as {{name: table, …}}; there is one"
                )
            several = {name: self.read(one, {}) for name, one in found.items()}
            whole = merge(several, self.merge, on_contradiction=self.on_contradiction, kinds=kinds)
        elif isinstance(found, Mapping):
            step = "by" if self.windows is None else "windows"
            raise SchemaError(f"{step}: one table is wanted, and there are several: {listed([*map(str, found)])}")
        else:
            whole = self.read(found, kinds)
        of_read = dict(kinds) if self.merge else whole.overrides
        # A table that was read in a format of its own says it, where these steps do not.
        own = found.origin["steps"] if isinstance(found, Table) and found.origin else {}
        origin = {"path": _path(found), "kinds": of_read, "steps": {**own, **plain(self)}}
        tables = {ALONE: whole}
        if self.windows is not None:
            cut = windows(whole, self.windows, split=self.split)
            tables = cut if self.windows.per_series else {ALONE: cut}
        if self.by is not None:
            tables = tables_by_value(tables[ALONE], self.by)
        return {name: table.with_origin(origin | {"table": name}) for name, table in tables.items()}


def made_again(origin: Mapping[str, Any], found: Any = None) -> dict[str, Table]:
    """All tables that were made along with one.

    Args:
        origin: of the one (see `Table.origin`).
        found: what it was made of, where that was in memory; its files are read where not given.

    Raises:
        SchemaError: the files cannot be read, or are others now.
    """
    steps = build(Steps, origin["steps"])
    return steps.tables(origin["path"] if found is None else found, origin["kinds"])


def _path(found: Any) -> Any:
    """The absolute path of what is read from a file, or of each of several; None for what is in memory."""
    if isinstance(found, Mapping):
        paths = {str(name): _path(one) for name, one in found.items()}
        return None if None in paths.values() else paths
    source = found.source if isinstance(found, Table) else found
    return str(Path(source).resolve()) if isinstance(source, str | Path) else None
