"""Arrow tables as DataFrames, without losing a digit or a missing cell."""

from collections import Counter
from typing import Any

import pandas as pd
import pyarrow as pa

from polytask.errors import SchemaError


def frame_of_arrow(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a DataFrame; integers and booleans with missing cells keep every digit.

    Raises:
        SchemaError: a column of a type that pandas cannot hold.
    """
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise SchemaError(f"the column {twice[0]!r} stands {table.column_names.count(twice[0])} times; name each once")
    try:
        frame = table.to_pandas()
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise SchemaError(f"pandas cannot hold these columns: {str(error).splitlines()[0]}") from None
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    for field in table.schema:
        if field.name in frame.columns and field.type in _NULLABLE and table.column(field.name).null_count:
            frame[field.name] = _nullable(table.column(field.name))
    return frame


#: Arrow types that numpy holds only without missing cells, and the pandas type that holds them with.
_NULLABLE: dict[pa.DataType, Any] = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def _nullable(column: pa.ChunkedArray) -> pd.Series:
    return column.to_pandas(types_mapper=_NULLABLE.get)


def without_arrow_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of `ArrowDtype` as numpy, nullable or object ones: those know lists, decimals and dates."""
    found = [name for name in frame.columns if isinstance(frame[name].dtype, pd.ArrowDtype)]
    if not found:
        return frame
    plain = frame_of_arrow(pa.table({name: pa.chunked_array(pa.array(frame[name])) for name in found}))
    return frame.assign(**{name: plain[name] for name in found})
