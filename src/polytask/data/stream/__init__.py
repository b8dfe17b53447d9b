"""Tables that are larger than memory: Parquet files, read row group by row group."""

from polytask.data.stream.encoding import PieceEncoder, encode_streamed
from polytask.data.stream.fitting_rows import FittingRows, draw_fitting_rows
from polytask.data.stream.places import is_url
from polytask.data.stream.rows import encoded_parts, open_rows
from polytask.data.stream.settings import StreamSettings
from polytask.data.stream.split_stream import split_stream, together_by
from polytask.data.stream.streamed_examples import StreamedExamples, StreamedWalk, rows_in_buffer
from polytask.data.stream.streamed_table import StreamedTable

__all__ = [
    "FittingRows",
    "PieceEncoder",
    "StreamSettings",
    "StreamedExamples",
    "StreamedTable",
    "StreamedWalk",
    "draw_fitting_rows",
    "encode_streamed",
    "encoded_parts",
    "is_url",
    "open_rows",
    "rows_in_buffer",
    "split_stream",
    "together_by",
]
