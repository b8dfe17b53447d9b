"""Rows that come to be predicted or judged: in memory, or streamed where they are long."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polytask.data.batch import JudgedExamples
from polytask.data.decode import encode_new_rows
from polytask.data.preprocess import Preprocessor
from polytask.data.stream.encoding import PieceEncoder
from polytask.data.stream.pieces import PIECE_ROWS
from polytask.data.stream.places import PARQUET, is_url
from polytask.data.stream.streamed_table import StreamedTable
from polytask.data.table import Table
from polytask.data.targets import Targets


def open_rows(rows: Any) -> Table | StreamedTable:
    """Rows in any form that `Table.of` reads, whole; a long Parquet file, a list of them or a URL as a StreamedTable.

    Raises:
        SchemaError: see `Table.of` and `StreamedTable`.
    """
    if isinstance(rows, StreamedTable):
        return rows
    is_list = isinstance(rows, list | tuple) and len(rows) > 0 and all(isinstance(one, str | Path) for one in rows)
    if is_url(rows) or is_list:
        return StreamedTable(rows)
    if isinstance(rows, str | Path) and (Path(rows).is_dir() or (Path(rows).is_file() and _is_parquet(rows))):
        opened = StreamedTable(rows)
        # Short ones are read whole: then pictures may be named by paths that start at their folder.
        if opened.num_rows > PIECE_ROWS:
            return opened
    return Table.of(rows)


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


def _is_parquet(path: str | Path) -> bool:
    return str(path).lower().endswith(PARQUET)
