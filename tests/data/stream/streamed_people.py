"""A Parquet file of people, and all that is needed to walk over its rows."""

from typing import Any

import numpy as np
import pandas as pd

import polytask as pt
from polytask.data import (
    PieceEncoder,
    Preprocessor,
    SplitSettings,
    StreamedExamples,
    StreamedTable,
    Table,
    fit_task,
    split_stream,
)

TASKS = (pt.Regression("price"), pt.Classification("sold"))
INPUTS = ["number", "whole", "city", "is_new", "day"]


def make_people(rows: int, seed: int = 0) -> pd.DataFrame:
    """Columns of every kind of a table, with missing cells; `price` is the row's number, where it is known."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({"number": generator.normal(size=rows)})
    frame.loc[generator.random(rows) < 0.1, "number"] = np.nan
    frame["whole"] = pd.array(generator.integers(0, 9, rows), dtype="Int64")
    frame.loc[generator.random(rows) < 0.1, "whole"] = pd.NA
    frame["city"] = generator.choice(["Rome", "Oslo", None], rows)
    frame["is_new"] = generator.random(rows) < 0.5
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 700, rows), unit="D")
    frame["price"] = np.arange(rows, dtype=float)
    frame["sold"] = generator.choice(["no", "yes", None], rows)
    return frame


def make_examples(path: Any, buffer_rows: int = 40, tasks: Any = TASKS, **split: Any) -> StreamedExamples:
    """Training rows of a file, fitted on all of it."""
    table = StreamedTable(path)
    whole = Table(pd.concat([pd.read_parquet(p) for p in path], ignore_index=True)) if isinstance(path, list) else None
    whole = whole or pt.read(path)
    parts = split_stream(table, tasks, SplitSettings(**{"validation": 0.1, "test": 0.1, **split}))
    rows = parts.rows("train")
    fitted = {task.name: fit_task(whole, task, rows) for task in tasks}
    encoder = PieceEncoder(table, Preprocessor.fit(whole, INPUTS, rows), tasks, fitted)
    return StreamedExamples(encoder, parts, buffer_rows)


def price_of(batch: Any, examples: StreamedExamples) -> np.ndarray:
    """The rows' numbers in the file, which `price` has."""
    fitted = examples.encoder.fitted["price"]
    return np.rint(TASKS[0].decode(batch.targets["price"], fitted)["price"]).astype(int)
