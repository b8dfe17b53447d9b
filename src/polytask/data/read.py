"""Reading files into a Table, by the format that the path says.

A file is read whole or answered with one sentence that says what is broken and where; nothing is repaired or
left out in silence.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from polytask.data.arrow import frame_of_arrow
from polytask.data.read_csv import frame_of_csv
from polytask.data.readers import (
    frame_of_coco,
    frame_of_conll,
    has_masks,
    is_coco,
    is_picture,
    is_voc,
    made_split,
    read_image_folder,
    read_masks,
    read_npz,
    read_voc,
)
from polytask.data.table import Table
from polytask.errors import SchemaError, nearest

#: What a reader gives: the columns, the kinds of some, and sentences to be said.
Read = tuple[pd.DataFrame, dict[str, str], list[str]]


def read(
    data: Any,
    *,
    kinds: Mapping[str, str] | None = None,
    format: str | None = None,  # noqa: A002, the word of the setting
    columns: Sequence[str] = (),
) -> Table:
    """A file as a Table, or a DataFrame, Arrow table, `datasets.Dataset` or Table as it is; missing cells stay missing.

    Args:
        data: a table in memory, or the path of a file: `.csv`, `.tsv` (also `.gz`), `.parquet`, `.arrow`,
            `.feather`, `.jsonl`, `.ndjson`, `.json` (a list of records, or COCO's instances), `.npz`, `.conllu`,
            `.conll`, `.iob`, `.bio`; or a folder: of Parquet files (read in the order of their names; a subfolder
            `year=2024` gives a column `year`), of Pascal VOC, of images and masks, of pictures by class. In CSV, empty
            cells and pandas' usual words for nothing ("NA", "null", "None", …) are missing, and a column without a
            name in the header (an index written along) is shown but is no input.
        kinds: column name -> kind, where the inferred one is wrong.
        format: one of `FORMATS`, where the path does not say it, or says another.
        columns: of conll: the columns' names; of npz: the arrays to read.

    Raises:
        SchemaError: no such file, an unknown ending, or a file that cannot be read whole; says what and
            where.
    """
    if not isinstance(data, (str, Path)):
        if format is not None or columns:
            raise SchemaError(f"format={format!r}, columns={list(columns)}: have no effect on a table in memory")
        return Table.of(data, kinds=kinds)
    path = Path(data)
    if not path.exists():
        raise SchemaError(f"{path}: there is no such file")
    chosen = format or _format_of(path)
    if chosen not in FORMATS:
        raise SchemaError(f"format: unknown {chosen!r}; {nearest(chosen, FORMATS)}")
    if columns and chosen not in ("conll", "npz"):
        raise SchemaError(f"columns has no effect on the format {chosen}; conll and npz have it")
    if path.is_dir() is not (chosen in FOLDERS) and chosen != "parquet":
        raise SchemaError(f"{path}: the format {chosen} wants a {'folder' if chosen in FOLDERS else 'file'}")
    try:
        if path.is_file() and not path.stat().st_size:
            raise SchemaError(f"{path}: the file is empty (0 bytes)")
        frame, found, notes = FORMATS[chosen](path, tuple(columns))
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not len(frame):
        raise SchemaError(f"{path}: the file has columns ({', '.join(map(str, frame.columns[:5]))}, …) but 0 rows")
    unnamed = {name: "id" for name in frame.columns if str(name).startswith("Unnamed: ")}
    known = {**unnamed, **found, **(kinds or {})}
    table = Table(frame, kinds=known, source=path, notes=notes, split_column=made_split(frame, found))
    if format is None and not columns:
        return table
    steps = {"format": format, "columns": list(columns)}
    steps = {key: value for key, value in steps.items() if value}
    return table.with_origin({"path": str(path.resolve()), "kinds": dict(kinds or {}), "steps": steps, "table": "all"})


def format_said(path: str | Path) -> str | None:
    """The format that a path says; None where it says none."""
    try:
        return _format_of(Path(path))
    except SchemaError:
        return None


def read_like(path: str | Path, origin: Mapping[str, Any] | None) -> Table:
    """A file in the format, and with the columns, that another table was read with.

    Args:
        path: of the file; where its ending says another format than the other table's, it is read as that.
        origin: of the other table (see `Table.origin`); None: as the path says.

    Raises:
        SchemaError: see `read`.
    """
    steps = {} if origin is None else origin["steps"]
    own, columns = steps.get("format"), steps.get("columns") or ()
    old = origin["path"] if origin is not None else None
    before = format_said(old) if isinstance(old, str) else None
    said = format_said(path)
    # A path that says what the old one said, or nothing, is of the old one's kind.
    chosen = own if said in (None, before) else None
    is_same = (chosen or said) == (own or before)
    return read(path, format=chosen, columns=columns if is_same else ())


def _format_of(path: Path) -> str:
    """The format that a path says: by its ending, or by what its folder holds.

    Raises:
        SchemaError: it says none.
    """
    if path.is_dir():
        if any(file.name[0] not in "._" for file in path.rglob("*.parquet")):
            return "parquet"
        if is_voc(path):
            return "voc"
        if has_masks(path):
            return "masks"
        if any(is_picture(file) for file in path.rglob("*")):
            return "image_folder"
        raise SchemaError(f"{path}: the folder holds no .parquet file, and no picture either")
    ending = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if ending not in ENDINGS:
        raise SchemaError(
            f"{path}: unknown ending {ending!r}; known: {', '.join(ENDINGS)}, or a folder of Parquet files or "
            f"pictures; format= says it too ({', '.join(FORMATS)})"
        )
    return ENDINGS[ending]


def _read_json(path: Path) -> Read:
    """A list of records, or COCO's instances."""
    values = _json(path)
    if is_coco(values):
        return (*frame_of_coco(values, path), [])
    if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
        raise SchemaError(
            f"{path}: a list of objects ([{{column: value}}, …]) is wanted, or COCO's images, annotations, categories"
        )
    if not values:
        raise SchemaError(f"{path}: the file holds an empty list")
    return _frame_of_records(values), {}, []


def _read_coco(path: Path) -> Read:
    values = _json(path)
    if not is_coco(values):
        raise SchemaError(f"{path}: COCO's images, annotations and categories are wanted")
    return (*frame_of_coco(values, path), [])


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path), object_pairs_hook=_once)
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SchemaError(f"{path}{line}: broken JSON: {getattr(error, 'msg', None) or error}") from None


