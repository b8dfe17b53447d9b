"""What all featurizers of recordings have in common: one rate for a column, and a mel spectrum."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.data.audio import resampled
from polytask.data.features.base import Featurizer, Learnt
from polytask.data.features.mel import MelSpectrum
from polytask.errors import SchemaError


class OfRecordings(Featurizer):
    """Features of recordings; all are brought to one rate first."""

    reads: ClassVar[tuple[str, ...]] = ("audio",)
    #: Its name in the catalogue.
    word: ClassVar[str]
    rate: int | None
    mels: int
    window_ms: float
    hop_ms: float
    lowest: float
    highest: float | None
    scale: Literal["slaney", "htk"]

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """The column's rate: as set, or that of most of its files."""
        rate = self.rate
        if rate is None:
            rates = Counter(sound.rate for sound in cells)
            if None in rates:
                raise SchemaError(
                    f"{place}: an array does not say how many samples a second it has; say it, as {{{self.word}: "
                    "{rate: 16000}} for this column in preprocess.features"
                )
            most = max(rates.values())
            rate = max(found for found, count in rates.items() if count == most and found is not None)
        if (self.highest or rate / 2) > rate / 2 or self.lowest >= (self.highest or rate / 2):
            raise SchemaError(
                f"{place}: at {rate} samples a second pitches run to {rate / 2:g} Hz, but lowest={self.lowest:g} and "
                f"highest={self.highest} are wanted"
            )
        return {"rate": rate}

    def _spectrum(self, learnt: Learnt) -> MelSpectrum:
        settings = (self.mels, self.window_ms, self.hop_ms, self.lowest, self.highest)
        return MelSpectrum(int(learnt["rate"]), *settings, self.scale)

    def _spectra(self, cells: Sequence[Any], learnt: Learnt) -> list[np.ndarray]:
        """Of each recording, `[moments, mels]` in decibel."""
        spectrum = self._spectrum(learnt)
        return [spectrum(resampled(sound, spectrum.rate)) for sound in cells]


def check_spectrum(of: OfRecordings) -> None:
    """Raises ValueError for settings of a spectrum that cannot be."""
    word = of.word
    whole = {"mels": of.mels} | ({"rate": of.rate} if of.rate is not None else {})
    for name, number in whole.items():
        if number < 1:
            raise ValueError(f"{word}: {name}={number}: a whole number >= 1 is wanted")
    for name, milliseconds in {"window_ms": of.window_ms, "hop_ms": of.hop_ms}.items():
        if not milliseconds > 0:
            raise ValueError(f"{word}: {name}={milliseconds}: milliseconds > 0 are wanted")
    if of.lowest < 0 or (of.highest is not None and of.highest <= of.lowest):
        raise ValueError(f"{word}: lowest={of.lowest} and highest={of.highest}: 0 <= lowest < highest is wanted, in Hz")
    if of.scale not in ("slaney", "htk"):
        raise ValueError(f"{word}: scale={of.scale!r}: 'slaney' or 'htk' is wanted")
