"""Pictures in cells: arrays, PNG or JPEG bytes, or paths, as float32 `[rows, channels, height, width]`."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from polytask.data.prepared import PreparedColumn, PreprocessSettings
from polytask.data.schema import num_axes
from polytask.data.table import Table
from polytask.errors import MissingExtraError, SchemaError
from polytask.feature import InputSpec
from polytask.ragged import InputRows


@dataclass(frozen=True)
class ImageColumn(PreparedColumn):
    """A picture: normalised by the training pictures' mean and standard deviation of each channel.

    Attributes:
        name: of the column.
        has_missing: whether training had missing pictures.
        size: channels, height, width.
        mean: a channel.
        deviation: a channel; 1 where a channel is constant.
    """

    has_missing: bool
    size: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "ImageColumn | None":
        """Learns from these rows; None where none of them has a picture.

        Raises:
            SchemaError: pictures of two sizes, or a cell that is none.
            MissingExtraError: files have to be decoded and pillow is not installed.
        """
        present = table.mask(name)[rows]
        if not present.any():
            return None
        pixels = _pixels(table, name, rows[present], None)
        mean = pixels.mean(axis=(0, 2, 3), dtype=np.float64)
        deviation = pixels.std(axis=(0, 2, 3), dtype=np.float64)
        deviation = np.where(deviation > 0, deviation, 1.0)
        size = tuple(pixels.shape[1:])
        return cls(name, not present.all(), size, tuple(mean.tolist()), tuple(deviation.tolist()))

    @property
    def names(self) -> list[str]:
        """The number columns beside the picture."""
        return [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        return [~table.mask(self.name)[rows]] * self.has_missing

    @property
    def spec(self) -> InputSpec:
        """A picture."""
        return InputSpec(images={self.name: (self.size[0], self.size[1], self.size[2])})

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """The pixels."""
        return {self.name: torch.from_numpy(self.pixels(table, rows))}

    def pixels(self, table: Table, rows: np.ndarray) -> np.ndarray:
        """float32 `[rows, channels, height, width]`; a missing picture is 0, the mean."""
        present = table.mask(self.name)[rows]
        pictures = np.zeros((len(rows), *self.size), dtype=np.float32)
        if present.any():
            shape = (1, self.size[0], 1, 1)
            mean = np.reshape(self.mean, shape).astype(np.float32)
            deviation = np.reshape(self.deviation, shape).astype(np.float32)
            pictures[present] = (_pixels(table, self.name, rows[present], self.size) - mean) / deviation
        return pictures


def located(table: Table, columns: Sequence[str]) -> Table:
    """These columns as a table of their own, in which the paths of pictures hold whatever folder it is read from."""
    frame = table.frame[list(columns)].copy()
    for name in columns:
        if table.kind(name) == "image":
            cells = [str((folder_of(table) / c).absolute()) if isinstance(c, str) else c for c in frame[name]]
            frame[name] = pd.Series(cells, dtype=object)
    return Table(frame, kinds={name: table.kind(name) for name in columns})


def folder_of(table: Table) -> Path:
    """Where relative paths start."""
    return table.source.parent if table.source and table.source.is_file() else table.source or Path()


def _pixels(table: Table, name: str, rows: np.ndarray, size: tuple[int, ...] | None) -> np.ndarray:
    """The pictures of these rows, all of one size (that of training, or of the first row where None)."""
    cells = table.values(name)
    folder = folder_of(table)
    pictures: np.ndarray | None = None
    for k, row in enumerate(rows):
        place = f"column {name!r}, row {row}"
        picture = _picture(cells[row], folder, place, name)
        if size is None:
            size = picture.shape
        if picture.shape != size:
            origin = f"row {rows[0]}" if pictures is not None else "training"
            raise SchemaError(
                f"{place}: the picture is {_shown(picture.shape)}, but {origin} has {_shown(size)}; "
                "all pictures of a column need one size"
            )
        if pictures is None:
            pictures = np.empty((len(rows), *size), dtype=np.float32)
        pictures[k] = picture
    assert pictures is not None
    return pictures


def _picture(cell: Any, folder: Path, place: str, name: str) -> np.ndarray:
    """One cell as float32 `[channels, height, width]`; whole numbers are taken to run to 255."""
    if isinstance(cell, str):
        path = folder / cell  # an absolute path stays as it is
        if not path.is_file():
            raise SchemaError(f"{place}: there is no picture {str(path)!r}")
        cell = path.read_bytes()
    if isinstance(cell, (bytes, bytearray, memoryview)):
        pixels = _decoded(bytes(cell), place, name)
    elif isinstance(cell, (list, tuple, np.ndarray)) and num_axes(cell) in (2, 3):
        pixels = _stacked(cell, place)
    else:
        raise SchemaError(
            f"{place}: a {type(cell).__name__} is no picture; "
            "an array [H, W] or [H, W, C], PNG or JPEG bytes, or the path of a file is"
        )
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise SchemaError(
            f"{place}: the array has shape {list(pixels.shape)}; [H, W] or [H, W, C] with C = 1 to 4 is wanted"
        )
    whole = pixels.dtype.kind in "iu"
    pixels = pixels.astype(np.float32) / np.float32(255 if whole else 1)
    if not np.isfinite(pixels).all():
        raise SchemaError(f"{place}: the picture holds NaN or infinite values")
    return pixels.transpose(2, 0, 1)


def _stacked(cell: Any, place: str) -> np.ndarray:
    """An array, also from the nested lists that Parquet and JSON give back."""
    try:
        pixels = np.array(_lists(cell))
    except ValueError:
        raise SchemaError(f"{place}: the rows of the picture differ in length") from None
    if pixels.dtype.kind not in "biuf":
        raise SchemaError(f"{place}: the picture holds {pixels.dtype} values; numbers are wanted")
    return pixels


def _lists(cell: Any) -> Any:
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return cell
    return [_lists(item) for item in cell] if isinstance(cell, (list, tuple, np.ndarray)) else cell


def _decoded(data: bytes, place: str, name: str) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", f"decoding the pictures of column {name!r}") from None
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode.startswith(("I", "F")):
                raise SchemaError(f"{place}: a picture of mode {image.mode!r}; 8 bits a channel are wanted")
            grey = image.mode in ("1", "L", "LA")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except SchemaError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SchemaError(f"{place}: cannot be decoded as a picture: {str(error).splitlines()[0]}") from None


def _shown(size: tuple[int, ...]) -> str:
    return f"{size[1]}×{size[2]} with {size[0]} channel{'s' if size[0] > 1 else ''}"


def picture_of(table: Table, name: str, row: int) -> np.ndarray:
    """One picture as float32 `[channels, height, width]` in [0, 1], whatever it is kept as.

    Raises:
        SchemaError: the cell is no picture; names column and row.
        MissingExtraError: a file has to be decoded and pillow is not installed.
    """
    return _picture(table.values(name)[row], folder_of(table), f"column {name!r}, row {row}", name)
