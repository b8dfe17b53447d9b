"""One video: a folder of pictures, or an array, as frames in order. There is no codec: files are unpacked first."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from polytask.data.pictures import array_of, in_eight_bits, pixels_of
from polytask.data.schema import IMAGE_SUFFIXES, num_axes
from polytask.errors import SchemaError


def frames_of(cell: Any, folder: Path, place: str, name: str) -> np.ndarray:
    """One cell as frames `[frames, height, width, channels]`: uint8, or float32 where 8 bits cannot hold them.

    Args:
        cell: an array or nested lists `[T, H, W]` or `[T, H, W, C]`, or the path of a folder of pictures of one size,
            which are its frames in the order of their names (2 before 10).
        folder: where relative paths start.
        place: the cell, for an error.
        name: of the column, for an error.

    Raises:
        SchemaError: the cell is no video; a frame that cannot be read, or of another size; no frames.
        MissingExtraError: frames have to be decoded and pillow is not installed.
    """
    if isinstance(cell, str):
        return _of_folder(folder / cell, place, name)
    if not isinstance(cell, (list, tuple, np.ndarray)) or num_axes(cell) not in (3, 4):
        raise SchemaError(
            f"{place}: a {type(cell).__name__} is no video; an array [T, H, W] or [T, H, W, C], or the path of a "
            "folder of pictures is"
        )
    frames = array_of(cell, place, "video")
    frames = frames[..., None] if frames.ndim == 3 else frames
    if frames.ndim != 4 or not 1 <= frames.shape[3] <= 4 or not frames.size:
        raise SchemaError(
            f"{place}: the array has shape {list(frames.shape)}; [T, H, W] or [T, H, W, C] with C = 1 to 4 is wanted"
        )
    return in_eight_bits(frames, place, "video")


def chosen_frames(frames: np.ndarray, most: int) -> np.ndarray:
    """At most this many of the frames, evenly spaced from the first to the last."""
    if len(frames) <= most:
        return frames
    return frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]


def _of_folder(path: Path, place: str, name: str) -> np.ndarray:
    if path.is_file():
        raise SchemaError(
            f"{place}: {str(path)!r} is a file; a video is a folder of pictures (ffmpeg -i x.mp4 x/%05d.png makes "
            "one) or an array"
        )
    if not path.is_dir():
        raise SchemaError(f"{place}: there is no folder of frames {str(path)!r}")
    files = sorted((file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES), key=_natural)
    if not files:
        raise SchemaError(f"{place}: the folder {str(path)!r} has no pictures, but a video's frames are wanted")
    frames = [pixels_of(str(file), Path(), place, name) for file in files]
    for file, frame in zip(files, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise SchemaError(
                f"{place}: frame {file.name!r} has shape {list(frame.shape)}, but {files[0].name!r} has "
                f"{list(frames[0].shape)}; all frames of a video need one size and mode"
            )
    return np.stack(frames)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Digits count as numbers, so that frame 2 comes before frame 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
