"""A split as a Parquet file: a row for each row of the tables, written and read without a Python object a row."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polytask.data.parts import PARTS, Split
from polytask.errors import SchemaError

#: Rows that are written at once.
CHUNK = 2**20
_NAMES = {part: name for name, part in PARTS.items()}
_SCHEMA = pa.schema([("row", pa.int64()), ("part", pa.string()), ("table", pa.string())])


def split_bytes(splits: Mapping[str, Split]) -> bytes:
    """The parts of every table's rows as a Parquet file: columns row, part, table."""
    # In the order of their numbers from -1 on.
    names = pa.array([_NAMES[part] for part in sorted(_NAMES)])
    target = pa.BufferOutputStream()
    with pq.ParquetWriter(
        target, _SCHEMA, use_dictionary=["part", "table"], column_encoding={"row": "DELTA_BINARY_PACKED"}
    ) as writer:
        for table, split in splits.items():
            for start in range(0, len(split.parts), CHUNK):
                parts = split.parts[start : start + CHUNK]
                columns = [
                    pa.array(np.arange(start, start + len(parts), dtype=np.int64)),
                    pa.DictionaryArray.from_arrays(pa.array(parts - min(_NAMES)), names).cast(pa.string()),
                    pa.repeat(table, len(parts)),
                ]
                writer.write_table(pa.table(columns, schema=_SCHEMA))
    return bytes(target.getvalue().to_pybytes())


def read_splits(path: Path | bytes) -> dict[str, Split]:
    """What `split_bytes` wrote: table -> split, in the file's order.

    Raises:
        SchemaError: the file is no split.
    """
    found: dict[str, _Filling] = {}
    with pq.ParquetFile(io.BytesIO(path) if isinstance(path, bytes) else path) as file:
        columns = file.schema_arrow.names
        if not {"row", "part", "table"} <= set(columns):
            raise SchemaError(f"a saved split has the columns 'row', 'part' and 'table', got {columns}")
        for batch in file.iter_batches(CHUNK // 8, columns=["row", "part", "table"]):
            rows, parts = batch.column("row").to_numpy(zero_copy_only=False), _parts_of(batch.column("part"))
            names = pc.dictionary_encode(batch.column("table"))
            codes = names.indices.to_numpy(zero_copy_only=False)
            for k, name in enumerate(names.dictionary.to_pylist()):
                here = codes == k
                filling = found.setdefault(str(name), _Filling(file.metadata.num_rows))
                filling.take(rows[here], parts[here])
    return {name: filling.split() for name, filling in found.items()}


class _Filling:
    """The parts of one table's rows, as they are read; `most` is the number of rows it has at most."""

    def __init__(self, most: int) -> None:
        self.parts = np.zeros(most, dtype=np.int8)
        self.is_named = np.zeros(most, dtype=bool)
        self.count = 0

    def take(self, rows: np.ndarray, parts: np.ndarray) -> None:
        """Some rows and their parts."""
        self.count += len(rows)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self.parts)):
            raise SchemaError(f"a saved split names every row once, from 0 on; row {rows.max()} stands in this one")
        self.parts[rows], self.is_named[rows] = parts, True

    def split(self) -> Split:
        """All of them."""
        if not self.is_named[: self.count].all():
            raise SchemaError(f"a saved split names every row once, from 0 to {self.count - 1}; this one does not")
        return Split(self.parts[: self.count].copy())


def _parts_of(words: pa.Array) -> np.ndarray:
    encoded = pc.dictionary_encode(words)
    levels = encoded.dictionary.to_pylist()
    for level in levels:
        if level not in PARTS:
            raise SchemaError(f"a saved split names the part {level!r}; known: {', '.join(PARTS)}")
    known = np.array([PARTS[level] for level in levels], dtype=np.int8)
    return known[encoded.indices.to_numpy(zero_copy_only=False)]
