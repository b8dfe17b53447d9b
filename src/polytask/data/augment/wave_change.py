"""Copies of recordings: moved, louder or softer, noisy."""

from typing import Any, ClassVar

import numpy as np

from polytask.data.augment.base import checked, checked_range
from polytask.data.augment.rows import RowAugmentation
from polytask.errors import SchemaError


class WaveChange(RowAugmentation):
    """Copies of rows whose recordings are moved in time, louder or softer, and noisy.

    The wave x becomes 10^(g/20)·x(t − s) + n: g uniform in `gain`, s uniform up to `shift` of the length (silence comes
    in), n normal noise at a signal-to-noise ratio that is uniform in `noise`.

    Args:
        shift: the largest shift either way, as a share of the recording's length, in [0, 1].
        gain: smallest and largest, in decibels, in [−60, 60].
        noise: the signal-to-noise ratio, smallest and largest, in decibels, in [−20, 120]; None: no noise.
        copies: of each row, from 1.
        columns: the audio and sequence columns that change; all where not given.
    """

    name: ClassVar[str] = "wave_change"
    kinds: ClassVar[tuple[str, ...]] = ("audio", "sequence")
    use_when: ClassVar[str] = "few recordings, read by features that are made before training (MFCC, say)"

    def __init__(
        self,
        *,
        shift: float = 0.1,
        gain: tuple[float, float] = (-6.0, 6.0),
        noise: tuple[float, float] | None = (20.0, 40.0),
        copies: int = 1,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(copies, columns)
        self.shift = checked(self.name, "shift", shift)
        self.loses_places = self.shift > 0
        self.gain = checked_range(self.name, "gain", gain, -60, 60)
        self.noise = None if noise is None else checked_range(self.name, "noise", noise, -20, 120)

    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """See `RowAugmentation.changed`."""
        samples = _samples_of(cell, place)
        wave = samples.astype(np.float64)
        length = len(wave)
        offset = round(float(generator.uniform(-self.shift, self.shift)) * length)
        moved = np.roll(wave, offset)
        moved[: max(offset, 0)] = 0
        moved[length + min(offset, 0) :] = 0
        moved *= 10 ** (float(generator.uniform(*self.gain)) / 20)
        if self.noise is not None:
            power = float(np.mean(moved**2)) / 10 ** (float(generator.uniform(*self.noise)) / 10)
            moved += generator.standard_normal(moved.shape) * np.sqrt(power)
        if samples.dtype.kind == "i":  # in its own units, which features take for what they are
            limits = np.iinfo(samples.dtype)
            return moved.round().clip(limits.min, limits.max).astype(samples.dtype), None
        return moved.astype(samples.dtype), None


def _samples_of(cell: Any, place: str) -> np.ndarray:
    """A recording's samples, `[samples]`.

    Raises:
        SchemaError: the cell is no array of numbers.
    """
    if not isinstance(cell, (list, tuple, np.ndarray)):
        raise SchemaError(
            f"{place}: a {type(cell).__name__} is no recording that can be changed; an array of samples is: read the "
            "files into arrays first"
        )
    wave = np.array(cell)
    if wave.dtype.kind not in "if" or wave.ndim != 1 or not len(wave):
        raise SchemaError(f"{place}: an array [samples] is wanted, got {wave.dtype} of shape {list(wave.shape)}")
    return wave
