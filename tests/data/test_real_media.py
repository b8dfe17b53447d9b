"""Real pictures and recordings: CIFAR-10 through JPEG bytes, spoken digits through MFCC."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt


def test_pictures_as_jpeg_bytes(shared_data, tmp_path):
    pytest.importorskip("PIL")
    frame = pd.read_parquet(shared_data / "cifar10_subset" / "cifar10_subset.parquet")
    frame = frame.sample(400, random_state=0)[["jpeg", "is_animal", "label"]]
    tasks = [pt.Classification("is_animal"), pt.Classification("label")]
    run = pt.fit(frame, tasks, epochs=1, folder=tmp_path / "run", quiet=True)
    assert run.blueprint.spec.images == {"jpeg": (3, 32, 32)}
    assert set(run.metrics["validation"]) == {"is_animal", "label"}


def test_spoken_digits_by_mfcc(shared_data, tmp_path):
    held = np.load(shared_data / "fsdd" / "fsdd.npz")
    ends = held["offsets"]
    rows = np.random.default_rng(0).permutation(len(ends) - 1)[:400]
    audio = held["audio"]
    clips = [audio[ends[i] : ends[i + 1]] for i in rows]
    frame = pd.DataFrame({"clip": pd.Series(clips, dtype=object), "speaker": held["speaker"][rows].astype(str)})
    settings = {"features": {"clip": {"mfcc": {"rate": 8000}}}}
    run = pt.fit(
        frame,
        [pt.Classification("speaker")],
        kinds={"clip": "audio"},
        preprocess=settings,
        epochs=15,
        batch_size=32,
        folder=tmp_path / "run",
        quiet=True,
    )
    assert run.metrics["validation"]["speaker"]["accuracy"] > 0.8  # six speakers: 0.17 by chance
