"""Vector, sequence and token columns as inputs."""

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.data import Preprocessor, PreprocessSettings, Table
from polytask.errors import SchemaError
from polytask.feature import NUMBERS, SequenceSpec


def column(cells, kind=None):
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
    return Table(frame, kinds={"x": kind} if kind else None)


def fitted(cells, kind=None, rows=None, **settings):
    table = column(cells, kind)
    rows = np.arange(len(cells)) if rows is None else np.array(rows)
    return Preprocessor.fit(table, ["x"], rows, PreprocessSettings(**settings)), table


def test_a_vector_is_standardised_by_training_rows():
    cells = [[1.0, 10.0], [3.0, 10.0], [100.0, 11.0]]
    preprocessor, table = fitted(cells, rows=[0, 1], numbers="standard")
    assert preprocessor.spec.vectors == {"x": 2}
    assert preprocessor.transform(table)["x"].tolist() == [[-1, 0], [1, 0], [98, 1]]


def test_zeros_and_ones_stay():
    preprocessor, table = fitted([[0, 1], [1, 1]])
    assert preprocessor.transform(table)["x"].tolist() == [[0, 1], [1, 1]]


def test_far_numbers_of_a_vector_are_clipped_smoothly():
    preprocessor, table = fitted([[0.0], [2.0], [1e9]], rows=[0, 1])
    assert preprocessor.transform(table)["x"][2].item() == pytest.approx(3.0)


def test_a_missing_vector_is_0_with_an_indicator():
    preprocessor, table = fitted([[1.0, 2.0], None, [3.0, 5.0]])
    inputs = preprocessor.transform(table)
    assert inputs["x"][1].tolist() == [0, 0]
    assert inputs[NUMBERS][:, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("cells", "kind", "sentence"),
    [
        ([[1.0, 2.0], [1.0]], "vector", r"row 1: the vector has shape \[1\], but \[2\] is wanted.*'sequence'"),
        ([[1.0, float("nan")], [1.0, 2.0]], "vector", "row 0: the cell is not of finite numbers alone"),
        ([[1.0], "one"], "sequence", "row 1: the cell is no list of numbers"),
        ([[1.0], [[1.0, 2.0]]], "sequence", "row 1: the series has 2 numbers at each place, but training had 1"),
        ([["a"], "b c"], "tokens", "row 1: a list of tokens is wanted, got 'b c'"),
    ],
)
def test_cells_that_cannot_be_are_named(cells, kind, sentence):
    with pytest.raises(SchemaError, match=sentence):
        fitted(cells, kind)


def test_series_keep_their_lengths_and_are_standardised_over_places():
    cells = [[0.0, 2.0, 4.0], [], None, [2.0]]
    preprocessor, table = fitted(cells)
    values, mask = preprocessor.transform(table)["x"].padded()
    assert preprocessor.spec.sequences == {"x": SequenceSpec(channels=1)}
    assert mask.sum(dim=1).tolist() == [3, 0, 0, 1]
    places = np.array([0.0, 2.0, 4.0, 2.0])
    expected = (places - places.mean()) / places.std()
    assert values[mask][:, 0].tolist() == pytest.approx(expected.tolist())


def test_tokens_seldom_seen_share_the_code_of_those_never_seen():
    preprocessor, table = fitted([["to", "be", "or", "to"], ["be"], None])
    assert preprocessor.prepared[0].vocabulary == ("be", "to")
    values = preprocessor.transform(table)["x"].padded()[0]
    assert values.tolist() == [[3, 2, 1, 3], [2, 0, 0, 0], [0, 0, 0, 0]]
    new = preprocessor.transform(column([["never", "to"]]))["x"]
    assert new.padded()[0].tolist() == [[1, 3]]


@pytest.mark.parametrize(
    "cells",
    [[[1.5, 2.0], None, [3.0, -1.0]], [[1.5], [], [3.0, -1.0]], [["a", "b"], ["a"], ["b"]]],
)
def test_what_was_learnt_survives_the_folder(cells, tmp_path):
    preprocessor, table = fitted(cells)
    preprocessor.save(tmp_path)
    loaded = Preprocessor.load(tmp_path)
    assert loaded == preprocessor
    before, after = (each.transform(table)["x"] for each in (preprocessor, loaded))
    pairs = [(before, after)] if isinstance(before, torch.Tensor) else [(before.values, after.values)]
    assert all(torch.equal(a, b) for a, b in pairs)
