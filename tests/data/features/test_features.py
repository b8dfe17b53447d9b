"""Every featurizer: beside another's numbers, and what all of them promise."""

import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.data import FEATURES, Preprocessor, PreprocessSettings, Table
from polytask.data.features import ColourHistogram, Embedding, FrameStatistics, Hog, OpticalFlow, Statistics
from polytask.errors import MissingExtraError, SchemaError
from polytask.ragged import select_rows

DRAW = np.random.default_rng(0)
PICTURES = [DRAW.integers(0, 256, (32, 24, 3)).astype(np.uint8) for _ in range(6)]
WAVES = [DRAW.normal(size=n) for n in (900, 1500, 400, 800, 2000, 700)]
SERIES = [DRAW.normal(size=(n, 2)) for n in (3, 1, 5, 0, 4, 2)]
TEXTS = ["a good film", "a bad film", "good, good", "unheard", "bad", "a film"]


def block(size=10):
    frame = np.zeros((40, 40), dtype=np.float32)
    frame[10 : 10 + size, 10 : 10 + size] = DRAW.random((size, size))
    return frame


def moving(down, right, frames=4):
    first = block()
    return np.stack([np.roll(first, (down * k, right * k), (0, 1)) for k in range(frames)])[..., None]


VIDEOS = [moving(0, 2), moving(2, 0), moving(0, -2), moving(-2, 0), moving(0, 0), moving(1, 1)]


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "vectors.txt").write_text("good 1 0\nbad 0 1\nfilm 1 1\n")
    return {
        "tfidf": ("text", TEXTS, {"min_count": 1}),
        "embedding": ("text", TEXTS, {"path": str(tmp_path / "vectors.txt")}),
        "statistics": ("sequence", SERIES, {}),
        "hog": ("image", PICTURES, {"size": [32, 32]}),
        "colour_histogram": ("image", PICTURES, {}),
        "mfcc": ("audio", WAVES, {"rate": 8000}),
        "log_mel": ("audio", WAVES, {"rate": 8000}),
        "frame_statistics": ("video", VIDEOS, {}),
        "optical_flow": ("video", VIDEOS, {"side": 32}),
    }


def column(cells, kind):
    frame = pd.DataFrame({"x": pd.Series([*cells, None], dtype=object), "n": range(len(cells) + 1)})
    return Table(frame, kinds={"x": kind})


def dense(block):
    return block.matrix.toarray() if hasattr(block, "matrix") else block.values if hasattr(block, "lengths") else block


@pytest.mark.parametrize("name", FEATURES)
def test_a_row_has_the_same_features_alone_from_the_folder_and_beside_others(name, cases, tmp_path):
    kind, cells, settings = cases[name]
    table = column(cells, kind)
    fitted = Preprocessor.fit(table, ["x"], np.arange(7), PreprocessSettings(features={"x": {name: settings}}))
    fitted.save(tmp_path)
    loaded = Preprocessor.load(tmp_path)
    together = fitted.transform(table)["x"]
    assert fitted.spec.numbers == ("x is missing",)
    assert (np.asarray(dense(loaded.transform(table)["x"])) == np.asarray(dense(together))).all()
    for row in range(6):
        alone = np.asarray(dense(fitted.transform(table, np.array([row]))["x"]))
        assert (alone == np.asarray(dense(select_rows(together, torch.tensor([row]))))).all()
    values = np.asarray(dense(together), dtype=np.float64)
    assert np.isfinite(values).all()
    if name == "tfidf":
        return
    # Standardised by the training rows; the missing row is 0, the mean.
    axes = (0, 2, 3) if values.ndim == 4 else (0,)
    np.testing.assert_allclose(values.mean(axis=axes), 0, atol=1e-5)


def test_hog_is_scikit_images():
    feature = pytest.importorskip("skimage.feature")
    expected = feature.hog(PICTURES[0] / 255, 9, (8, 8), (2, 2), block_norm="L2-Hys", channel_axis=-1)
    np.testing.assert_allclose(Hog().transform(PICTURES[:1], {"size": [32, 24]})[0], expected, atol=1e-6)
    with pytest.raises(SchemaError, match="have no block"):
        Preprocessor.fit(
            column([np.zeros((4, 4))], "image"), ["x"], np.arange(1), PreprocessSettings(features={"x": "hog"})
        )


def test_colours_are_numpys_histogram():
    edges = [np.linspace(0, 1, 5)] * 3
    counts, _ = np.histogramdd(PICTURES[0].reshape(-1, 3) / 255, edges)
    np.testing.assert_allclose(ColourHistogram().transform(PICTURES[:1], {})[0], counts.ravel() / (32 * 24), atol=1e-7)
    assert ColourHistogram().transform([PICTURES[0][..., :1]], {})[0].sum() == pytest.approx(1)


