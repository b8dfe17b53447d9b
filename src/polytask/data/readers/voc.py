"""Pascal VOC: an XML file a picture, in one folder or in the layout of the challenge."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from polytask.data.readers.boxes import KINDS, check_box
from polytask.data.readers.pictures import PARTS, is_picture, relative, size_of
from polytask.errors import SchemaError


def is_voc(folder: Path) -> bool:
    """Whether a folder has the layout of the challenge, or XML files."""
    return (folder / "Annotations").is_dir() or any(folder.glob("*.xml"))


def read_voc(folder: Path) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """A row a picture: image, width, height, boxes, labels, truncated, difficult, and split where lists say it.

    VOC counts pixels from 1 and includes the last one: `[xmin, ymin, xmax, ymax]` become the corners
    `[xmin − 1, ymin − 1, xmax, ymax]`, as COCO has them. Where a box begins at 0, the files count from 0, and corners
    are taken as they are; that is said.

    Returns:
        The columns, their kinds, and what is to be said.

    Raises:
        SchemaError: a broken file, a missing picture, a box outside its picture, a list that names no picture.
    """
    base = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    files = sorted(base.glob("*.xml"))
    if not files:
        raise SchemaError(f"{base}: the folder holds no .xml file")
    found = [_read_file(file, folder) for file in files]
    from_zero = next(
        (f for f, row in zip(files, found, strict=True) if any(0 in box[:2] for box in row["boxes"])), None
    )
    for file, row in zip(files, found, strict=True):
        shift = 1 if from_zero is None else 0
        boxes = [[x - shift, y - shift, x_max, y_max] for x, y, x_max, y_max in row["boxes"]]
        row["boxes"] = [check_box(box, row["width"], row["height"], str(file)) for box in boxes]
    frame = pd.DataFrame(found)
    kinds = KINDS | dict.fromkeys(("boxes", "labels", "truncated", "difficult"), "other")
    notes = [] if from_zero is None else [f"boxes count from 0, not from 1 as in VOC: {from_zero.name} has one at 0"]
    split = _split_of(folder, [file.stem for file in files])
    if split is not None:
        frame, kinds = frame.assign(split=pd.Series(split, dtype=object)), kinds | {"split": "id"}
        unlisted = frame["split"].isna()
        if unlisted.any():
            notes.append(f"{int(unlisted.sum()):,} of {len(frame):,} pictures are in no list of ImageSets and left out")
            frame = frame[~unlisted].reset_index(drop=True)
    return frame, kinds, notes


def _read_file(file: Path, folder: Path) -> dict[str, Any]:
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise SchemaError(f"{file}: broken XML: {error}") from None
    picture = _picture_of(root.findtext("filename") or "", file, folder)
    width, height = (int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    if not width or not height:
        width, height = size_of(picture)
    row: dict[str, Any] = {"image": relative(picture, folder), "width": width, "height": height}
    objects = root.findall("object")
    row["boxes"] = [_box(one, file) for one in objects]
    row["labels"] = [_text(one, "name", file) for one in objects]
    for flag in ("truncated", "difficult"):
        row[flag] = [int(one.findtext(flag) or 0) for one in objects]
    return row


def _box(one: ElementTree.Element, file: Path) -> list[float]:
    sides = [_text(one, f"bndbox/{side}", file) for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        return [float(side) for side in sides]
    except ValueError:
        raise SchemaError(f"{file}: the box {sides} is no four numbers") from None


def _text(one: ElementTree.Element, path: str, file: Path) -> str:
    found = one.findtext(path)
    if found is None or not found.strip():
        raise SchemaError(f"{file}: an object has no {path.replace('/', '.')}")
    return found.strip()


def _picture_of(name: str, file: Path, folder: Path) -> Path:
    """The picture of a file: as it names it, or of the same stem; in JPEGImages, images, or beside it."""
    places = [folder / "JPEGImages", folder / "images", folder.parent / "images", file.parent]
    for place in places:
        if name and (place / name).is_file() and is_picture(place / name):
            return place / name
        same = [path for path in sorted(place.glob(f"{file.stem}.*")) if is_picture(path)]
        if same:
            return same[0]
    raise SchemaError(
        f"{file}: its picture {name or file.stem!r} is not in {', '.join(dict.fromkeys(map(str, places)))}"
    )


def _split_of(folder: Path, stems: list[str]) -> list[str | None] | None:
    """The part of each picture, as the lists in ImageSets/Main say; None where there are no lists."""
    lists = folder / "ImageSets" / "Main"
    if not lists.is_dir():
        return None
    part_of: dict[str, str] = {}
    for name in ("train", "val", "test"):
        file = lists / f"{name}.txt"
        for line in file.read_text(encoding="utf-8").split("\n") if file.is_file() else ():
            stem = line.split()[0] if line.split() else ""
            if stem and part_of.setdefault(stem, PARTS[name]) != PARTS[name]:
                raise SchemaError(f"{file}: the picture {stem!r} is in the list of {part_of[stem]} too; keep one")
    lost = sorted(set(part_of) - set(stems))
    if lost:
        raise SchemaError(f"{lists}: {len(lost)} pictures of the lists have no .xml file, the first is {lost[0]!r}")
    return [part_of.get(stem) for stem in stems] if part_of else None
