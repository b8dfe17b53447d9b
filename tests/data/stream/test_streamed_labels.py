"""Labels by every convention, and every kind of task: streamed rows have those of the table in memory."""

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.data import (
    PieceEncoder,
    Preprocessor,
    SplitSettings,
    StreamedTable,
    draw_fitting_rows,
    encode_streamed,
    encode_targets,
    fit_task,
    make_split,
    read,
    split_stream,
)
from polytask.errors import SchemaError
from polytask.ragged import as_padded

ROWS = 90


@pytest.fixture
def path(tmp_path):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.normal(size=ROWS), "part": ["train", "valid", "train"] * (ROWS // 3)})
    frame["score"] = np.where(np.arange(ROWS) % 5 == 0, -1, generator.integers(0, 9, ROWS))
    frame["known"] = np.arange(ROWS) % 4 != 0
    frame["clicked"] = generator.choice(["yes", "no"], ROWS)
    frame["bought"] = generator.choice(["yes", "no"], ROWS)
    frame["weight"] = generator.random(ROWS)
    frame[["red", "blue"]] = np.eye(2)[generator.integers(0, 2, ROWS)]
    frame["east"], frame["north"] = generator.normal(size=(2, ROWS))
    frame.loc[::7, "east"] = np.nan
    frame["place"] = [list(row) for row in generator.normal(size=(ROWS, 3))]
    lengths = generator.integers(1, 6, ROWS)
    frame["words"] = [list(generator.choice(["a", "b", "c"], n)) for n in lengths]
    frame["tags"] = [list(generator.choice(["O", "B-x", "I-x"], n)) for n in lengths]
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=16, index=False)
    return tmp_path / "rows.parquet"


TASKS = [
    pt.Regression("score", missing=-1, mask="known", weight="weight"),
    pt.Classification("bought", where={"clicked": "yes"}),
    pt.Classification("colour", columns=["red", "blue"]),
    pt.VectorRegression("both", columns=["east", "north"]),
    pt.VectorRegression("place"),
    pt.Tagging("tags", tokens="words"),
    pt.Multilabel("words"),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.kind} {task.name}")
def test_labels_are_those_in_memory(path, task):
    table, whole = StreamedTable(path), read(path)
    settings = SplitSettings(column="part")
    split = split_stream(table, [task], settings)
    assert np.array_equal(split.parts, make_split(whole, [task], settings).parts)
    rows = split.rows("train")
    drawn = draw_fitting_rows(table, [task], split, ["x"], 1000, 0)
    fitted = {task.name: fit_task(whole, task, rows)}
    assert fit_task(drawn.table, task, drawn.task_rows[task.name]) == fitted[task.name]
    encoder = PieceEncoder(table, Preprocessor.fit(whole, ["x"], rows), [task], fitted)
    found, expected = encode_streamed(encoder, rows), encode_targets(whole, [task], fitted, rows)
    for kind, cells in {"targets": "values", "present": "present", "weight": "weight"}.items():
        own, other = (as_padded(getattr(of, name)[task.name]) for of, name in ((found, kind), (expected, cells)))
        torch.testing.assert_close(own, other, rtol=0, atol=0, equal_nan=True)


def test_a_tag_outside_the_sample_is_not_lost(path):
    frame = pd.read_parquet(path)
    frame.at[37, "tags"] = ["rare", *frame["tags"][37][1:]]
    frame.loc[37, "part"] = "train"
    many = pd.concat([frame, *[frame.drop(index=37)] * 40], ignore_index=True)
    many.to_parquet(path, row_group_size=500, index=False)
    table, task = StreamedTable(path), pt.Tagging("tags", tokens="words")
    split = split_stream(table, [task], SplitSettings(column="part"))
    drawn = draw_fitting_rows(table, [task], split, ["x"], 50, 0)
    assert "rare" in fit_task(drawn.table, task, drawn.task_rows["tags"])["classes"]


def test_tags_that_do_not_fit_their_tokens_are_named(path):
    frame = pd.read_parquet(path)
    frame.at[40, "tags"] = ["O"] * 9
    frame.to_parquet(path, row_group_size=16, index=False)
    with pytest.raises(SchemaError, match=r"rows.parquet, row group 2 \(rows are counted in it\): .*row 8: 9 tags"):
        split_stream(StreamedTable(path), [pt.Tagging("tags", tokens="words")], SplitSettings())


def test_columns_that_say_labels_have_to_be_there(path):
    for task, column in ((pt.Regression("score", mask="nown"), "nown"), (pt.Regression("score", where={"y": 1}), "y")):
        with pytest.raises(SchemaError, match=f"task 'score': there is no column '{column}'"):
            split_stream(StreamedTable(path), [task], SplitSettings())
