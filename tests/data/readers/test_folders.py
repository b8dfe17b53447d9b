"""Folders of pictures by class, and of images with masks."""

import numpy as np
import pytest

import polytask as pt
from polytask.data import check_masks, read_mask
from polytask.errors import SchemaError


def test_a_folder_a_part_and_a_folder_a_class(draw, tmp_path):
    for name in ("train/cat/1.png", "train/cat/deep/2.jpg", "train/dog/1.png", "val/dog/3.png", "test/cat/4.png"):
        draw(name)
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    table = pt.read(tmp_path)
    assert table.columns == ("image", "label", "split")
    assert set(table.frame.itertuples(index=False, name=None)) == {
        ("train/cat/1.png", "cat", "train"),
        ("train/cat/deep/2.jpg", "cat", "train"),
        ("train/dog/1.png", "dog", "train"),
        ("val/dog/3.png", "dog", "validation"),
        ("test/cat/4.png", "cat", "test"),
    }
    assert [table.kind(name) for name in table.columns] == ["image", "category", "id"]


def test_the_parts_of_the_folders_divide_the_rows(draw, tmp_path, capsys):
    for part, count in {"train": 12, "val": 3, "test": 4}.items():
        for k in range(2 * count):
            pixels = np.full((28, 28), 30 + 150 * (k % 2) + k, dtype=np.uint8)
            draw(f"pictures/{part}/{('dark', 'light')[k % 2]}/{k}.png", pixels=pixels)
    tasks, settings = [pt.Classification("label")], {"epochs": 1, "batch_size": 8}
    table = pt.read(tmp_path / "pictures")
    run = pt.fit(tmp_path / "pictures", tasks, folder=tmp_path / "run", **settings)
    said = capsys.readouterr().err
    assert "rows are split by the column 'split', the parts in which the data come" in said
    assert "inputs: 1 image (image)" in said
    words = table.frame["split"].to_numpy()
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(run.split().rows(part), np.flatnonzero(words == part))
    drawn = pt.fit(table, tasks, folder=tmp_path / "drawn", split={"seed": 1}, kinds={"split": "category"}, **settings)
    said = capsys.readouterr().err
    assert "the parts in which" not in said
    assert "inputs: 1 image (image)" in said  # it tells the part, whatever its kind
    assert len(drawn.split().rows("train")) != 24 or set(words[drawn.split().rows("train")]) != {"train"}


def test_without_parts(draw, tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        draw(name)
    assert pt.read(tmp_path).columns == ("image", "label")


def test_a_network_learns_from_a_folder(draw, tmp_path):
    generator = np.random.default_rng(0)
    for k in range(60):
        label = ("dark", "light")[k % 2]
        pixels = generator.integers(0, 90, (28, 28)) + 150 * (k % 2)
        draw(f"pictures/{label}/{k}.png", pixels=pixels.astype(np.uint8))
    tasks = [pt.Classification("label")]
    run = pt.fit(tmp_path / "pictures", tasks, folder=tmp_path / "run", epochs=2, batch_size=8, quiet=True)
    assert pt.load(run.path).evaluate()["label"]["rows"] > 0


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["cat/1.png", "cat/notes.txt"], r"1 of 2 files are no pictures, the first is 'notes.txt'"),
        (["cat/1.png", "dog/"], "the folder of class 'dog' holds no picture"),
        (["cat/1.png", "2.png"], "1 files lie beside the folders of the classes, the first is '2.png'"),
        (["train/cat/1.png", "extra/cat/1.png"], "there is a folder 'extra' that is none"),
        (["val/cat/1.png", "dev/cat/1.png"], "two folders are the validation part"),
        (["a.txt"], "no .parquet file, and no picture either"),
    ],
)
def test_folders_that_cannot_be_read(draw, tmp_path, names, sentence):
    for name in names:
        if name.endswith(".png"):
            draw(name)
        elif name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
    with pytest.raises(SchemaError, match=sentence):
        pt.read(tmp_path)


@pytest.mark.parametrize("inside", [False, True])
def test_masks(draw, tmp_path, inside):
    def name(kind, part, file):
        return f"{kind}/{part}/{file}" if inside else f"{part}/{kind}/{file}"

    mask = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    for part in ("train", "val"):
        draw(name("images", part, "a.jpg"))
        draw(name("masks", part, "a.png"), pixels=mask)
    table = pt.read(tmp_path)
    assert table.frame.to_numpy().tolist() == [
        [name("images", "train", "a.jpg"), name("masks", "train", "a.png"), "train"],
        [name("images", "val", "a.jpg"), name("masks", "val", "a.png"), "validation"],
    ]
    found = read_mask(table, 1)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, mask)
    check_masks(table)
    draw(name("masks", "val", "a.png"), width=9)
    with pytest.raises(SchemaError, match=r"row 1: the image '.*a.jpg' is 8 × 6 and its mask .* is 9 × 6 \(1 masks"):
        check_masks(table)


def test_images_and_masks_go_together(draw, tmp_path):
    draw("images/a.png")
    draw("images/b.png")
    draw("masks/a.png")
    with pytest.raises(SchemaError, match=r"1 of 2 files have no mask, the first is 'images/b.png'"):
        pt.read(tmp_path)
    draw("masks/b.png")
    draw("masks/c.png")
    with pytest.raises(SchemaError, match=r"1 of 3 files have no image, the first is 'masks/c.png'"):
        pt.read(tmp_path)


def test_masks_of_colours_are_refused(draw, tmp_path):
    draw("images/a.png")
    draw("masks/a.png", pixels=np.zeros((6, 8, 3), dtype=np.uint8))
    with pytest.raises(SchemaError, match="one whole number a pixel"):
        read_mask(pt.read(tmp_path), 0)


def test_a_palette_is_read_as_its_indices(draw, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    draw("images/a.png")
    (tmp_path / "masks").mkdir()
    picture = Image.fromarray(np.full((6, 8), 2, dtype=np.uint8)).convert("P")
    picture.putdata([2] * 48)
    picture.putpalette([0, 0, 0, 9, 9, 9, 200, 100, 50])
    picture.save(tmp_path / "masks" / "a.png")
    assert np.unique(read_mask(pt.read(tmp_path), 0)).tolist() == [2]
