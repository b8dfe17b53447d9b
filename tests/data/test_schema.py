"""Kinds of columns: what is inferred from types and cells."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from polytask.data import KINDS, Column, Schema, Table
from polytask.data.schema import infer_kind
from polytask.errors import SchemaError

PNG = b"\x89PNG\r\n\x1a\nrest"


def objects(*cells):
    return pd.Series(pd.array([*cells], dtype=object)) if cells else pd.Series([], dtype=object)


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pd.Series([1, 2]), "number"),
        (pd.Series([1.5, None]), "number"),
        (pd.array([1, None], dtype="Int64"), "number"),
        (pd.Series([None, None], dtype=object), "number"),
        (objects(decimal.Decimal("1.5"), None), "number"),
        (pd.to_timedelta(pd.Series([1, 2]), unit="D"), "number"),
        (pd.Series([True, False]), "boolean"),
        (pd.array([True, None], dtype="boolean"), "boolean"),
        (objects(True, None), "boolean"),
        (pd.Series(["a", "b", None]), "category"),
        (pd.Series([3, 1], dtype="category"), "category"),
        (objects("a", 1), "category"),
        (pd.Series(["1.5", "2"]), "category"),
        (pd.to_datetime(pd.Series(["2024-01-01"])), "date"),
        (pd.Series(["2024-01-01", "2024-02-01T10:00", None]), "date"),
        (pd.Series(["2024-01-01 10:00:00.5+02:00"]), "date"),
        (pd.Series(["2024-13-01", "2024-01-01"]), "category"),
        (objects(datetime.date(2024, 1, 1), None), "date"),
        (pd.Series(["a/1.PNG", "b.jpeg"]), "image"),
        (objects(PNG, None, b"\xff\xd8\xff\xe0"), "image"),
        (objects(b"plain"), "other"),
        (objects(np.zeros((2, 3)), None), "image"),
        (objects([[1, 2], [3, 4]]), "image"),
        (objects([1, 2], None), "vector"),
        (objects(np.zeros(3)), "vector"),
        (objects({"a": 1}), "other"),
        (pd.Series([1 + 2j]), "other"),
        (pd.Series([f"key{k}" for k in range(60)]), "id"),
        (pd.Series([f"key{k}" for k in range(30)]), "category"),
        (pd.Series([f"this is sentence number {k} of many" for k in range(60)]), "text"),
    ],
)
def test_the_kind_follows_from_type_and_cells(series, kind):
    assert kind in KINDS
    assert infer_kind(pd.Series(series)) == kind


def test_arrow_types_have_the_kind_of_their_values():
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype=pd.ArrowDtype(pa.int64())),
            "d": pd.array([datetime.date(2024, 1, 1), None], dtype=pd.ArrowDtype(pa.date32())),
            "x": pd.array([decimal.Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
            "s": pd.array(["a", None], dtype=pd.ArrowDtype(pa.string())),
            "b": pd.array([True, None], dtype=pd.ArrowDtype(pa.bool_())),
            "v": pd.array([[1, 2], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    )
    kinds = {column.name: column.kind for column in Table(frame).schema.columns}
    assert kinds == {"n": "number", "d": "date", "x": "number", "s": "category", "b": "boolean", "v": "vector"}


def test_a_schema_survives_json():
    schema = Table(pd.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], [2]]})).schema
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert schema.columns[0] == Column("a", "number", "float64", 1, 1, "1.0")
    assert schema.columns[2].unique is None


@pytest.mark.parametrize("values", [{}, {"columns": [{"name": "a"}], "num_rows": 1}, {"columns": 3, "num_rows": 1}])
def test_what_is_no_schema_is_refused(values):
    with pytest.raises(SchemaError, match="no schema"):
        Schema.from_json(values)
