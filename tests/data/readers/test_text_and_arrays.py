"""CoNLL files, `.npz`, lists of records, data sets of the library `datasets`."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import SchemaError

CONLLU = """# newpar
# sent_id = s1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tx\t_\t_\t_\t_\t_\t_\t_\t_

# sent_id = s2
1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""


def test_conllu(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(CONLLU)
    table = pt.read(path)
    assert table.columns[:4] == ("id", "form", "lemma", "upos")
    assert table.frame["form"].tolist() == [["Do", "n't", "go"], ["Go"]]
    assert table.frame["sent_id"].tolist() == ["s1", "s2"]
    assert table.mask("text").tolist() == [True, False]
    assert table.kind("upos") == "tokens"
    assert table.notes == ("a.conllu: skipped 1 ranges of words, 1 empty nodes",)


def test_plain_conll(tmp_path):
    path = tmp_path / "a.bio"
    path.write_text("-DOCSTART- O\n\nnew B\nyork I\r\n\n# O\n\n\n")
    table = pt.read(path, columns=["word", "tag"])
    assert table.frame["word"].tolist() == [["new", "york"], ["#"]]
    assert table.frame["tag"].tolist() == [["B", "I"], ["O"]]
    assert table.notes == ("a.bio: skipped 1 sentences of -DOCSTART- alone",)
    assert pt.read(path).columns == ("c0", "c1")


def test_a_line_of_another_number_of_fields(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("new B\nyork\n")
    with pytest.raises(SchemaError, match=r"line 2: 1 fields, but 2 are wanted \(c0, c1\): 'york'"):
        pt.read(path, format="conll")
    with pytest.raises(SchemaError, match="format= says it too"):
        pt.read(path)


def test_a_format_that_is_said_is_found_again(tmp_path):
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=generator.normal(size=(60, 2))[:, 0], y=generator.normal(size=60), n=np.arange(3))
    with pytest.raises(SchemaError, match=r"different numbers of rows \(x \[60\], y \[60\], n \[3\]\); name those"):
        pt.read(tmp_path / "a.npz")
    settings = {"columns": ["x", "y"], "epochs": 1, "batch_size": 16, "quiet": True}
    run = pt.fit(tmp_path / "a.npz", [pt.Regression("y")], folder=tmp_path / "run", **settings)
    assert pt.load(run.path).evaluate()["y"]["rows"] == 9


def test_arrays_of_more_axes_are_cells(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 4, 3)), v=np.ones((5, 2)), y=np.arange(5))
    table = pt.read(tmp_path / "a.npz")
    assert (table.kind("x"), table.kind("v"), table.kind("y")) == ("image", "vector", "number")
    assert table.values("x")[0].shape == (4, 3)
    with pytest.raises(SchemaError, match="no array 'z'"):
        pt.read(tmp_path / "a.npz", columns=["z"])
    np.savez(tmp_path / "b.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SchemaError, match=r"cannot be read as \.npz"):
        pt.read(tmp_path / "b.npz")


def test_a_list_of_records(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"x": 1, "y": "a"}, {"x": 2}]')
    table = pt.read(path)
    assert table.frame["x"].tolist() == [1, 2]
    assert table.mask("y").tolist() == [True, False]
    for text, sentence in [
        ("[1]", "a list of objects"),
        ("[]", "an empty list"),
        ('[{"x": 1,}]', "line 1: broken JSON"),
    ]:
        path.write_text(text)
        with pytest.raises(SchemaError, match=sentence):
            pt.read(path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"format": "cocoo"}, "unknown 'cocoo'; did you mean 'coco'"),
        ({"format": "voc"}, "the format voc wants a folder"),
        ({"columns": ["a"]}, "columns has no effect on the format csv"),
    ],
)
def test_formats_that_cannot_be(tmp_path, settings, sentence):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SchemaError, match=sentence):
        pt.read(tmp_path / "a.csv", **settings)


def test_datasets():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B"])),
            "picture": datasets.Image(),
        }
    )
    rows = {"text": ["a", "b", None], "label": [1, -1, 0], "tags": [[0, 1], [], [1]]}
    rows["picture"] = [{"bytes": b"\x89PNG\r\n\x1a\nno", "path": None}, {"bytes": None, "path": "here.png"}, None]
    data = datasets.Dataset.from_dict(rows, features=features)
    table = pt.Table.of(data)
    assert table.frame["label"].tolist() == ["yes", None, "no"]
    assert [list(tags) for tags in table.frame["tags"]] == [["O", "B"], [], ["B"]]
    assert table.frame["picture"].tolist() == [b"\x89PNG\r\n\x1a\nno", "here.png", None]  # nothing was decoded
    assert [table.kind(name) for name in ("label", "tags", "picture")] == ["category", "tokens", "image"]
    assert pt.Table.of(data.select([2, 0])).frame["label"].tolist() == ["no", "yes"]
    both = pt.Table.of(datasets.DatasetDict(train=data, test=data.select([0])))
    assert both.frame["split"].tolist() == ["train"] * 3 + ["test"]
    assert (both.kind("split"), both.split_column) == ("id", "split")
    assert pt.Table.of(datasets.DatasetDict(train=data)).split_column is None  # it divides nothing
    assert pt.Table.of(datasets.DatasetDict(train=data, spare=data)).split_column is None
    with pytest.raises(SchemaError, match="is streamed"):
        pt.Table.of(data.to_iterable_dataset())


def test_other_objects_are_still_refused():
    with pytest.raises(SchemaError, match="a table is a path"):
        pt.Table.of(pd.Series([1]))
