"""Spectra of recordings on the mel scale: how loud each pitch is at each moment."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.fft import rfft
from scipy.signal import get_window

#: The Slaney scale: linear to 1 kHz (a mel each 200 / 3 Hz), logarithmic above (27 mel for a factor of 6.4).
_LINEAR_HZ, _BREAK_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27
#: Power that counts as silence; and how far, in decibel, the softest may lie below the loudest moment.
_FLOOR, _RANGE_DB = 1e-10, 80.0


def hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Pitch on the mel scale ("htk": 2595 log10(1 + hz / 700); "slaney": linear to 1 kHz, logarithmic above)."""
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, above)


def mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    edge = _BREAK_HZ / _LINEAR_HZ
    return np.where(mel < edge, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, edge) - edge)))


@dataclass(frozen=True)
class MelSpectrum:
    """The power of a recording in each band of the mel scale, in decibel, at each moment.

    The definitions are librosa's (`melspectrogram`, then `power_to_db`): Hann windows around each moment, the recording
    continued by silence; triangular bands, each of area 1 ("slaney") or of height 1 ("htk"); 10 log10, never more than
    80 dB below the loudest moment. In NumPy, float64, one thread: a recording has the same numbers in every process.

    Attributes:
        rate: of the recordings, samples a second.
        mels: bands.
        window_ms: length of a window, milliseconds.
        hop_ms: from one moment to the next, milliseconds.
        lowest: pitch where the bands begin, Hz.
        highest: pitch where they end, Hz; None: half the rate.
        scale: see `hz_to_mel`.
    """

    rate: int
    mels: int
    window_ms: float
    hop_ms: float
    lowest: float = 0.0
    highest: float | None = None
    scale: Literal["slaney", "htk"] = "slaney"

    @cached_property
    def num_samples(self) -> int:
        """Of a window."""
        return max(1, round(self.rate * self.window_ms / 1000))

    @cached_property
    def hop(self) -> int:
        """Samples from one moment to the next."""
        return max(1, round(self.rate * self.hop_ms / 1000))

    @cached_property
    def num_points(self) -> int:
        """Of the Fourier transform: the power of two that holds a window."""
        return 1 << (self.num_samples - 1).bit_length()

    @cached_property
    def bands(self) -> np.ndarray:
        """What each frequency gives to each band, `[mels, frequencies]`."""
        top = self.highest or self.rate / 2
        ends = hz_to_mel(np.array([self.lowest, top]), self.scale)
        edges = mel_to_hz(np.linspace(ends[0], ends[1], self.mels + 2), self.scale)
        hz = np.fft.rfftfreq(self.num_points, 1 / self.rate)
        rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
        falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
        bands = np.maximum(0, np.minimum(rising, falling))
        return bands if self.scale == "htk" else bands * (2 / (edges[2:] - edges[:-2]))[:, None]

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """float64 `[moments, mels]`: one moment at the start and one more for every hop."""
        half, short = self.num_points // 2, self.num_points - self.num_samples
        window = np.pad(get_window("hann", self.num_samples), (short // 2, short - short // 2))
        padded = np.pad(samples.astype(np.float64), half)
        moments = np.lib.stride_tricks.sliding_window_view(padded, self.num_points)[:: self.hop]
        power = np.abs(rfft(moments * window, axis=1)) ** 2
        # einsum adds in a fixed order, whatever the threads.
        energy = np.einsum("tf,mf->tm", power, self.bands)
        decibel = 10 * np.log10(np.maximum(_FLOOR, energy))
        return np.maximum(decibel, decibel.max() - _RANGE_DB)
