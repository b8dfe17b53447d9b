"""Mel spectra, MFCC and their neighbours beside librosa's documented formulas, written out plainly."""

import math

import numpy as np
import pytest
from scipy.signal import savgol_filter

from polytask.data.audio import Sound
from polytask.data.features import LogMel, Mfcc
from polytask.data.features.mel import MelSpectrum, hz_to_mel, mel_to_hz
from polytask.data.features.mfcc import deltas
from polytask.errors import SchemaError

RATE = 8000
NOISE = np.random.default_rng(0).normal(size=1500)


def plain_mel(hz, scale):
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def plain_hz(mel, scale):
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def plain_spectrum(wave, scale, mels, window=200, hop=80, points=256):
    """Decibel `[moments][mels]`, sample by sample."""
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)]
    lead = (points - window) // 2
    low, high = plain_mel(0, scale), plain_mel(RATE / 2, scale)
    edges = [plain_hz(low + (high - low) * k / (mels + 1), scale) for k in range(mels + 2)]
    found = []
    for moment in range(1 + len(wave) // hop):
        begin = moment * hop - points // 2 + lead
        frame = np.array([hann[n] * (wave[begin + n] if 0 <= begin + n < len(wave) else 0) for n in range(window)])
        power = []
        for k in range(points // 2 + 1):
            angle = 2 * np.pi * k * (np.arange(window) + lead) / points
            power.append(abs((frame * np.exp(-1j * angle)).sum()) ** 2)
        row = []
        for m in range(mels):
            left, middle, right = edges[m : m + 3]
            total = 0.0
            for k, value in enumerate(power):
                hz = k * RATE / points
                weight = max(0.0, min((hz - left) / (middle - left), (right - hz) / (right - middle)))
                total += value * weight * (1 if scale == "htk" else 2 / (right - left))
            row.append(10 * math.log10(max(1e-10, total)))
        found.append(row)
    found = np.array(found)
    return np.maximum(found, found.max() - 80)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_a_spectrum_is_the_written_formula(scale):
    spectrum = MelSpectrum(RATE, 12, 25.0, 10.0, scale=scale)
    np.testing.assert_allclose(spectrum(NOISE), plain_spectrum(NOISE, scale, 12), atol=1e-8)
    hz = np.array([0.0, 300, 1000, 3500])
    np.testing.assert_allclose(hz_to_mel(hz, scale), [plain_mel(each, scale) for each in hz])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-9)


def test_coefficients_are_an_orthonormal_cosine_transform():
    spectrum = plain_spectrum(NOISE, "slaney", 40)
    n = np.arange(40)
    basis = np.array([np.cos(np.pi * k * (2 * n + 1) / 80) * math.sqrt((1 if k == 0 else 2) / 40) for k in range(13)])
    (found,) = Mfcc(over_time=True).transform([Sound(NOISE.astype(np.float32), RATE)], {"rate": RATE})
    np.testing.assert_allclose(found[:, :13], spectrum @ basis.T, atol=1e-3)
    vector = Mfcc(with_deltas=False).transform([Sound(NOISE.astype(np.float32), RATE)], {"rate": RATE})[0]
    np.testing.assert_allclose(vector[13:26], found[:, :13].std(axis=0), rtol=1e-4)


def test_deltas_are_scipys_slopes():
    series = np.random.default_rng(1).normal(size=(30, 3))
    np.testing.assert_allclose(deltas(series), savgol_filter(series, 9, 1, deriv=1, axis=0, mode="nearest"), atol=1e-12)
    assert deltas(series[:1]).tolist() == [[0, 0, 0]]


def test_a_tone_is_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / RATE)
    spectrum = MelSpectrum(RATE, 20, 25.0, 10.0)
    hz = mel_to_hz(np.linspace(0, hz_to_mel(np.array(4000.0), "slaney"), 22), "slaney")[1:-1]
    assert spectrum(tone)[20].argmax() == np.abs(hz - 1000).argmin()


def test_pictures_have_one_length_and_series_their_own():
    sounds = [Sound(NOISE[:n].astype(np.float32), RATE) for n in (200, 1500)]
    pictures = LogMel(seconds=0.1, mels=8).transform(sounds, {"rate": RATE})
    assert pictures.shape == (2, 1, 8, 11)
    assert [each.shape for each in LogMel(mels=8).transform(sounds, {"rate": RATE})] == [(3, 8), (19, 8)]
    first = LogMel(seconds=0.1, mels=8).transform([Sound(NOISE[:800].astype(np.float32), RATE)], {"rate": RATE})
    assert (pictures[1] == first[0]).all()


def test_the_rate_is_that_of_most_files_or_said():
    sounds = [Sound(NOISE.astype(np.float32), rate) for rate in (8000, 16000, 16000)]
    assert Mfcc().fit(sounds, "column 'x'") == {"rate": 16000}
    assert Mfcc(rate=4000).fit(sounds, "column 'x'") == {"rate": 4000}
    with pytest.raises(SchemaError, match=r"column 'x': an array does not say .* \{mfcc: \{rate: 16000\}\}"):
        Mfcc().fit([*sounds, Sound(NOISE, None)], "column 'x'")
    with pytest.raises(SchemaError, match="pitches run to 2000 Hz"):
        Mfcc(rate=4000, highest=3000.0).fit(sounds, "column 'x'")


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Mfcc, {"coefficients": 50}),
        (Mfcc, {"mels": 0}),
        (Mfcc, {"hop_ms": 0.0}),
        (Mfcc, {"rate": 0}),
        (Mfcc, {"lowest": 500.0, "highest": 400.0}),
        (LogMel, {"seconds": 0.0}),
        (LogMel, {"scale": "bark"}),
    ],
)
def test_settings_that_cannot_be(make, settings):
    with pytest.raises(ValueError, match="wanted"):
        make(**settings)


@pytest.mark.slow
def test_librosa_gives_the_same():
    librosa = pytest.importorskip("librosa")
    ours = MelSpectrum(RATE, 40, 25.0, 10.0)(NOISE)
    settings = {"n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 40, "pad_mode": "constant"}
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=NOISE, sr=RATE, **settings))
    np.testing.assert_allclose(ours, theirs.T, atol=1e-3)
