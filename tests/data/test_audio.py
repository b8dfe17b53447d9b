"""Recordings in cells: arrays, bytes and paths; what is broken is named."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from polytask.data import Table
from polytask.data.audio import Sound, resampled, wave_of
from polytask.data.media import cells_of
from polytask.errors import MissingExtraError, SchemaError

RATE = 8000
WAVE = np.sin(2 * np.pi * 440 * np.arange(2000) / RATE) / 2


def file_of(wave, rate=RATE, kind="WAV", subtype=None):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=kind, subtype=subtype)
    return file.getvalue()


def heard(cell, source=None):
    frame = pd.DataFrame({"x": pd.Series([cell], dtype=object)})
    return cells_of(Table(frame, kinds={"x": "audio"}, source=source), "x", np.arange(1))[0]


def test_arrays_bytes_and_paths_are_the_same_recording(tmp_path):
    data = file_of(WAVE)
    (tmp_path / "a.wav").write_bytes(data)
    whole = np.round(WAVE * 2**15).astype(np.int16)
    for cell in (data, "a.wav", str(tmp_path / "a.wav"), whole, file_of(WAVE, kind="FLAC")):
        sound = heard(cell, tmp_path)
        np.testing.assert_allclose(sound.samples, WAVE, atol=2**-14)
        assert sound.samples.dtype == np.float32
        assert sound.rate == (None if cell is whole else RATE)
    np.testing.assert_allclose(heard(WAVE.tolist()).samples, WAVE, atol=1e-7)
    np.testing.assert_allclose(heard(np.array([0, 128, 255], dtype=np.uint8)).samples, [-1, 0, 127 / 128])


def test_channels_are_averaged():
    both = np.stack([WAVE, -WAVE / 2])
    np.testing.assert_allclose(heard(both).samples, WAVE / 4, atol=1e-6)
    np.testing.assert_allclose(heard(file_of(both.T)).samples, WAVE / 4, atol=2**-14)


def test_resampling_keeps_the_tone():
    twice = resampled(Sound(WAVE.astype(np.float32), RATE), 2 * RATE)
    expected = np.sin(2 * np.pi * 440 * np.arange(4000) / (2 * RATE)) / 2
    assert len(twice) == 4000
    np.testing.assert_allclose(twice[100:-100], expected[100:-100], atol=5e-3)
    assert resampled(Sound(WAVE, None), 123) is WAVE


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"RIFF" + bytes(40), "cannot be decoded as a recording"),
        (lambda: b"fLaC broken", "cannot be decoded as a recording"),
        (lambda: b"", "cannot be decoded as a recording: it is empty"),
        (lambda: file_of(WAVE)[:1000], "the file ends before its sound does"),
        (lambda: file_of(WAVE, kind="FLAC")[:1000], "cannot be decoded as a recording"),
        (lambda: file_of(WAVE[:0]), "the recording has no samples"),
        (list, "the recording has no samples"),
        (lambda: [0.0, float("nan")], "holds NaN"),
        (lambda: np.zeros((2, 2, 2)), "no recording"),
        (lambda: 3.5, "a float is no recording"),
        (lambda: "none.wav", "there is no recording 'none.wav'"),
    ],
)
def test_what_is_no_recording_is_named(make, words):
    with pytest.raises(SchemaError, match="column 'x', row 0") as caught:
        heard(make())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(SchemaError, match=r"column 'x', row 0, '.*a\.wav': cannot be decoded"):
        heard("a.wav", tmp_path)


def test_files_without_soundfile_name_the_extra(monkeypatch):
    data = file_of(WAVE)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match=r"polytask\[audio\]"):
        heard(data)
    assert len(wave_of(WAVE, None, "here", "x").samples) == len(WAVE)
