"""One picture: an array, PNG or JPEG bytes, or a path, as pixels; brought to a mode and a size."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polytask.data.schema import num_axes
from polytask.errors import MissingExtraError, SchemaError
from polytask.wording import reason

#: Modes of files with one channel, transparency aside; all others become red, green and blue.
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
#: Parts of red, green and blue in a grey pixel (ITU-R BT.601), as pillow has them.
LUMA = (0.299, 0.587, 0.114)
#: Height and width where training pictures differ in size and nothing is said.
USUAL_SIZE = (224, 224)


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """What all pictures of a column are brought to.

    Pictures are resized by pillow (bilinear, smoothed where they shrink) whatever their proportions, and read as they
    are stored: a turn that a camera wrote beside the pixels (EXIF) is not applied, transparency is dropped. The pixels
    of files run from 0 to 1, those of whole-number arrays over 255, other arrays are taken as they are.

    Args:
        size: (height, width); None: that of the training pictures, or 224 × 224 where they differ (said in a notice).
        mode: "grey" (one channel), "rgb" (three), or "auto": as the training pictures are, "rgb" where some are grey
            and some not.

    Raises:
        ValueError: a size below 1, or another mode.
    """

    size: tuple[int, int] | None = None
    mode: Literal["auto", "grey", "rgb"] = "auto"

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size={list(self.size)}: height and width, whole numbers >= 1, are wanted")
        if self.mode not in ("auto", "grey", "rgb"):
            raise ValueError(f"mode={self.mode!r}: 'auto', 'grey' or 'rgb' is wanted")


def pixels_of(cell: Any, folder: Path, place: str, name: str) -> np.ndarray:
    """One cell as pixels `[height, width, channels]`: uint8, or float32 where 8 bits cannot hold it.

    Args:
        cell: an array or nested lists `[H, W]` or `[H, W, C]`, bytes of a file, or its path.
        folder: where relative paths start.
        place: the cell, for an error.
        name: of the column, for an error.

    Raises:
        SchemaError: the cell is no picture, or a broken one.
        MissingExtraError: a file has to be decoded and pillow is not installed.
    """
    if isinstance(cell, (str, bytes, bytearray, memoryview)):
        return _decoded(bytes_of(cell, folder, place, "picture"), place_of(cell, folder, place), name)
    if not isinstance(cell, (list, tuple, np.ndarray)) or num_axes(cell) not in (2, 3):
        raise SchemaError(
            f"{place}: a {type(cell).__name__} is no picture; "
            "an array [H, W] or [H, W, C], PNG or JPEG bytes, or the path of a file is"
        )
    pixels = array_of(cell, place, "picture")
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise SchemaError(
            f"{place}: the array has shape {list(pixels.shape)}; [H, W] or [H, W, C] with C = 1 to 4 is wanted"
        )
    return in_eight_bits(pixels, place, "picture")


def shape_of(cell: Any, folder: Path, place: str, name: str) -> tuple[int, int, int]:
    """Height, width and channels of a cell's picture; of a file they are read without decoding it.

    Raises:
        SchemaError: see `pixels_of`.
        MissingExtraError: see `pixels_of`.
    """
    if not isinstance(cell, (str, bytes, bytearray, memoryview)):
        height, width, channels = pixels_of(cell, folder, place, name).shape
        return height, width, channels
    data = bytes_of(cell, folder, place, "picture")
    image_module = pillow(f"decoding the pictures of column {name!r}")
    try:
        with image_module.open(io.BytesIO(data)) as image:
            return image.height, image.width, 1 if image.mode in GREY_MODES else 3
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise SchemaError(_broken(place_of(cell, folder, place), data, error)) from None


def place_of(cell: Any, folder: Path, place: str) -> str:
    """Where a cell stands, for an error: with its file, where it is a path."""
    return f"{place}, {str(folder / cell)!r}" if isinstance(cell, str) else place


def bytes_of(cell: Any, folder: Path, place: str, what: str) -> bytes:
    """The bytes of a cell that holds bytes or a path."""
    if not isinstance(cell, str):
        return bytes(cell)
    path = folder / cell  # an absolute path stays as it is
    if not path.is_file():
        raise SchemaError(f"{place}: there is no {what} {str(path)!r}")
    return path.read_bytes()


def array_of(cell: Any, place: str, what: str) -> np.ndarray:
    """An array, also from the nested lists that Parquet and JSON give back."""
    try:
        values = np.array(_lists(cell))
    except ValueError:
        raise SchemaError(f"{place}: the rows of the {what} differ in length") from None
    if values.dtype.kind not in "biuf":
        raise SchemaError(f"{place}: the {what} holds {values.dtype} values; numbers are wanted")
    return values


def in_eight_bits(values: np.ndarray, place: str, what: str) -> np.ndarray:
    """Whole numbers up to 255 as uint8, all others as float32 (whole ones over 255)."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu":
        if values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8)
        return values.astype(np.float32) / np.float32(255)
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise SchemaError(f"{place}: the {what} holds NaN or infinite values")
    return values


