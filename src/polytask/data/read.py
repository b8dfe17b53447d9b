"""Reading files into a Table: CSV, Parquet, Arrow, JSON Lines, a folder of Parquet files.

A file is read whole or answered with one sentence that says what is broken and where; nothing is repaired or
left out in silence.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from polytask.data.arrow import frame_of_arrow
from polytask.data.read_csv import frame_of_csv
from polytask.data.table import Table
from polytask.errors import SchemaError


def read(data: Any, *, kinds: Mapping[str, str] | None = None) -> Table:
    """A file as a Table, or a DataFrame, Arrow table or Table as it is; missing cells stay missing.

    Args:
        data: a table in memory, or the path of a file: `.csv`, `.tsv` (also `.gz`), `.parquet`, `.arrow`,
            `.feather`, `.jsonl`, `.ndjson`, or a folder of Parquet files (read in the order of their names; a
            subfolder `year=2024` gives a column `year`). In CSV, empty cells and pandas' usual words for
            nothing ("NA", "null", "None", …) are missing, and a column without a name in the header (an index
            written along) is shown but is no input.
        kinds: column name -> kind, where the inferred one is wrong.

    Raises:
        SchemaError: no such file, an unknown ending, or a file that cannot be read whole; says what and
            where.
    """
    if not isinstance(data, (str, Path)):
        return Table.of(data, kinds=kinds)
    path = Path(data)
    if path.is_dir():
        return Table(_read_folder(path), kinds=kinds, source=path)
    if not path.exists():
        raise SchemaError(f"{path}: there is no such file")
    ending = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if ending not in _READERS:
        raise SchemaError(
            f"{path}: unknown ending {ending!r}; known: {', '.join(_READERS)}, or a folder of Parquet files"
        )
    try:
        if not path.stat().st_size:
            raise SchemaError(f"{path}: the file is empty (0 bytes)")
        frame = _READERS[ending](path)
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not len(frame):
        raise SchemaError(f"{path}: the file has columns ({', '.join(map(str, frame.columns[:5]))}, …) but 0 rows")
    unnamed = {name: "id" for name in frame.columns if str(name).startswith("Unnamed: ")}
    return Table(frame, kinds={**unnamed, **(kinds or {})}, source=path)


def _read_csv(path: Path) -> pd.DataFrame:
    return frame_of_csv(_text(path), "\t" if ".tsv" in path.suffixes[-2:] else ",", path)


def _text(path: Path) -> str:
    """The whole file, which must be UTF-8."""
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise SchemaError(f"{path}: broken gzip: {error}") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SchemaError(f"{path}: is UTF-16, not UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SchemaError(
            f"{path}, line {line}: is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}, "
            "perhaps Latin-1 or Windows-1252); save it as UTF-8"
        ) from None
    if not text.strip():
        raise SchemaError(f"{path}: the file is empty")
    return text


def _read_parquet(path: Path) -> pd.DataFrame:
    return frame_of_arrow(_parquet(path))


def _parquet(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise SchemaError(f"{path}: broken Parquet file: {_first_line(error)}") from None


def _read_arrow(path: Path) -> pd.DataFrame:
    problems = []
    for opened in (pa.ipc.open_file, pa.ipc.open_stream):
        try:
            with pa.OSFile(str(path)) as file:
                return frame_of_arrow(opened(file).read_all())
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            problems.append(_first_line(error))
    raise SchemaError(f"{path}: broken Arrow file: {problems[0]}")


def _read_jsonl(path: Path) -> pd.DataFrame:
    rows = []
    # Only "\n" ends a line: str.splitlines would also cut at characters that JSON allows inside strings.
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except ValueError as error:
            problem = getattr(error, "msg", None) or str(error)
            raise SchemaError(f"{path}, line {number}: broken JSON: {problem}; one object a line is wanted") from None
        if not isinstance(row, dict):
            raise SchemaError(
                f"{path}, line {number}: an object ({{column: value}}) is wanted, got a {type(row).__name__}"
            )
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: _json_column([row.get(name) for row in rows]) for name in names}, index=range(len(rows)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return record


def _json_column(cells: list[Any]) -> pd.Series:
    try:
        return frame_of_arrow(pa.table({"cells": pa.array(cells)}))["cells"]
    except (pa.ArrowException, OverflowError, SchemaError):  # cells of several types
        return pd.Series(cells, dtype=object)


def _read_folder(folder: Path) -> pd.DataFrame:
    files = sorted(file for file in folder.rglob("*.parquet") if file.is_file() and file.name[0] not in "._")
    if not files:
        raise SchemaError(f"{folder}: the folder holds no .parquet file")
    tables: list[pa.Table] = []
    for file in files:
        table = _parquet(file)
        for part in file.relative_to(folder).parent.parts:
            name, equals, value = part.partition("=")
            if equals and name not in table.column_names:
                typed = int(value) if value.isdecimal() else value
                table = table.append_column(name, pa.array([typed] * len(table)))
        if tables and set(table.column_names) != set(tables[0].column_names):
            odd = sorted(set(table.column_names) ^ set(tables[0].column_names))[0]
            has, lacks = (file, files[0]) if odd in table.column_names else (files[0], file)
            raise SchemaError(
                f"{folder}: {has.relative_to(folder)} has a column {odd!r} and {lacks.relative_to(folder)} "
                "has not; the same are wanted"
            )
        tables.append(table)
    try:
        return frame_of_arrow(pa.concat_tables(tables, promote_options="permissive"))
    except pa.ArrowException as error:
        raise SchemaError(f"{folder}: the files' column types do not go together: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": _read_csv,
    ".tsv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
}