def test_flow_goes_where_things_move():
    found = OpticalFlow(bins=4).transform(VIDEOS[:5], {})[:, :4]
    assert found[:4].argmax(axis=1).tolist() == [0, 1, 2, 3]  # right, down, left, up
    assert (found[4] == 0).all()
    speed = OpticalFlow(bins=4).transform([moving(0, 1), moving(0, 2)], {})[:, 4]
    assert speed[1] > 1.5 * speed[0]
    assert (OpticalFlow().transform([moving(0, 1, frames=1)], {}) == 0).all()


def test_frames_are_counted_as_written():
    video = DRAW.random((3, 4, 4, 3)).astype(np.float32)
    means = video.mean(axis=(1, 2))
    changes = np.array([0, np.abs(video[1] - video[0]).mean(), np.abs(video[2] - video[1]).mean()])
    found = FrameStatistics().transform([video], {})[0]
    np.testing.assert_allclose(found[:3], means.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[[6, 13, 20, 27]], [changes.mean(), changes.std(), 0, changes.max()], atol=1e-6)


def test_slopes_are_numpys():
    found = Statistics().transform(SERIES, {"channels": 2})
    for series, row in zip(SERIES, found, strict=True):
        slope = np.polyfit(np.arange(len(series)), series, 1)[0] if len(series) > 1 else np.zeros(2)
        np.testing.assert_allclose(row[8:], [*slope, len(series)], atol=1e-6)
    with pytest.raises(SchemaError, match="some series have 1 numbers at each place, others 2"):
        Statistics().fit([SERIES[0], np.zeros(3)], "column 'x'")


def test_word_vectors_are_averaged(tmp_path):
    path = tmp_path / "v.vec"
    path.write_text("4 2\ngood 1 0\nbad 0 1\nnew york 5 5\ngood 9 9\n")
    embedding = Embedding(path=str(path))
    learnt = embedding.fit(TEXTS, "column 'x'")
    assert embedding.transform(["Good, BAD!", "none", "good good bad"], learnt).tolist() == [
        [0.5, 0.5],
        [0, 0],
        [pytest.approx(2 / 3), pytest.approx(1 / 3)],
    ]
    with pytest.raises(SchemaError, match="no word of its training texts is in"):
        embedding.fit(["nothing"], "column 'x'")
    path.write_text("good 1 0\nbad 1\n")
    with pytest.raises(SchemaError, match="is not what this was fitted with"):
        embedding.transform(["good"], learnt)
    with pytest.raises(SchemaError, match=r"v\.vec', line 2: a word and 2 numbers are wanted"):
        embedding.fit(["good"], "column 'x'")
    path.unlink()
    with pytest.raises(SchemaError, match="where there is nothing any more"):
        embedding.transform(["good"], learnt)
    with pytest.raises(ValueError, match="path is wanted"):
        Embedding()


def test_a_model_without_transformers_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    (tmp_path / "config.json").write_text("{}")
    embedding = Embedding(path=str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"polytask\[text\]"):
        embedding.transform(["a"], embedding.fit(["a"], "column 'x'"))


def test_a_models_states_are_averaged_over_tokens(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]))
    tokenizer = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=7, **sizes)).eval()
    for part in (tokenizer, model):
        part.save_pretrained(tmp_path / "model")
    embedding = Embedding(path=str(tmp_path / "model"))
    found = embedding.transform(["good", "bad good good"], embedding.fit(["good"], "column 'x'"))
    with torch.inference_mode():
        expected = model(**tokenizer("good", return_tensors="pt")).last_hidden_state.mean(dim=1)[0]
    np.testing.assert_allclose(found[0], expected.numpy(), atol=1e-5)


def test_a_run_reads_sounds_by_default_and_cites_what_it_used(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    cells = []
    for k in range(24):
        file = io.BytesIO()
        soundfile.write(
            file, np.sin(2 * np.pi * (300 + 600 * (k % 2)) * np.arange(1600) / 8000) / 2, 8000, format="WAV"
        )
        cells.append(file.getvalue())
    frame = pd.DataFrame({"sound": cells, "high": np.arange(24) % 2, "length": 1.0 + np.arange(24)})
    tasks = [pt.Classification("high"), pt.Regression("length")]
    run = pt.fit(frame, tasks, epochs=2, folder=tmp_path / "run", quiet=True, batch_size=8)
    assert "davis1980" in run.cite()
    columns = json.loads((tmp_path / "run" / "preprocessing" / "preprocessing.json").read_text())["columns"]
    assert columns[0]["featurizer"] == "mfcc"
    assert len(run.predict(frame[:3].drop(columns=["high", "length"]))) == 3
