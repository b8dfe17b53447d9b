"""Segmentation masks: two parallel folders, images and masks, with files of the same names."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from polytask.data.media import folder_of
from polytask.data.readers.pictures import folders_in, part_folders, pictures_in, relative
from polytask.data.table import Table
from polytask.errors import MissingExtraError, SchemaError
from polytask.wording import reason


def has_masks(folder: Path) -> bool:
    """Whether a folder, or one of its folders, has the folders images and masks."""
    return any((one / "images").is_dir() and (one / "masks").is_dir() for one in (folder, *folders_in(folder)))


def read_masks(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Columns image and mask (paths from the folder) and, where there are parts, split.

    The parts may stand above the two folders (`train/images`, `train/masks`) or inside them (`images/train`). Sizes are
    checked by `check_masks`, as that opens every file.

    Returns:
        The columns and their kinds.

    Raises:
        SchemaError: an image without a mask, a mask without an image, or two of one name.
    """
    rows: list[dict[str, str | None]] = []
    if (folder / "images").is_dir():
        places = [
            (p, folder / "masks" / p.relative_to(folder / "images"), s)
            for p, s in part_folders(folder / "images").items()
        ]
    else:
        places = [(p / "images", p / "masks", s) for p, s in part_folders(folder).items()]
    for images, masks, part in places:
        seen, drawn = _by_stem(images), _by_stem(masks)
        for ours, theirs, what in ((seen, drawn, "mask"), (drawn, seen, "image")):
            alone = [stem for stem in ours if stem not in theirs]
            if alone:
                raise SchemaError(
                    f"{folder}: {len(alone)} of {len(ours)} files have no {what}, the first is "
                    f"{relative(ours[alone[0]], folder)!r}; a {what} of the same name is wanted in "
                    f"{relative(masks if what == 'mask' else images, folder)}"
                )
        rows += [
            {"image": relative(seen[stem], folder), "mask": relative(drawn[stem], folder), "split": part}
            for stem in seen
        ]
    if not rows:
        raise SchemaError(f"{folder}: the folder images holds no picture")
    frame = pd.DataFrame(rows)
    kinds = {"image": "image", "mask": "image"}
    if any(part is None for *_, part in places):
        return frame.drop(columns="split"), kinds
    return frame, kinds | {"split": "id"}


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise SchemaError(f"{folder}: there is no such folder")
    found: dict[str, Path] = {}
    for path in pictures_in(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise SchemaError(f"{folder}: {found[stem].name!r} and {path.name!r} have one name; keep one")
        found[stem] = path
    return found


def read_mask(table: Table, row: int, column: str = "mask") -> np.ndarray:
    """The mask of a row as whole numbers, a class a pixel, int64 `[height, width]`.

    Palettes are read as their indices, and not as their colours.

    Raises:
        SchemaError: it cannot be read, or has several channels.
        MissingExtraError: a file has to be decoded and pillow is not installed.
    """
    cell, place = table.values(column)[row], f"column {column!r}, row {row}"
    if isinstance(cell, str):
        path = folder_of(table) / cell
        if not path.is_file():
            raise SchemaError(f"{place}: there is no mask {str(path)!r}")
        cell = path.read_bytes()
    pixels = _decoded(bytes(cell), place) if isinstance(cell, (bytes, bytearray, memoryview)) else np.asarray(cell)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim != 2 or pixels.dtype.kind not in "iub":
        raise SchemaError(
            f"{place}: the mask has shape {list(pixels.shape)} of {pixels.dtype}; one whole number a pixel is wanted"
        )
    return pixels.astype(np.int64)


def _decoded(data: bytes, place: str) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", "decoding masks") from None
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise SchemaError(f"{place}: cannot be decoded as a mask: {reason(error)}") from None


def check_masks(table: Table, image: str = "image", mask: str = "mask") -> None:
    """Holds the size of every mask against that of its image.

    Raises:
        SchemaError: the first that differ, by name, and how many there are.
        MissingExtraError: pillow is not installed.
    """
    odd = []
    for row in np.flatnonzero(table.mask(image) & table.mask(mask)).tolist():
        (width, height), drawn = _size(table, row, image), _size(table, row, mask)
        if (width, height) != drawn:
            odd.append((row, (width, height), drawn))
    if odd:
        row, seen, drawn = odd[0]
        raise SchemaError(
            f"row {row}: the image {_name(table, row, image)} is {seen[0]} × {seen[1]} and its mask "
            f"{_name(table, row, mask)} is {drawn[0]} × {drawn[1]} ({len(odd)} masks are of another size in all); "
            "draw them at one size"
        )


def _size(table: Table, row: int, column: str) -> tuple[int, int]:
    cell, place = table.values(column)[row], f"column {column!r}, row {row}"
    if isinstance(cell, str):
        path = folder_of(table) / cell
        if not path.is_file():
            raise SchemaError(f"{place}: there is no picture {str(path)!r}")
        cell = path.read_bytes()
    pixels = _decoded(bytes(cell), place) if isinstance(cell, (bytes, bytearray, memoryview)) else np.asarray(cell)
    return int(pixels.shape[1]), int(pixels.shape[0])


def _name(table: Table, row: int, column: str) -> str:
    cell = table.values(column)[row]
    return repr(cell) if isinstance(cell, str) else f"in column {column!r}"
