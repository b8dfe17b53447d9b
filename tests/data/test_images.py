"""Pictures in cells: arrays, bytes and paths become one normalised block."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from polytask.data import Preprocessor, PreprocessSettings, Table, images
from polytask.data.media import media_cells
from polytask.data.pictures import ImageSettings, as_floats
from polytask.errors import MissingExtraError, SchemaError
from polytask.feature import NUMBERS

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)


def cells(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return pd.DataFrame({"x": column})


def encoded(pixels, kind="PNG"):
    image = pytest.importorskip("PIL.Image").fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def pictures(frame, rows=None, source=None):
    table = Table(frame, source=source)
    rows = np.arange(table.num_rows) if rows is None else rows
    preprocessor = Preprocessor.fit(table, ["x"], rows)
    return preprocessor, preprocessor.transform(table)


def test_arrays_are_normalised_by_channel():
    preprocessor, inputs = pictures(cells(list(PIXELS)))
    assert preprocessor.spec.images == {"x": (3, 5, 4)}
    expected = (PIXELS - PIXELS.mean(axis=(0, 1, 2))) / PIXELS.std(axis=(0, 1, 2))
    np.testing.assert_allclose(inputs["x"], expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert NUMBERS not in inputs


def test_bytes_paths_lists_and_arrays_are_the_same_picture(tmp_path):
    (tmp_path / "pictures").mkdir()
    names = [f"pictures/{k}.png" for k in range(6)]
    for name, pixels in zip(names, PIXELS, strict=True):
        (tmp_path / name).write_bytes(encoded(pixels))
    frames = {
        "array": cells(list(PIXELS)),
        "bytes": cells([encoded(pixels) for pixels in PIXELS]),
        "relative": cells(names),
        "absolute": cells([str(tmp_path / name) for name in names]),
        "lists": cells([pixels.tolist() for pixels in PIXELS]),
    }
    found = {name: pictures(frame, source=tmp_path)[1]["x"] for name, frame in frames.items()}
    assert all((block == found["array"]).all() for block in found.values())


def test_arrays_come_back_from_parquet(tmp_path):
    cells([pixels.tolist() for pixels in PIXELS]).to_parquet(tmp_path / "a.parquet")
    table = Table.of(tmp_path / "a.parquet")
    assert table.kind("x") == "image"
    inputs = Preprocessor.fit(table, ["x"], np.arange(6)).transform(table)
    assert (inputs["x"] == pictures(cells(list(PIXELS)))[1]["x"]).all()


def test_grey_pictures_have_one_channel():
    assert pictures(cells(list(PIXELS[..., 0])))[0].spec.images == {"x": (1, 5, 4)}
    assert pictures(cells([encoded(p[..., 0]) for p in PIXELS]))[0].spec.images == {"x": (1, 5, 4)}
    assert pictures(cells([encoded(p, "JPEG") for p in PIXELS]))[0].spec.images == {"x": (3, 5, 4)}


def test_a_missing_picture_is_the_mean_and_says_so():
    preprocessor, inputs = pictures(cells([*PIXELS[:3], None]))
    assert preprocessor.spec.numbers == ("x is missing",)
    assert inputs[NUMBERS][:, 0].tolist() == [0, 0, 0, 1]
    assert (inputs["x"][3] == 0).all()


def test_only_training_pictures_teach_and_it_survives_its_files(tmp_path):
    preprocessor, _ = pictures(cells(list(PIXELS)), rows=np.arange(3))
    assert preprocessor == pictures(cells([*PIXELS[:3], *(PIXELS[3:] // 2)]), rows=np.arange(3))[0]
    preprocessor.save(tmp_path)
    assert Preprocessor.load(tmp_path) == preprocessor


def test_a_column_without_any_training_picture_is_left_out():
    table = Table(cells([None, None, PIXELS[0]]).assign(n=[1, 2, 3]))
    preprocessor = Preprocessor.fit(table, ["x", "n"], np.arange(2))
    assert preprocessor.constant == ("x",)
    assert preprocessor.spec.images == {}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([np.zeros((2, 3, 7))], r"row 0: the array has shape \[2, 3, 7\]"),
        ([np.full((2, 3), np.nan)], "row 0: the picture holds NaN"),
        ([[[1, 2], [3]]], "row 0: the rows of the picture differ in length"),
        ([b"\x89PNG\r\n\x1a\nbroken"], "row 0: cannot be decoded"),
        (["none.png"], "row 0: there is no picture"),
    ],
)
def test_what_is_no_picture_is_named(values, words):
    pytest.importorskip("PIL")
    with pytest.raises(SchemaError, match=f"column 'x', {words}"):
        pictures(cells(values))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_that_ends_too_early_is_named(kind):
    whole = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8), kind)
    with pytest.raises(SchemaError, match=r"column 'x', row 1: cannot be decoded as a picture: .*truncated"):
        pictures(cells([whole, whole[: len(whole) // 2]]))


def test_a_broken_file_is_named_and_what_would_let_it_go_on(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(PIXELS[0])[:40])
    said = (
        rf"column 'x', row 0, '{path}': cannot be decoded as a picture: .*; with unreadable: skip \(data.unreadable\)"
    )
    with pytest.raises(SchemaError, match=said):
        pictures(cells([str(path)]))


def test_an_empty_file_among_others_is_named():
    with pytest.raises(SchemaError, match="column 'x', row 2: cannot be decoded as a picture: it is empty"):
        pictures(cells([encoded(PIXELS[0]), encoded(PIXELS[1]), b""]))


def test_later_pictures_are_brought_to_the_size_of_training():
    preprocessor, _ = pictures(cells(list(PIXELS)))
    assert preprocessor.prepared[0].notices == []
    smaller = preprocessor.transform(Table(cells([PIXELS[0][:3], PIXELS[0]])))["x"]
    assert smaller.shape == (2, 3, 5, 4)
    assert (smaller[1] == pictures(cells(list(PIXELS)))[1]["x"][0]).all()
    with pytest.raises(SchemaError, match="row 1: a float is no picture"):
        preprocessor.transform(Table(cells([PIXELS[0], 3.5])))


def test_mixed_sizes_are_resized_and_said():
    preprocessor, inputs = pictures(cells([PIXELS[0], PIXELS[1][:4], PIXELS[2]]))
    assert preprocessor.spec.images == {"x": (3, 224, 224)}
    assert inputs["x"].shape == (3, 3, 224, 224)
    (notice,) = preprocessor.prepared[0].notices
    assert "3 training pictures of sizes from 4×4 to 5×4 are resized to 224×224" in notice


@pytest.mark.parametrize("is_float", [False, True])
def test_resizing_is_pillows(is_float):
    image_module = pytest.importorskip("PIL.Image")
    large = np.random.default_rng(1).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    settings = PreprocessSettings(images=ImageSettings(size=(10, 12)))
    table = Table(cells([large / 255 if is_float else large, PIXELS[0]]))
    column = Preprocessor.fit(table, ["x"], np.arange(2), settings).prepared[0]
    found = as_floats(column.decoded(media_cells(table, "x", np.arange(2), "image")))[0]
    expected = np.asarray(image_module.fromarray(large).resize((12, 10), image_module.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected, atol=1 / 255)
    assert (column.resized, column.size) == (2, (3, 10, 12))


def test_modes_meet_in_grey_or_colour():
    image_module = pytest.importorskip("PIL.Image")
    colour = image_module.fromarray(PIXELS[0])
    files = {}
    for mode in ("L", "RGB", "RGBA", "P", "1", "CMYK", "I;16"):
        made = (
            image_module.fromarray(PIXELS[0][..., 0].astype(np.uint16) * 257)
            if mode == "I;16"
            else colour.convert(mode)
        )
        file = io.BytesIO()
        made.save(file, "TIFF")
        files[mode] = file.getvalue()
    table = Table(cells(list(files.values())), kinds={"x": "image"})
    for mode, channels in {"auto": 3, "rgb": 3, "grey": 1}.items():
        settings = PreprocessSettings(images=ImageSettings(mode=mode))
        column = Preprocessor.fit(table, ["x"], np.arange(7), settings).prepared[0]
        found = as_floats(column.decoded(media_cells(table, "x", np.arange(7), "image")))
        assert found.shape == (7, channels, 5, 4)
        luma = np.asarray(colour.convert("L")) / 255
        expected = luma[None] if channels == 1 else PIXELS[0].transpose(2, 0, 1) / 255
        for k in (1, 2):
            np.testing.assert_allclose(found[k], expected, atol=0.003)
        np.testing.assert_allclose(found[0], np.broadcast_to(luma, (channels, 5, 4)), atol=0.003)
        np.testing.assert_allclose(found[6], np.broadcast_to(PIXELS[0][..., 0] / 255, (channels, 5, 4)), atol=1e-6)
    greys = Table(cells([files["L"], files["1"], files["I;16"]]), kinds={"x": "image"})
    assert Preprocessor.fit(greys, ["x"], np.arange(3)).spec.images == {"x": (1, 5, 4)}


def test_a_turn_beside_the_pixels_is_not_applied():
    image_module = pytest.importorskip("PIL.Image")
    turned, file = image_module.Exif(), io.BytesIO()
    turned[0x0112] = 6
    image_module.fromarray(PIXELS[0]).save(file, "PNG", exif=turned)
    assert (pictures(cells([file.getvalue()]))[1]["x"] == pictures(cells([PIXELS[0]]))[1]["x"]).all()


def test_pieces_teach_what_all_at_once_does(monkeypatch):
    whole = pictures(cells(list(PIXELS)))[0].prepared[0]
    monkeypatch.setattr(images, "CHUNK", 2 * 60)
    pieces = pictures(cells(list(PIXELS)))[0].prepared[0]
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(pieces.deviation, whole.deviation, rtol=1e-12)
    constant = pictures(cells([np.full((5, 4), 0.1)] * 7))[0].prepared[0]
    assert constant.deviation == (1.0,)


@pytest.mark.parametrize("settings", [{"size": (0, 3)}, {"size": (3,)}, {"mode": "gray"}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match="wanted"):
        ImageSettings(**settings)


def test_files_without_pillow_name_the_extra(monkeypatch):
    data = encoded(PIXELS[0])
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"polytask\[vision\]"):
        pictures(cells([data]))
