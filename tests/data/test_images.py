"""Pictures in cells: arrays, bytes and paths become one normalised block."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from polytask.data import Preprocessor, Table
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
        ([PIXELS[0], PIXELS[1][:4]], "row 1: the picture is 4×4 with 3 channels, but row 0 has 5×4 with 3 channels"),
        ([PIXELS[0], PIXELS[1][..., :1]], "row 1: the picture is 5×4 with 1 channel, but"),
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


def test_later_pictures_have_the_size_of_training():
    preprocessor, _ = pictures(cells(list(PIXELS)))
    with pytest.raises(SchemaError, match="row 0: the picture is 3×4 with 3 channels, but training has 5×4"):
        preprocessor.transform(Table(cells([PIXELS[0][:3]])))
    with pytest.raises(SchemaError, match="row 1: a float is no picture"):
        preprocessor.transform(Table(cells([PIXELS[0], 3.5])))


def test_files_without_pillow_name_the_extra(monkeypatch):
    data = encoded(PIXELS[0])
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"polytask\[vision\]"):
        pictures(cells([data]))