def _read_conll(path: Path, columns: Sequence[str]) -> Read:
    frame, notes = frame_of_conll(_text(path), path, columns)
    lists = [name for name in frame.columns if isinstance(frame[name].iloc[0], list)]
    return frame, dict.fromkeys(lists, "tokens"), notes


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
    return _frame_of_records(rows)


def _frame_of_records(rows: list[dict[str, Any]]) -> pd.DataFrame:
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


def _read_table(path: Path) -> pd.DataFrame:
    return _read_folder(path) if path.is_dir() else _read_parquet(path)


#: Format -> what reads a path (and columns) as columns, their kinds and notes.
FORMATS: dict[str, Callable[[Path, Sequence[str]], Read]] = {
    "csv": lambda path, _: (frame_of_csv(_text(path), ",", path), {}, []),
    "tsv": lambda path, _: (frame_of_csv(_text(path), "\t", path), {}, []),
    "parquet": lambda path, _: (_read_table(path), {}, []),
    "arrow": lambda path, _: (_read_arrow(path), {}, []),
    "jsonl": lambda path, _: (_read_jsonl(path), {}, []),
    "json": lambda path, _: _read_json(path),
    "npz": lambda path, columns: (read_npz(path, columns), {}, []),
    "conll": _read_conll,
    "coco": lambda path, _: _read_coco(path),
    "voc": lambda path, _: read_voc(path),
    "masks": lambda path, _: (*read_masks(path), []),
    "image_folder": lambda path, _: (*read_image_folder(path), []),
}
#: The formats that are folders; Parquet may be one.
FOLDERS = ("voc", "masks", "image_folder")
#: Ending of a file -> its format.
ENDINGS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "tsv",
    ".tsv.gz": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".npz": "npz",
    ".conllu": "conll",
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
}
