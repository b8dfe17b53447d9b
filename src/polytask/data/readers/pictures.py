"""Pictures in folders: which files are some, and how large they are."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from polytask.data.schema import IMAGE_SUFFIXES
from polytask.errors import MissingExtraError, SchemaError

#: How folders name the parts, and how a column `split` does.
PARTS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


def made_split(frame: pd.DataFrame, kinds: Mapping[str, str]) -> str | None:
    """The column that a reader made of the parts, where it divides the rows: into training and another part.

    Args:
        frame: the columns.
        kinds: what the reader says of them; of a column of its own making it says id.
    """
    if kinds.get("split") != "id":
        return None
    words = [str(word).lower() for word in frame["split"].unique()]
    parts = {PARTS.get(word) for word in words}
    return "split" if "train" in parts and len(parts) > 1 and None not in parts else None


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is one that file managers hide, or made themselves."""
    return path.name.startswith((".", "__")) or path.name in ("Thumbs.db", "desktop.ini")


def is_picture(path: Path) -> bool:
    """Whether a file's name ends like a picture's."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, by name, but for hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))


def part_folders(folder: Path) -> dict[Path, str | None]:
    """The folders of the parts and the part of each; the folder itself, of none, where it has no such folders.

    Raises:
        SchemaError: some of its folders are named as parts and others are not, or two as one part.
    """
    inside = folders_in(folder)
    named = {path: PARTS.get(path.name.lower()) for path in inside}
    if not any(named.values()):
        return {folder: None}
    odd = [path.name for path, part in named.items() if part is None]
    if odd:
        raise SchemaError(
            f"{folder}: beside the parts ({', '.join(p.name for p in inside if named[p])}) there is a folder {odd[0]!r}"
            " that is none; move it, or call it train, validation or test"
        )
    parts = list(named.values())
    if len(set(parts)) < len(parts):
        twice = next(part for part in parts if parts.count(part) > 1)
        raise SchemaError(f"{folder}: two folders are the {twice} part; keep one")
    return dict(named)


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in a folder and the folders inside it, by name.

    Raises:
        SchemaError: other files are there too; says how many, and which is the first.
    """
    found: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if any(is_hidden(p) for p in (path, *path.relative_to(folder).parents) if p != Path()):
            continue
        if path.is_file():
            (found if is_picture(path) else others).append(path)
    if others:
        raise SchemaError(
            f"{folder}: {len(others)} of {len(found) + len(others)} files are no pictures, the first is "
            f"{str(others[0].relative_to(folder))!r}; move them elsewhere (pictures end in {', '.join(IMAGE_SUFFIXES)})"
        )
    return found


def relative(path: Path, folder: Path) -> str:
    """A path as a cell holds it: from the folder that the table is read from, with forward slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture; only its head is read.

    Raises:
        SchemaError: it cannot be read.
        MissingExtraError: pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", f"reading the size of {path}") from None
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError) as error:
        raise SchemaError(f"{path}: cannot be read as a picture: {str(error).splitlines()[0]}") from None
