"""One recording: an array, bytes of a WAV, FLAC or Ogg file, or a path, as one channel of samples."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from polytask.data.pictures import array_of, bytes_of, place_of
from polytask.errors import MissingExtraError, SchemaError
from polytask.wording import reason

#: What a sample of 1 is in whole numbers of this type.
FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31}
#: The size of a WAV file's sound where its writer did not know it.
_UNKNOWN = (0, 0xFFFFFFFF)


class Sound(NamedTuple):
    """A recording.

    Attributes:
        samples: float32 `[samples]`, between −1 and 1 where they come from a file.
        rate: samples a second; None where an array does not say.
    """

    samples: np.ndarray
    rate: int | None


def wave_of(cell: Any, folder: Path, place: str, name: str) -> Sound:
    """One cell as a recording; several channels are averaged.

    Args:
        cell: an array or lists `[samples]` or `[channels, samples]` (8, 16 and 32 bits are taken to run from −1 to 1,
            other numbers as they are), bytes of a sound file, or its path.
        folder: where relative paths start.
        place: the cell, for an error.
        name: of the column, for an error.

    Raises:
        SchemaError: the cell is no recording, a broken one, or one without samples.
        MissingExtraError: a file has to be decoded and soundfile is not installed.
    """
    rate: int | None = None
    if isinstance(cell, (str, bytes, bytearray, memoryview)):
        where = place_of(cell, folder, place)
        values, rate = _decoded(bytes_of(cell, folder, place, "recording"), where, name)
    elif isinstance(cell, (list, tuple, np.ndarray)):
        where, values = place, _samples(cell, place)
    else:
        raise SchemaError(
            f"{place}: a {type(cell).__name__} is no recording; an array [samples] or [channels, samples], bytes of "
            "a WAV, FLAC or Ogg file, or the path of one is"
        )
    if not len(values):
        raise SchemaError(f"{where}: the recording has no samples")
    if not np.isfinite(values).all():
        raise SchemaError(f"{where}: the recording holds NaN or infinite values")
    return Sound(values, rate)


def resampled(sound: Sound, rate: int) -> np.ndarray:
    """The samples at this rate; a recording that does not say its own has it already."""
    if sound.rate is None or sound.rate == rate:
        return sound.samples
    from math import gcd

    from scipy.signal import resample_poly

    shared = gcd(sound.rate, rate)
    return resample_poly(sound.samples.astype(np.float64), rate // shared, sound.rate // shared).astype(np.float32)


def _samples(cell: Any, place: str) -> np.ndarray:
    values = array_of(cell, place, "recording") if len(cell) else np.zeros(0)
    if values.ndim not in (1, 2):
        raise SchemaError(
            f"{place}: an array of shape {list(values.shape)} is no recording; [samples] or [channels, samples] is"
        )
    scale = FULL_SCALE.get(values.dtype.name, 1)
    if values.dtype == np.uint8:  # WAV files of 8 bits have their middle there
        values, scale = values.astype(np.float64) - 128, 128
    values = values.astype(np.float64) / scale
    return (values.mean(axis=0) if values.ndim == 2 and len(values) else values.reshape(-1)).astype(np.float32)


def _decoded(data: bytes, place: str, name: str) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except (ImportError, OSError):  # it stands on a library of the system
        raise MissingExtraError("soundfile", "audio", f"decoding the recordings of column {name!r}") from None
    if not data:
        raise SchemaError(f"{place}: cannot be decoded as a recording: it is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            said, rate = file.frames, file.samplerate
            values = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        raise SchemaError(f"{place}: cannot be decoded as a recording: {reason(error)}") from None
    if len(values) < said or _is_cut(data):
        raise SchemaError(f"{place}: cannot be decoded as a recording: the file ends before its sound does")
    return values.mean(axis=1, dtype=np.float32), int(rate)


def _is_cut(data: bytes) -> bool:
    """Whether a WAV file has fewer bytes of sound than its header says; decoders take what there is in silence."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return False
    start = 12
    while start + 8 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        if data[start : start + 4] == b"data":
            return size not in _UNKNOWN and start + 8 + size > len(data)
        start += 8 + size + size % 2
    return True
