"""Cells that cannot be read: an error, or counted and named as missing where that is asked."""

import io
import json

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.data import Preprocessor, Table, skip_unreadable
from polytask.errors import SchemaError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 13, 12, 3)).astype(np.uint8)


def frame(broken=(3, 20, 21, 39)):
    image_module = pytest.importorskip("PIL.Image")
    cells = []
    for k, pixels in enumerate(PIXELS):
        file = io.BytesIO()
        image_module.fromarray(pixels).save(file, "PNG")
        cells.append(file.getvalue()[:60] if k in broken else file.getvalue())
    return pd.DataFrame({"x": pd.Series(cells, dtype=object), "n": range(40), "y": PIXELS.mean(axis=(1, 2, 3))})


def test_they_are_missing_and_the_fingerprint_stays():
    table = Table(frame())
    found, (unreadable,) = skip_unreadable(table, {"x": "image", "n": "number"})
    assert unreadable.rows == (3, 20, 21, 39)
    assert unreadable.sentence.startswith("column 'x': 4 cells cannot be read and count as missing (row 3: cannot")
    assert unreadable.sentence.endswith("; … 1 more)")
    assert np.flatnonzero(~found.mask("x")).tolist() == [3, 20, 21, 39]
    assert table.mask("x").all()
    assert found.fingerprint() == table.fingerprint()
    assert found.take(np.array([3, 4, 21])).mask("x").tolist() == [False, True, False]
    assert skip_unreadable(found, {"x": "image"})[1] == []


def test_it_is_an_error_unless_asked(tmp_path):
    with pytest.raises(SchemaError, match=r"column 'x', row 3: cannot be decoded.*unreadable: skip"):
        pt.fit(frame(), [pt.Regression("y")], epochs=1, folder=tmp_path / "run", quiet=True)


def test_a_run_counts_and_names_them(tmp_path, capsys):
    run = pt.fit(frame(), [pt.Regression("y")], epochs=1, folder=tmp_path / "run", unreadable="skip", batch_size=8)
    assert "column 'x': 4 cells cannot be read and count as missing" in capsys.readouterr().err
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["tables"]["all"]["unreadable"]["x"]
    assert kept["rows"] == [3, 20, 21, 39]
    assert len(kept["first"]) == 3
    assert Preprocessor.load(tmp_path / "run" / "preprocessing").skips_unreadable
    run.evaluate()
    with pytest.warns(UserWarning, match="column 'x': 1 cell cannot be read and counts as missing") as warned:
        assert len(run.predict(frame()[:5])) == 5
    assert warned[0].filename == __file__  # where it was asked for, not inside
    assert run.summary().splitlines()[1].startswith("trained 1 epoch in")
    (reads,) = (line for line in run.summary().splitlines() if line.startswith("reads "))
    assert reads == "reads 2 numbers, 1 picture"  # a column and where the picture is missing; no zeros


def test_only_two_words_are_known():
    with pytest.raises(ValueError, match="'error' or 'skip'"):
        pt.fit(frame(()), [pt.Regression("y")], unreadable="ignore", quiet=True)


def test_each_of_many_tables_says_what_cannot_be_read(tmp_path, capsys):
    pictures = frame()
    many = pd.concat([pictures.assign(box=f"b{k}") for k in range(13)], ignore_index=True)
    settings = {"epochs": 1, "batch_size": 8, "unreadable": "skip", "by": "box", "folder": tmp_path / "run"}
    pt.fit(many, [pt.Regression("y")], **settings)
    said = capsys.readouterr().err
    assert "13 tables" in said
    assert said.count("cells cannot be read and count as missing") == 13
    assert "0x" not in said
