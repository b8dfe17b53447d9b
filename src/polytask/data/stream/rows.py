"""Rows that come to be predicted or judged: in memory, or streamed where they are long."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polytask.data.batch import JudgedExamples
from polytask.data.decode import encode_new_rows
from polytask.data.preprocess import Preprocessor
from polytask.data.read import format_said, read_like
from polytask.data.stream.encoding import PieceEncoder
from polytask.data.stream.pieces import PIECE_ROWS
from polytask.data.stream.places import is_url
from polytask.data.stream.streamed_table import StreamedTable
from polytask.data.table import Table
from polytask.data.targets import Targets


def open_rows(rows: Any, origin: Mapping[str, Any] | None = None) -> Table | StreamedTable:
    """Rows in any form that `Table.of` reads, whole; a long Parquet file, a list of them or a URL as a StreamedTable.

    Args:
        rows: a table, or where it is.
        origin: of the table that the model was trained on: a file is read in its format (see `read_like`).

    Raises:
        SchemaError: see `read` and `StreamedTable`.
    """
    if isinstance(rows, StreamedTable):
        return rows
    is_list = isinstance(rows, list | tuple) and len(rows) > 0 and all(isinstance(one, str | Path) for one in rows)
    if is_url(rows) or is_list:
        return StreamedTable(rows)
    if not isinstance(rows, str | Path):
        return Table.of(rows)
    if Path(rows).exists() and format_said(rows) == "parquet":
        opened = StreamedTable(rows)
        # Short ones are read whole: then pictures may be named by paths that start at their folder.
        if opened.num_rows > PIECE_ROWS:
            return opened
    return read_like(rows, origin)


def encoded_parts(
    table: Table | StreamedTable,
    preprocessor: Preprocessor,
    device: torch.device | str = "cpu",
    *,
    absent: Collection[str] = (),
) -> Iterator[JudgedExamples]:
    """The inputs of all rows, in order: as one, or piece by piece.

    Args:
        table: the rows.
        preprocessor: fitted.
        device: where they are wanted.
        absent: see `Preprocessor.transform`.

    Raises:
        SchemaError: a column is missing, or a cell cannot be read.
    """
    if isinstance(table, Table):
        every, none = np.arange(table.num_rows), Targets({}, {}, {})
        yield encode_new_rows(preprocessor, table, every, none, device=device, absent=absent)
        return
    encoder = PieceEncoder(table, preprocessor, (), {}, absent)
    reader = encoder.reader()
    for piece in table.pieces():
        if piece.rows:
            yield encoder.encode(reader, piece, np.arange(piece.rows)).table(device)
    reader.close()
