"""MFCC: the shape of a recording's spectrum in a few numbers, as speech recognition has used it."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.fft import dct

from polytask.data.features.base import Learnt
from polytask.data.features.recordings import OfRecordings, check_spectrum
from polytask.data.features.statistics import over_time

#: Moments on each side that a delta looks at.
REACH = 4


def deltas(series: np.ndarray, reach: int = REACH) -> np.ndarray:
    """How fast each channel of a series `[length, channels]` changes: Σ n (c[t + n] − c[t − n]) / (2 Σ n²).

    Beyond its ends the series stays what it was there.

    Example:
        >>> deltas(np.arange(12.0)[:, None])[4:8, 0].tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    padded = np.pad(series, ((reach, reach), (0, 0)), mode="edge")
    middle = np.arange(len(series)) + reach
    steps = range(1, reach + 1)
    total = sum(n * (padded[middle + n] - padded[middle - n]) for n in steps)
    return np.asarray(total / (2 * sum(n * n for n in steps)))


class Mfcc(OfRecordings):
    """Mel-frequency cepstral coefficients of a recording and how they change: their statistics over time, or a series.

    The coefficients are the first of the orthonormal cosine transform (type 2) of the mel spectrum in decibel. The
    vector holds the mean, standard deviation, least and greatest over time of each coefficient and delta; two
    recordings of different lengths so have as many numbers.

    Args:
        coefficients: how many, the first (loudness) included.
        mels: bands of the mel spectrum.
        window_ms: length of a window, milliseconds.
        hop_ms: from one moment to the next, milliseconds.
        rate: samples a second that recordings are brought to; None: that of most files. Arrays need it, and are taken
            to have it.
        lowest: pitch where the bands begin, Hz.
        highest: pitch where they end, Hz; None: half the rate.
        scale: "slaney" or "htk": the mel scale and its bands.
        with_deltas: whether the change of each coefficient goes with it.
        over_time: the series `[moments, numbers]` in place of its statistics.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.data.audio import Sound
        >>> Mfcc().transform([Sound(np.ones(4000, dtype=np.float32), 8000)], {"rate": 8000}).shape
        (1, 104)

    Paper: Davis, Mermelstein: Comparison of parametric representations for monosyllabic word recognition in
        continuously spoken sentences. IEEE Transactions on Acoustics, Speech, and Signal Processing 1980.
    """

    paper: ClassVar[str | None] = "davis1980"
    word: ClassVar[str] = "mfcc"

    def __init__(
        self,
        *,
        coefficients: int = 13,
        mels: int = 40,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        rate: int | None = None,
        lowest: float = 0.0,
        highest: float | None = None,
        scale: Literal["slaney", "htk"] = "slaney",
        with_deltas: bool = True,
        over_time: bool = False,
    ) -> None:
        self.coefficients, self.mels, self.window_ms, self.hop_ms = coefficients, mels, window_ms, hop_ms
        self.rate, self.lowest, self.highest, self.scale = rate, lowest, highest, scale
        self.with_deltas = with_deltas
        check_spectrum(self)
        if not 1 <= coefficients <= mels:
            raise ValueError(f"mfcc: coefficients={coefficients}: 1 to mels={mels} are wanted")
        self.gives = "sequence" if over_time else "vector"

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> Any:
        """float32 `[cells, numbers]`, or a series `[moments, numbers]` each."""
        series = [self._coefficients(spectrum) for spectrum in self._spectra(cells, learnt)]
        if self.gives == "sequence":
            return [each.astype(np.float32) for each in series]
        return np.stack([over_time(each) for each in series]).astype(np.float32)

    def _coefficients(self, spectrum: np.ndarray) -> np.ndarray:
        found = dct(spectrum, type=2, norm="ortho", axis=1)[:, : self.coefficients]
        return np.concatenate([found, deltas(found)], axis=1) if self.with_deltas else found
