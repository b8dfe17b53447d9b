"""Frame statistics: how bright a video is, in which colours, and how much it changes from frame to frame."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.features.statistics import over_time
from polytask.data.pictures import as_floats, with_channels
from polytask.data.video import chosen_frames


class FrameStatistics(Featurizer):
    """A video as 28 numbers: seven series over its frames, of each the mean, standard deviation, least and greatest.

    The series are the mean and the standard deviation of red, green and blue in each frame, and the mean absolute
    change of all pixels since the frame before (0 in the first). Videos may differ in size, length and mode.

    Args:
        most_frames: frames that are looked at, evenly spaced; all where there are no more.

    Raises:
        ValueError: a number of frames below 1.

    Example:
        >>> FrameStatistics().transform([np.zeros((5, 8, 8, 3), dtype=np.uint8)], {}).shape
        (1, 28)
    """

    reads: ClassVar[tuple[str, ...]] = ("video",)

    def __init__(self, *, most_frames: int = 256) -> None:
        if most_frames < 1:
            raise ValueError(f"frame_statistics: most_frames={most_frames}: a whole number >= 1 is wanted")
        self.most_frames = most_frames

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, 28]`."""
        return np.stack([over_time(self._series(frames)) for frames in cells]).astype(np.float32)

    def _series(self, frames: np.ndarray) -> np.ndarray:
        """float64 `[frames, 7]`."""
        found, before = [], None
        for frame in chosen_frames(frames, self.most_frames):
            values = as_floats(with_channels(frame, 3)).astype(np.float64)
            change = 0.0 if before is None else np.abs(values - before).mean()
            found.append([*values.mean(axis=(0, 1)), *values.std(axis=(0, 1)), change])
            before = values
        return np.array(found)
