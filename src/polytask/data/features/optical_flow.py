"""Optical flow: which way and how fast things move in a video."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.features.statistics import over_time
from polytask.data.pictures import as_floats, resized, with_channels
from polytask.data.video import chosen_frames
from polytask.errors import MissingExtraError


class OpticalFlow(Featurizer):
    """A video as histograms of its optical flow, by scikit-image.

    Of each two frames in a row: the share of all movement that goes in each of `bins` directions (0 throughout where
    nothing moves), and the mean and the greatest speed, in widths of the picture a frame. Of these series the vector
    has the mean, standard deviation, least and greatest. A video of one frame stands still.

    Args:
        method: "ilk" (iterative Lucas-Kanade, fast) or "tvl1" (TV-L1, keeps edges of what moves).
        bins: directions, from right over down.
        most_frames: frames that are looked at, evenly spaced; all where there are no more.
        side: height and width that frames are brought to, pixels.

    Raises:
        ValueError: a setting that cannot be.

    Paper: Chaudhry, Ravichandran, Hager, Vidal: Histograms of oriented optical flow and Binet-Cauchy kernels on
        nonlinear dynamical systems for the recognition of human actions. CVPR 2009. Flow: Le Besnerais, Champagnat:
        Dense optical flow by iterative local window registration. ICIP 2005; Zach, Pock, Bischof: A duality based
        approach for realtime TV-L1 optical flow. DAGM 2007.

    Deviates:
        Left and right are told apart (theirs are one bin), and speeds are kept beside the shares.
    """

    reads: ClassVar[tuple[str, ...]] = ("video",)
    paper: ClassVar[str | None] = "chaudhry2009"

    def __init__(
        self, *, method: Literal["ilk", "tvl1"] = "ilk", bins: int = 8, most_frames: int = 16, side: int = 64
    ) -> None:
        if method not in ("ilk", "tvl1"):
            raise ValueError(f"optical_flow: method={method!r}: 'ilk' or 'tvl1' is wanted")
        if bins < 1 or most_frames < 2 or side < 16:
            raise ValueError(
                f"optical_flow: bins={bins}, most_frames={most_frames}, side={side}: at least 1, 2 and 16 are wanted"
            )
        self.method, self.bins, self.most_frames, self.side = method, bins, most_frames, side

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, 4 · (bins + 2)]`."""
        return np.stack([over_time(self._series(frames)) for frames in cells]).astype(np.float32)

    def _series(self, frames: np.ndarray) -> np.ndarray:
        """float64 `[frames − 1, bins + 2]`."""
        size = (self.side, self.side)
        grey = [
            as_floats(resized(with_channels(frame, 1), size, "optical_flow"))[:, :, 0]
            for frame in chosen_frames(frames, self.most_frames)
        ]
        found = [self._moved(before, after) for before, after in pairwise(grey)]
        return np.array(found) if found else np.zeros((1, self.bins + 2))

    def _moved(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        try:
            from skimage.registration import optical_flow_ilk, optical_flow_tvl1
        except ImportError:
            raise MissingExtraError("scikit-image", "data", "optical_flow") from None
        if (before == after).all():
            return np.zeros(self.bins + 2)
        flow = optical_flow_tvl1 if self.method == "tvl1" else optical_flow_ilk
        down, right = flow(before, after, dtype=np.float64)  # where a pixel of `before` is found in `after`
        speed = np.hypot(down, right)
        turn = np.arctan2(down, right) / (2 * np.pi) + 0.5 / self.bins  # the first bin has right in its middle
        places = np.floor((turn % 1) * self.bins).astype(np.int64) % self.bins
        total = np.bincount(places.ravel(), weights=speed.ravel(), minlength=self.bins)
        shares = total / total.sum() if total.sum() > 0 else total
        return np.concatenate([shares, [speed.mean() / self.side, speed.max() / self.side]])
