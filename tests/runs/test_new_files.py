"""New rows in files: they are read as the Run's own data were."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import polytask as pt
from polytask.cli import app
from polytask.data import Table
from polytask.errors import SchemaError

SMALL = {"epochs": 1, "quiet": True}


@pytest.fixture
def pictures(tmp_path):
    generator = np.random.default_rng(0)
    for k in range(24):
        path = tmp_path / "pics" / ("cat", "dog")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pics"


def test_a_folder_of_pictures_is_read_again(pictures, tmp_path):
    run = pt.fit(pictures, [pt.Classification("label")], folder=tmp_path / "run", **SMALL)
    found = run.predict(pictures)
    pd.testing.assert_frame_equal(found, run.predict(pt.read(pictures)))
    assert run.evaluate(str(pictures))["label"]["rows"] == 24
    done = CliRunner().invoke(app, ["predict", str(run.path), str(pictures), "--out", str(tmp_path / "p.csv")])
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "p.csv")["label"].tolist() == found["label"].tolist()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SchemaError, match="no picture either"):
        run.predict(tmp_path / "empty")


def test_the_format_of_the_run_is_that_of_new_files(tmp_path):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=40), "y": generator.normal(size=40)})
    frame.to_csv(tmp_path / "old.dat", index=False)
    frame.to_csv(tmp_path / "new.dat", index=False)
    frame.to_parquet(tmp_path / "new.parquet")
    settings = pt.read(tmp_path / "old.dat", format="csv")
    run = pt.fit(settings, [pt.Regression("y")], folder=tmp_path / "run", **SMALL)
    expected = run.predict(Table.of(frame))
    for name in ("new.dat", "new.parquet"):
        pd.testing.assert_frame_equal(pt.load(run.path).predict(tmp_path / name), expected, rtol=1e-5)


def test_the_columns_of_the_run_are_those_of_new_files(tmp_path):
    text = "\n\n".join("the DET\ncat NOUN\nsleeps VERB" for _ in range(20))
    (tmp_path / "old.conll").write_text(text)
    (tmp_path / "new.iob").write_text(text)
    table = pt.read(tmp_path / "old.conll", columns=["word", "tag"])
    run = pt.fit(table, [pt.Tagging("tag", tokens="word")], folder=tmp_path / "run", **SMALL)
    pd.testing.assert_frame_equal(run.predict(tmp_path / "new.iob"), run.predict(table))
