"""COCO and Pascal VOC."""

import json

import pytest

import polytask as pt
from polytask.errors import SchemaError


def coco(**changes):
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 8, "height": 6},
            {"id": 3, "file_name": "b.png", "width": 8, "height": 6},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 5,
                "bbox": [0, 0, 8.4, 6],
                "area": 48,
                "segmentation": [[0, 0, 8, 6]],
            },
        ],
        "categories": [{"id": 2, "name": "cat"}, {"id": 5, "name": "dog"}],
    } | changes


@pytest.fixture
def written(draw, tmp_path):
    def made(values, folder="images"):
        for name in ("a.png", "b.png"):
            draw(f"{folder}/{name}")
        path = tmp_path / "annotations" / "instances_val2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(values))
        return path

    return made


@pytest.mark.parametrize("folder", ["images", "val2017", "annotations"])
def test_coco(written, folder):
    table = pt.read(written(coco(), folder))
    (first, second) = table.frame.to_dict("records")
    assert first["boxes"] == [[1, 2, 4, 6], [0, 0, 8, 6]]  # the second is cut: it was 0.4 pixels too wide
    assert (first["labels"], first["area"], first["iscrowd"]) == (["cat", "dog"], [12, 48], [0, None])
    assert first["segmentation"] == [None, [[0, 0, 8, 6]]]
    assert (second["boxes"], second["labels"]) == ([], [])
    assert (table.source.parent / first["image"]).resolve().is_file()
    assert {name: table.kind(name) for name in ("image", "boxes", "width")} == {
        "image": "image",
        "boxes": "other",
        "width": "id",
    }


def annotation(**changes):
    return [{"id": 9, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]} | changes]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"annotations": annotation(bbox=[6, 0, 3, 4])},
            r"annotation 9, image 'a.png': the box .* reaches 1 pixels outside",
        ),
        ({"annotations": annotation(bbox=[1, 2, 0, 4])}, "has no area"),
        ({"annotations": annotation(bbox=[1, 2, 3])}, "bbox is .1, 2, 3.; .x, y, width, height. is wanted"),
        ({"annotations": annotation(image_id=8)}, "annotation 9 is of image 8, which the file does not have"),
        ({"annotations": annotation(category_id=8)}, "is of category 8"),
        ({"categories": None}, "a list 'categories' is wanted"),
        ({"images": [{"id": 7, "file_name": "a.png"}]}, r"images\[0\] has no 'width'"),
        ({"annotations": annotation() * 2}, "two of the annotations have the id 9"),
        ({"images": [{"id": 7, "file_name": "z.png", "width": 8, "height": 6}]}, "1 of 1 pictures are not there"),
    ],
)
def test_coco_that_cannot_be(written, changes, sentence):
    with pytest.raises(SchemaError, match=sentence):
        pt.read(written(coco(**changes)))


OBJECT = (
    "<object><name>{}</name><truncated>1</truncated><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


@pytest.fixture
def voc(draw, tmp_path):
    def made(name, *objects, size="<size><width>8</width><height>6</height></size>"):
        draw(f"JPEGImages/{name}.jpg")
        path = tmp_path / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        text = "".join(OBJECT.format(*one) for one in objects)
        path.write_text(f"<annotation><filename>{name}.jpg</filename>{size}{text}</annotation>")

    return made


def test_voc(voc, tmp_path):
    voc("a", ("cat", 1, 1, 8, 6), ("dog", 2, 3, 4, 5))
    voc("b", size="")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b 1\n")
    (lists / "trainval.txt").write_text("a\nb\n")
    first, second = pt.read(tmp_path).frame.to_dict("records")
    assert first["boxes"] == [[0, 0, 8, 6], [1, 2, 4, 5]]
    assert (first["labels"], first["truncated"], first["difficult"]) == (["cat", "dog"], [1, 1], [0, 0])
    assert (first["image"], first["split"], second["split"]) == ("JPEGImages/a.jpg", "train", "validation")
    assert (second["width"], second["height"], second["boxes"]) == (8, 6, [])


def test_voc_that_counts_from_zero_is_seen_and_said(voc, tmp_path):
    voc("a", ("cat", 0, 0, 8, 6))
    voc("b", ("cat", 1, 1, 4, 5))
    table = pt.read(tmp_path)
    assert table.frame["boxes"].tolist() == [[[0, 0, 8, 6]], [[1, 1, 4, 5]]]
    assert table.notes == ("boxes count from 0, not from 1 as in VOC: a.xml has one at 0",)


def test_pictures_in_no_list_are_counted(voc, tmp_path):
    voc("a")
    voc("b")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a")
    table = pt.read(tmp_path)
    assert table.num_rows == 1
    assert table.notes == ("1 of 2 pictures are in no list of ImageSets and left out",)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("a\nc")
    with pytest.raises(SchemaError, match="'a' is in the list of train too"):
        pt.read(tmp_path)


def test_voc_that_cannot_be(voc, tmp_path):
    voc("a", ("cat", 1, 1, 10, 6))
    with pytest.raises(SchemaError, match=r"a.xml: the box .* reaches 2 pixels outside its picture of 8 × 6"):
        pt.read(tmp_path)
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation>")
    with pytest.raises(SchemaError, match="broken XML"):
        pt.read(tmp_path)
    voc("a", ("", 1, 1, 8, 6))
    with pytest.raises(SchemaError, match="an object has no name"):
        pt.read(tmp_path)
    voc("a")
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(SchemaError, match=r"its picture 'a.jpg' is not in"):
        pt.read(tmp_path)
