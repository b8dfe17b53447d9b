"""Pictures as an input: of one size and mode, normalised; float32 `[rows, channels, height, width]`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polytask.data.cache import Cache, all_moments
from polytask.data.decoded_column import CHUNK, DecodedColumn
from polytask.data.media import DECODERS, MediaCells, folder_of, media_cells
from polytask.data.moments import Moments, joined, moments_of
from polytask.data.pictures import USUAL_SIZE, ImageSettings, as_floats, resized, with_channels
from polytask.data.prepared import PreprocessSettings
from polytask.data.table import Table
from polytask.data.workers import Workers
from polytask.errors import SchemaError
from polytask.feature import InputSpec


@dataclass(frozen=True)
class ImageColumn(DecodedColumn):
    """A picture: normalised by the training pictures' mean and standard deviation of each channel.

    Attributes:
        name: of the column.
        has_missing: whether training had missing pictures.
        size: channels, height, width.
        mean: a channel.
        deviation: a channel; 1 where a channel is constant.
        found: least and greatest height and width of the training pictures, where they differ.
        resized: how many of these had another size.
    """

    size: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    found: tuple[int, ...] = ()
    resized: int = 0

    @classmethod
    def fit(
        cls,
        table: Table,
        name: str,
        rows: np.ndarray,
        settings: PreprocessSettings,
        workers: Workers | None = None,
        cache: Cache | None = None,
    ) -> "ImageColumn | None":
        """Learns from these rows; None where none of them has a picture.

        Raises:
            SchemaError: a cell that is no picture.
            MissingExtraError: files have to be decoded and pillow is not installed.
        """
        present = table.mask(name)[rows]
        if not present.any():
            return None
        cells = media_cells(table, name, rows[present], "image")
        shapes = np.array(cells.shapes())
        size = _size(settings.images, shapes)
        differs = (shapes[:, :2] != size[1:]).any(axis=1)
        varied = (shapes[:, :2] != shapes[0, :2]).any()
        edges = (*shapes[:, :2].min(axis=0).tolist(), *shapes[:, :2].max(axis=0).tolist()) if varied else ()
        empty = (0.0,) * size[0]
        fitted = cls(name, not present.all(), size, empty, empty, edges, int(differs.sum()))
        chunks = cells.chunks(max(1, CHUNK // int(np.prod(size))))
        found = joined(all_moments(fitted, table, chunks, workers or Workers(), cache))
        scales = (tuple(found.mean.tolist()), tuple(found.deviation.tolist()))
        return cls(name, not present.all(), size, *scales, edges, fitted.resized)

    def moments(self, decoded: np.ndarray) -> Moments:
        """Of these pictures, a channel."""
        return moments_of(as_floats(decoded), (0, 2, 3))

    @property
    def decoding(self) -> dict[str, Any]:
        """The size."""
        return {"size": list(self.size)}

    @property
    def spec(self) -> InputSpec:
        """A picture."""
        return InputSpec(images={self.name: (self.size[0], self.size[1], self.size[2])})

    @property
    def kind(self) -> str:
        """Of the column."""
        return "image"

    @property
    def cell_shape(self) -> tuple[int, ...]:
        """Of a picture."""
        return self.size

    @property
    def notices(self) -> list[str]:
        """That pictures are resized."""
        if not self.resized:
            return []
        low, high = _shown(self.found[:2]), _shown(self.found[2:])
        sizes = f"of sizes from {low} to {high}" if self.found else "of another size"
        return [
            f"column {self.name!r}: {self.resized:,} training pictures {sizes} are resized to {_shown(self.size[1:])}; "
            "preprocess.images.size sets another"
        ]

    def decoded(self, cells: MediaCells) -> np.ndarray:
        """These pictures `[cells, channels, height, width]`: uint8, float32 where some need it."""
        return _stacked([self._fitted(cells, k) for k in range(len(cells))])

    def finished(self, decoded: np.ndarray) -> np.ndarray:
        """float32, normalised."""
        shape = (1, self.size[0], 1, 1)
        mean = np.reshape(self.mean, shape).astype(np.float32)
        deviation = np.reshape(self.deviation, shape).astype(np.float32)
        values = as_floats(decoded)
        values = values - mean if values is decoded else np.subtract(values, mean, out=values)
        return np.divide(values, deviation, out=values)

    def _fitted(self, cells: MediaCells, k: int) -> np.ndarray:
        """One picture `[channels, height, width]`."""
        pixels, (channels, height, width) = cells[k], self.size
        if channels not in (1, 3, pixels.shape[2]):
            raise SchemaError(
                f"{cells.place(k)}: the picture has {pixels.shape[2]} channels, but training has {channels}; arrays "
                "of 2 or 4 channels are taken as they are, unless preprocess.images.mode is 'grey' or 'rgb'"
            )
        pixels = resized(with_channels(pixels, channels), (height, width), self.name)
        return pixels.transpose(2, 0, 1)


def located(table: Table, columns: Sequence[str]) -> Table:
    """These columns as a table of their own, in which the paths of files hold whatever folder it is read from.

    Cells that cannot be read and count as missing are empty in it.
    """
    frame = table.frame[list(columns)].copy()
    for name in columns:
        if table.kind(name) in DECODERS:
            cells = [str((folder_of(table) / c).absolute()) if isinstance(c, str) else c for c in frame[name]]
            frame[name] = pd.Series(cells, dtype=object).where(table.mask(name), None)
    return Table(frame, kinds={name: table.kind(name) for name in columns})


def _size(settings: ImageSettings, shapes: np.ndarray) -> tuple[int, int, int]:
    """Channels, height and width of all pictures, from the training pictures' height, width and channels."""
    is_one_size = (shapes[:, :2] == shapes[0, :2]).all()
    height, width = settings.size or (shapes[0, :2].tolist() if is_one_size else USUAL_SIZE)
    channels = sorted(set(shapes[:, 2].tolist()))
    if settings.mode != "auto":
        return {"grey": 1, "rgb": 3}[settings.mode], height, width
    if len(channels) == 1:
        return channels[0], height, width
    return (3 if channels[-1] >= 3 else 1), height, width


def _stacked(pictures: Sequence[np.ndarray]) -> np.ndarray:
    if len({picture.dtype for picture in pictures}) > 1:
        pictures = [as_floats(picture) for picture in pictures]
    return np.ascontiguousarray(np.stack(pictures))


def _shown(size: Sequence[Any]) -> str:
    return f"{size[0]}×{size[1]}"
