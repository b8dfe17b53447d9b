"""Log-mel spectrogram: a recording as a picture of its pitches over time, or as a series of them."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.data.audio import resampled
from polytask.data.features.base import Learnt
from polytask.data.features.recordings import OfRecordings, check_spectrum


class LogMel(OfRecordings):
    """The mel spectrum of a recording in decibel: a series `[moments, mels]`, or a picture `[1, mels, moments]`.

    Args:
        seconds: the first so many of each recording, a shorter one continued by silence: a picture, for encoders of
            pictures; None: the whole of it as a series.
        mels: bands of the mel spectrum.
        window_ms: length of a window, milliseconds.
        hop_ms: from one moment to the next, milliseconds.
        rate: samples a second that recordings are brought to; None: that of most files. Arrays need it, and are taken
            to have it.
        lowest: pitch where the bands begin, Hz.
        highest: pitch where they end, Hz; None: half the rate.
        scale: "slaney" or "htk": the mel scale and its bands.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> from polytask.data.audio import Sound
        >>> LogMel(seconds=0.5).transform([Sound(np.ones(8000, dtype=np.float32), 8000)], {"rate": 8000}).shape
        (1, 1, 64, 51)

    Paper: Stevens, Volkmann, Newman: A scale for the measurement of the psychological magnitude pitch. Journal of the
        Acoustical Society of America 1937 (the mel scale).
    """

    paper: ClassVar[str | None] = "stevens1937"
    word: ClassVar[str] = "log_mel"

    def __init__(
        self,
        *,
        seconds: float | None = None,
        mels: int = 64,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        rate: int | None = None,
        lowest: float = 0.0,
        highest: float | None = None,
        scale: Literal["slaney", "htk"] = "slaney",
    ) -> None:
        self.seconds, self.mels, self.window_ms, self.hop_ms = seconds, mels, window_ms, hop_ms
        self.rate, self.lowest, self.highest, self.scale = rate, lowest, highest, scale
        check_spectrum(self)
        if seconds is not None and not seconds > 0:
            raise ValueError(f"log_mel: seconds={seconds}: a length > 0 is wanted, or None for all of a recording")
        self.gives = "sequence" if seconds is None else "picture"

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> Any:
        """float32: a series `[moments, mels]` each, or pictures `[cells, 1, mels, moments]`."""
        if self.seconds is None:
            return [spectrum.astype(np.float32) for spectrum in self._spectra(cells, learnt)]
        wanted = max(1, round(self.seconds * learnt["rate"]))
        spectrum = self._spectrum(learnt)
        pictures = []
        for sound in cells:
            samples = resampled(sound, spectrum.rate)[:wanted]
            pictures.append(spectrum(np.pad(samples, (0, wanted - len(samples)))).T[None])
        return np.stack(pictures).astype(np.float32)