def as_floats(pixels: np.ndarray) -> np.ndarray:
    """float32; 8-bit values over 255."""
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """A picture `[H, W, C]` with one channel (its luma) or three (grey thrice, or without transparency)."""
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if channels == 3:
        return pixels[:, :, :3] if found == 4 else np.repeat(pixels[:, :, :1], 3, axis=2)
    if found == 2:
        return pixels[:, :, :1]
    grey = pixels[:, :, :3].astype(np.float32) @ np.array(LUMA, dtype=np.float32)
    return (np.rint(grey).astype(np.uint8) if pixels.dtype == np.uint8 else grey)[:, :, None]


def resized(pixels: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """A picture `[H, W, C]` of this height and width.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    if pixels.shape[:2] == size:
        return pixels
    image_module = pillow(f"resizing the pictures of column {name!r}")
    bilinear, (height, width) = image_module.Resampling.BILINEAR, size
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(image_module.fromarray(np.ascontiguousarray(pixels)).resize((width, height), bilinear))
    layers = [np.ascontiguousarray(pixels[:, :, k]) for k in range(pixels.shape[2])]
    return np.stack([np.asarray(image_module.fromarray(x).resize((width, height), bilinear)) for x in layers], axis=2)


def pillow(purpose: str) -> Any:
    """The module that decodes pictures.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", purpose) from None
    return Image


def _lists(cell: Any) -> Any:
    if isinstance(cell, np.ndarray) and cell.dtype != object:
        return cell
    return [_lists(item) for item in cell] if isinstance(cell, (list, tuple, np.ndarray)) else cell


def _decoded(data: bytes, place: str, name: str) -> np.ndarray:
    image_module = pillow(f"decoding the pictures of column {name!r}")
    try:
        with image_module.open(io.BytesIO(data)) as image:
            if image.mode == "F" or image.mode.startswith("I"):
                return _deep(np.asarray(image), image.mode, place)
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            pixels = np.asarray(image.convert("L" if image.mode in GREY_MODES else "RGB"))
    except SchemaError:
        raise
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise SchemaError(_broken(place, data, error)) from None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _deep(pixels: np.ndarray, mode: str, place: str) -> np.ndarray:
    """A grey picture of 16 bits a pixel, or of floats."""
    if mode == "F":
        return in_eight_bits(pixels[:, :, None], place, "picture")
    if pixels.min() < 0 or pixels.max() > 65535:
        raise SchemaError(
            f"{place}: a picture of mode {mode!r} whose pixels run from {pixels.min()} to {pixels.max()}; whole "
            "numbers up to 65535 are wanted, or an array of floats"
        )
    return (pixels.astype(np.float32) / np.float32(65535))[:, :, None]


def _broken(place: str, data: bytes, error: Exception) -> str:
    why = "it is empty" if not data else reason(error)
    return f"{place}: cannot be decoded as a picture: {why}"
