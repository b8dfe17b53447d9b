"""Where streamed Parquet files are: a file, a folder, a list of them, on this machine or behind any fsspec URL."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.fs as pafs

from polytask.errors import MissingExtraError, SchemaError

#: What names the files of a streamed table.
Places = str | Path | Sequence[str | Path]
#: Endings of files that hold tables but no row groups, and the one that does.
PARQUET, OTHERS = ".parquet", (".csv", ".tsv", ".gz", ".arrow", ".feather", ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class FileState:
    """What a file system says of a file, by which it is known to be the same still.

    Attributes:
        size: in bytes.
        changed: when it was last written, in nanoseconds; None where the file system does not say.
    """

    size: int
    changed: int | None


@dataclass(frozen=True)
class Place:
    """One file.

    Attributes:
        path: as the file system knows it.
        name: what the user called it, for errors.
        relative: the path below the folder that was named; the file's own name where it was named itself.
        system: of `pyarrow.fs`.
    """

    path: str
    name: str
    relative: str
    system: Any

    def state(self) -> FileState:
        """Size and time of the last writing.

        Raises:
            SchemaError: the file is no longer there, or cannot be asked for.
        """
        try:
            info = self.system.get_file_info(self.path)
        except OSError as error:
            raise SchemaError(f"{self.name}: cannot be read: {error}") from None
        if info.type == pafs.FileType.NotFound:
            raise SchemaError(f"{self.name}: there is no such file")
        return FileState(int(info.size or 0), info.mtime_ns)


def is_url(place: object) -> bool:
    """Whether it is a URL, as `s3://bucket/rows.parquet`."""
    return isinstance(place, str) and "://" in place


def find_files(places: Places) -> list[Place]:
    """The Parquet files of these places, those of a folder in the order of their paths.

    Raises:
        SchemaError: there is none, or it is no Parquet file.
        MissingExtraError: a URL, and fsspec is not installed.
    """
    named = [places] if isinstance(places, str | Path) else list(places)
    if not named:
        raise SchemaError("stream: the list of files is empty; name at least one Parquet file")
    found = [file for place in named for file in _files_of(place)]
    paths = [file.path for file in found]
    twice = next((file.name for file in found if paths.count(file.path) > 1), None)
    if twice is not None:
        raise SchemaError(f"{twice}: the file is named twice; name each once")
    return found


def _files_of(place: str | Path) -> list[Place]:
    system, path = _system_of(place)
    name = str(place)
    try:
        info = system.get_file_info(path)
        is_folder = info.type == pafs.FileType.Directory
        inner = system.get_file_info(pafs.FileSelector(path, recursive=True)) if is_folder else []
    except OSError as error:
        raise SchemaError(f"{name}: cannot be read: {error}") from None
    if info.type == pafs.FileType.NotFound:
        raise SchemaError(f"{name}: there is no such file")
    if not is_folder:
        if name.lower().endswith(OTHERS):
            raise SchemaError(
                f"{name}: only Parquet files are streamed; convert it once, piece by piece: "
                "pyarrow.csv.open_csv or pandas.read_csv(chunksize=…), and pyarrow.parquet.ParquetWriter"
            )
        return [Place(path, name, PurePosixPath(path).name, system)]
    files = []
    for file in sorted(inner, key=lambda one: PurePosixPath(one.path).parts):
        if file.type == pafs.FileType.File and file.path.endswith(PARQUET) and file.base_name[0] not in "._":
            relative = PurePosixPath(file.path).relative_to(PurePosixPath(path)).as_posix()
            files.append(Place(file.path, f"{name.rstrip('/')}/{relative}", relative, system))
    if not files:
        raise SchemaError(f"{name}: the folder holds no .parquet file; only Parquet files are streamed")
    return files


def _system_of(place: str | Path) -> tuple[Any, str]:
    """The file system of a place, and its path there."""
    if not is_url(place):
        return pafs.LocalFileSystem(), Path(place).resolve().as_posix()
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("fsspec", "data", f"reading {place}") from None
    try:
        system, path = fsspec.core.url_to_fs(str(place))
    except (ValueError, ImportError, OSError) as error:
        raise SchemaError(f"{place}: cannot be opened: {error}") from None
    return pafs.PyFileSystem(pafs.FSSpecHandler(system)), path
