"""Decoded cells on disk: the same batches, decoded once, and never trusted when damaged."""

import json
import threading

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.data import Cache, ImageSettings, Preprocessor, PreprocessSettings, Table, Targets, encode_rows, media
from polytask.errors import ConfigError, SchemaError

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 13, 12, 3)).astype(np.uint8)
WAVES = [np.random.default_rng(k).normal(size=400 + 10 * k).astype(np.float32) for k in range(30)]
SETTINGS = PreprocessSettings(features={"sound": {"mfcc": {"rate": 8000, "coefficients": 4}}})


@pytest.fixture
def table(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    paths = []
    for k, pixels in enumerate(PIXELS):
        image_module.fromarray(pixels).save(tmp_path / f"{k}.png")
        paths.append(None if k == 7 else f"{k}.png")
    frame = pd.DataFrame({"photo": paths, "sound": pd.Series(WAVES, dtype=object), "y": PIXELS.mean(axis=(1, 2, 3))})
    return Table(frame, kinds={"sound": "audio"}, source=tmp_path)


@pytest.fixture
def decoded(monkeypatch):
    """Counts decodings of pictures."""
    seen = []
    decode = media.DECODERS["image"]
    monkeypatch.setitem(media.DECODERS, "image", lambda *cell: seen.append(cell[2]) or decode(*cell))
    return seen


def made(table, cache, settings=SETTINGS):
    rows = np.arange(2, 20)
    preprocessor = Preprocessor.fit(table, ["photo", "sound"], rows, settings, cache=cache)
    values = torch.arange(18.0)
    targets = Targets({"y": values}, {"y": values >= 0}, {"y": values + 1})
    return preprocessor, encode_rows(preprocessor, table, rows, targets, cache=cache)


def test_batches_are_those_in_memory_and_each_cell_is_decoded_once(table, tmp_path, decoded):
    fitted, plain = made(table, None)
    decoded.clear()
    again, kept = made(table, Cache(tmp_path / "cache"))
    assert len(decoded) == 29
    for _ in range(2):
        assert str(again.prepared) == str(fitted.prepared)
        one, other = plain.walk(5, 1), kept.walk(5, 1)
        for _ in range(6):
            first, second = one.next(), other.next()
            assert all(torch.equal(first.inputs[name], second.inputs[name]) for name in first.inputs)
        again, kept = made(table, Cache(tmp_path / "cache"))
    assert len(decoded) == 29


def test_other_settings_or_another_file_are_decoded_anew(table, tmp_path, decoded):
    cache = Cache(tmp_path / "cache")
    made(table, cache)
    decoded.clear()
    made(table, cache, PreprocessSettings(features=SETTINGS.features, images=ImageSettings(size=(14, 14))))
    assert len(decoded) == 29
    pytest.importorskip("PIL.Image").fromarray(PIXELS[0][::-1]).save(tmp_path / "3.png", compress_level=0)
    made(table, cache)
    assert len(decoded) == 58


@pytest.mark.parametrize("harm", ["cell", "cut", "record", "gone"])
def test_what_is_damaged_is_made_anew_and_said(table, tmp_path, decoded, harm):
    cache = Cache(tmp_path / "cache")
    made(table, cache)
    (place,) = (tmp_path / "cache").glob("photo-*")
    items = place / "items.npy"
    data = bytearray(items.read_bytes())
    if harm == "cell":
        data[-1] ^= 255
        items.write_bytes(data)
    elif harm == "cut":
        items.write_bytes(data[:-100])
    elif harm == "record":
        (place / "items.json").write_text("{}")
    else:
        items.unlink()
    decoded.clear()
    with pytest.warns(UserWarning, match="data.cache: .* is damaged .* and is made anew"):
        _, after = made(table, cache)
    assert len(decoded) == 29
    expected = next(made(table, None)[1].in_order(18)).inputs["photo"]
    assert torch.equal(next(after.in_order(18)).inputs["photo"], expected)
    assert json.loads((place / "items.json").read_text())["shape"] == [29, 3, 13, 12]


def test_who_comes_second_takes_what_the_first_made(table, tmp_path):
    cache, found = Cache(tmp_path / "cache"), []
    threads = [threading.Thread(target=lambda: found.append(made(table, cache)[1])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    blocks = [next(each.in_order(18)).inputs["photo"] for each in found]
    assert len(blocks) == 3
    assert torch.equal(blocks[0], blocks[1])
    assert torch.equal(blocks[0], blocks[2])
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "cache").iterdir()) == ["photo", "sound"]


def test_a_broken_cell_leaves_nothing_behind(table, tmp_path):
    (tmp_path / "25.png").write_bytes(b"broken")
    with pytest.raises(SchemaError, match=r"column 'photo', row 25, '.*25\.png': cannot be decoded"):
        made(table, Cache(tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_is_none(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.cache: .*file cannot be used"):
        made(table, Cache(tmp_path / "file"))


def test_runs_share_it_and_have_the_weights_of_those_without(table, tmp_path, decoded):
    runs = []
    for k, cache in enumerate((None, str(tmp_path / "cache"), str(tmp_path / "cache"))):
        decoded.clear()
        runs.append(
            pt.fit(
                table,
                [pt.Regression("y")],
                preprocess=SETTINGS,
                epochs=2,
                batch_size=8,
                cache=cache,
                folder=tmp_path / f"run{k}",
                quiet=True,
            )
        )
    assert decoded == []
    first, *others = (run.model().state_dict() for run in runs)
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
