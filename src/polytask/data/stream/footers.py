"""What the footers of Parquet files say: row groups, columns, and whether a file is the one that was opened."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polytask.data.stream.places import FileState, Place
from polytask.errors import SchemaError


@dataclass(frozen=True)
class Footer:
    """One file as it was when it was opened.

    Attributes:
        place: where it is.
        state: its size and time.
        groups: rows of each row group.
        schema: of its columns, those in the names of its folders (`year=2024`) included.
        constants: the columns that its folders' names say.
        num_bytes: of all columns, uncompressed.
        digest: SHA-256 over schema, row groups, their sizes and statistics.
    """

    place: Place
    state: FileState
    groups: tuple[int, ...]
    schema: pa.Schema
    constants: dict[str, Any]
    num_bytes: int
    digest: str

    @property
    def num_rows(self) -> int:
        """Of all its row groups."""
        return sum(self.groups)

    @classmethod
    def read(cls, place: Place) -> "Footer":
        """Opens a file and reads its footer alone.

        Raises:
            SchemaError: no such file, an empty one, or none of Parquet.
        """
        state = place.state()
        if not state.size:
            raise SchemaError(f"{place.name}: the file is empty (0 bytes)")
        with open_parquet(place) as file:
            found, schema = file.metadata, file.schema_arrow.remove_metadata()
            groups = [found.row_group(k) for k in range(found.num_row_groups)]
        constants = _constants(place, schema.names)
        for name, value in constants.items():
            schema = schema.append(pa.field(name, pa.int64() if isinstance(value, int) else pa.string()))
        counts = tuple(group.num_rows for group in groups)
        num_bytes = sum(group.total_byte_size for group in groups)
        return cls(place, state, counts, schema, constants, num_bytes, _digest(groups, schema))

    def check(self) -> None:
        """Refuses a file that is no longer what it was when it was opened.

        Raises:
            SchemaError: names the file and what changed.
        """
        name, now = self.place.name, self.place.state()
        if now.size != self.state.size:
            raise SchemaError(f"{name}: {_CHANGED}: it had {self.state.size:,} bytes and has {now.size:,}; {_REMEDY}")
        if now.changed != self.state.changed:
            raise SchemaError(f"{name}: {_CHANGED}: it was written again, with the same size; {_REMEDY}")

    def check_groups(self, file: pq.ParquetFile) -> None:
        """Refuses an open file with other row groups than it had.

        Raises:
            SchemaError: names the file and what changed.
        """
        found = file.metadata
        counts = tuple(found.row_group(k).num_rows for k in range(found.num_row_groups))
        if counts != self.groups:
            raise SchemaError(
                f"{self.place.name}: {_CHANGED}: it had {self.num_rows:,} rows in {len(self.groups)} row groups and "
                f"has {sum(counts):,} in {len(counts)}; {_REMEDY}"
            )


_CHANGED = "the file changed while it was read"
_REMEDY = "put the old file back and start the same command again, or train a new Run on a file that stays"


def open_parquet(place: Place, **how: Any) -> pq.ParquetFile:
    """An open Parquet file.

    Raises:
        SchemaError: it is none, or a broken one.
    """
    try:
        return pq.ParquetFile(place.path, filesystem=place.system, **how)
    except FileNotFoundError:
        raise SchemaError(f"{place.name}: there is no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise SchemaError(f"{place.name}: broken Parquet file: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """What an error of Arrow's says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _constants(place: Place, names: list[str]) -> dict[str, Any]:
    """Columns that the folders of a file say, as `year=2024/rows.parquet` does."""
    found: dict[str, Any] = {}
    for part in place.relative.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name not in names:
            found[name] = int(value) if value.isdecimal() else value
    return found


def _digest(groups: list[Any], schema: pa.Schema) -> str:
    digest = hashlib.sha256("".join(f"{field.name}\0{field.type}\0" for field in schema).encode())
    for group in groups:
        digest.update(f"{group.num_rows}\0{group.total_byte_size}\0".encode())
        for k in range(group.num_columns):
            column = group.column(k)
            digest.update(f"{column.path_in_schema}\0{column.total_compressed_size}\0".encode())
            kept = column.statistics if column.is_stats_set else None
            if kept is not None:
                bounds = (kept.min, kept.max) if kept.has_min_max else ()
                digest.update(f"{kept.null_count}\0{bounds!r}\0".encode())
    return digest.hexdigest()
