"""`polytask init` writes a run.yaml that `fit` takes as it stands, whatever the columns are called."""

import numpy as np
import pandas as pd
import pytest
import yaml

import polytask as pt
from polytask.cli.template import write_template
from polytask.errors import ConfigError

ODD = [
    "a b", "it's", 'na"me', "größe: m²", "#tag", "new\nline", "a=b:c", "{x}", "[1]", "- x", "null", "yes", "1", "1.5", "~",
    "?", "&a", "*a", "!t", "%d", "@x", "`x`", "a, b", "日本", "🏠", "mean", "all", "___", "x" * 80, "a\tb", "back\\slash",
    "line\u2028sep", " lead", "trail ", "a: {b", "é",
]  # fmt: skip


def frame_with(name):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=40)})
    frame[name] = (frame["x"] > 0).astype(int)
    return frame


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_fit_accepts_it_as_it_stands(polytask, here, name):
    frame_with(name).to_parquet("d.parquet")
    polytask("init", "d.parquet")
    polytask("fit", "run.yaml", "-o", "run", "-q", "--epochs", "1", "--set", "encoder={mlp: {widths: [4]}}")
    (task,) = pt.load("run").tasks
    assert task.columns == (name,)
    assert task.kind == "classification"


def test_many_odd_columns_at_once_and_an_odd_path(polytask, here):
    folder = here / "it's: a # folder, größer {1}"
    folder.mkdir()
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({name: generator.normal(size=40) for name in ODD})
    frame.to_parquet(folder / "d #1: x.parquet")
    polytask(
        "init", folder / "d #1: x.parquet", "-t", "target=größe: m²", "-t", "other=a=b:c:regression", "-o", "o u t.yaml"
    )
    polytask("fit", "o u t.yaml", "-o", "run", "-q", "--epochs", "1", "--set", "encoder={mlp: {widths: [4]}}")
    run = pt.load("run")
    assert [(t.name, t.columns[0], t.kind) for t in run.tasks] == [
        ("target", "größe: m²", "regression"),
        ("other", "a=b:c", "regression"),
    ]
    assert {column.name for column in run.schema["all"].columns} == set(ODD)


def test_it_says_what_is_there(polytask, here):
    shown = polytask("init", "houses.csv", "-t", "price", "-t", "sold=sold_in_30_days")
    assert "wrote run.yaml" in shown.stdout
    text = (here / "run.yaml").read_text()
    assert text.startswith("# polytask fit run.yaml\n")
    for words in ("80 rows", "rooms: number", "area: category", "pcgrad", "alternating", "independent", "resnet"):
        assert words in text
    values = yaml.safe_load(text)
    assert values["data"]["path"] == "houses.csv"
    assert values["tasks"] == {
        "price": {"kind": "regression"},
        "sold": {"kind": "classification", "column": "sold_in_30_days"},
    }


def test_the_guess_is_a_column_that_varies(tmp_path):
    frame = frame_with("label").assign(note=[f"id-{k}" for k in range(40)], empty=np.nan, constant=1)
    frame.to_parquet(tmp_path / "d.parquet")
    write_template(tmp_path / "d.parquet", [], tmp_path / "run.yaml", force=False)
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["tasks"] == {"note": {"kind": "classification"}}
    frame.drop(columns="note").to_parquet(tmp_path / "d.parquet")
    write_template(tmp_path / "d.parquet", [], tmp_path / "run.yaml", force=True)
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["tasks"] == {"label": {"kind": "classification"}}


def test_no_column_could_be_a_target(tmp_path):
    pd.DataFrame({"when": pd.date_range("2024-01-01", periods=5)}).to_parquet(tmp_path / "d.parquet")
    with pytest.raises(ConfigError, match="no column could be a target"):
        write_template(tmp_path / "d.parquet", [], tmp_path / "run.yaml", force=False)
    assert not (tmp_path / "run.yaml").exists()


def test_a_file_that_exists_stays(polytask, here):
    (here / "run.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"run\.yaml exists; choose another --out, or --force"):
        polytask("init", "houses.csv")
    assert (here / "run.yaml").read_text() == "mine"
    polytask("init", "houses.csv", "--force", "-t", "price")
    polytask("init", "houses.csv", "-t", "price", "-o", "sub/run.yaml")
    assert yaml.safe_load((here / "sub/run.yaml").read_text())["data"]["path"] == str(here / "houses.csv")
