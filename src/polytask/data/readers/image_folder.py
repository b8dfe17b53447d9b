"""A folder of pictures: a sub-folder a class, with or without a folder a part above them."""

from pathlib import Path

import pandas as pd

from polytask.data.readers.pictures import folders_in, is_hidden, part_folders, pictures_in, relative
from polytask.errors import SchemaError


def read_image_folder(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Columns image (path from the folder), label (the sub-folder) and, where there are parts, split.

    Returns:
        The columns and their kinds.

    Raises:
        SchemaError: files that are no pictures or lie outside a class, or an empty class.
    """
    rows: list[dict[str, str | None]] = []
    parts = part_folders(folder)
    for part_folder, part in parts.items():
        _check_none_loose(part_folder)
        for of_class in folders_in(part_folder):
            pictures = pictures_in(of_class)
            if not pictures:
                raise SchemaError(
                    f"{of_class}: the folder of class {of_class.name!r} holds no picture; remove it, or fill it"
                )
            rows += [{"image": relative(p, folder), "label": of_class.name, "split": part} for p in pictures]
    if not rows:
        raise SchemaError(f"{folder}: the folder holds no folder of pictures; one for each class is wanted")
    frame = pd.DataFrame(rows)
    kinds = {"image": "image", "label": "category"}
    if None in parts.values():
        return frame.drop(columns="split"), kinds
    return frame, kinds | {"split": "id"}


def _check_none_loose(folder: Path) -> None:
    loose = sorted(path for path in folder.iterdir() if path.is_file() and not is_hidden(path))
    if loose:
        raise SchemaError(
            f"{folder}: {len(loose)} files lie beside the folders of the classes, the first is {loose[0].name!r}; "
            "move each into the folder of its class, or elsewhere"
        )
