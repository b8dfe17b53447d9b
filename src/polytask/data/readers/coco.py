"""COCO's instances: one JSON file of images, annotations and categories."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from polytask.data.readers.boxes import KINDS, check_box
from polytask.data.readers.pictures import relative
from polytask.errors import SchemaError

#: What each annotation says beside its box and category, a list a picture.
MORE = ("area", "iscrowd", "segmentation", "keypoints")


def is_coco(values: Any) -> bool:
    """Whether a JSON file's content has the form of COCO."""
    return isinstance(values, Mapping) and "images" in values and "annotations" in values


def frame_of_coco(values: Mapping[str, Any], path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A row an image, in their order: image, width, height, boxes, labels, and what else annotations say.

    COCO's `[x, y, width, height]` become `[x_min, y_min, x_max, y_max]`; a picture without annotations has empty lists.

    Args:
        values: of the file.
        path: of the file.

    Returns:
        The columns and their kinds.

    Raises:
        SchemaError: a missing key or picture, an unknown image or category, a box outside its picture.
    """
    names = {c["id"]: str(c["name"]) for c in _records(values, "categories", ("id", "name"), path)}
    images = {image["id"]: image for image in _records(values, "images", ("id", "file_name", "width", "height"), path)}
    if not images:
        raise SchemaError(f"{path}: the file has no images")
    annotations = _records(values, "annotations", ("id", "image_id", "category_id", "bbox"), path)
    more = [key for key in MORE if any(key in annotation for annotation in annotations)]
    found: dict[Any, dict[str, list[Any]]] = {i: {key: [] for key in ("boxes", "labels", *more)} for i in images}
    for annotation in annotations:
        place = f"{path}: annotation {annotation['id']}"
        image = images.get(annotation["image_id"])
        if image is None:
            raise SchemaError(f"{place} is of image {annotation['image_id']!r}, which the file does not have")
        if annotation["category_id"] not in names:
            raise SchemaError(f"{place} is of category {annotation['category_id']!r}, which the file does not have")
        lists = found[annotation["image_id"]]
        lists["boxes"].append(_corners(annotation["bbox"], image, place))
        lists["labels"].append(names[annotation["category_id"]])
        for key in more:
            lists[key].append(annotation.get(key))
    base = _folder_of([str(image["file_name"]) for image in images.values()], path)
    rows = [
        {
            "image": relative(base / str(image["file_name"]), path.parent),
            "width": image["width"],
            "height": image["height"],
            **found[number],
        }
        for number, image in images.items()
    ]
    return pd.DataFrame(rows), KINDS | dict.fromkeys(("boxes", "labels", *more), "other")


def _corners(box: Any, image: Mapping[str, Any], place: str) -> list[float]:
    try:
        x, y, width, height = (float(number) for number in box)
    except (TypeError, ValueError):
        raise SchemaError(f"{place}: bbox is {box!r}; [x, y, width, height] is wanted") from None
    place = f"{place}, image {image['file_name']!r}"
    return check_box([x, y, x + width, y + height], image["width"], image["height"], place)


def _records(values: Mapping[str, Any], key: str, wanted: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """The records of one kind, each with the keys that are wanted and an id of its own."""
    found = values.get(key)
    if not isinstance(found, list):
        raise SchemaError(f"{path}: a list {key!r} is wanted in a COCO file")
    ids = set()
    for number, record in enumerate(found):
        lacking = [name for name in wanted if not isinstance(record, Mapping) or name not in record]
        if lacking:
            raise SchemaError(f"{path}: {key}[{number}] has no {lacking[0]!r}")
        if record["id"] in ids:
            raise SchemaError(f"{path}: two of the {key} have the id {record['id']!r}")
        ids.add(record["id"])
    return found


def _folder_of(names: list[str], path: Path) -> Path:
    """The folder that the pictures' names start from: beside the file, or where COCO and its like put them."""
    folder, part = path.parent, path.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    candidates = [
        folder,
        folder / "images",
        folder / part,
        folder.parent,
        folder.parent / "images",
        folder.parent / part,
    ]
    candidates += [folder.parent / "images" / part, folder / "images" / part]
    base = next((one for one in candidates if (one / names[0]).is_file()), folder)
    lost = [name for name in names if not (base / name).is_file()]
    if lost:
        raise SchemaError(
            f"{path}: {len(lost)} of {len(names)} pictures are not there, the first is {str(base / lost[0])!r}; put "
            "them beside the file or into a folder images"
        )
    return base
