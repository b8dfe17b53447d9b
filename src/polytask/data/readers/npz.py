"""NumPy's `.npz`: each array a column, its first axis the rows."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polytask.errors import SchemaError, nearest


def read_npz(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Arrays of one length as columns; of more than one axis, each cell is an array.

    Args:
        path: of the file; nothing in it is unpickled.
        columns: the arrays to read; all where not given.

    Raises:
        SchemaError: arrays of different lengths, of objects, or a broken file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in columns:
                if name not in file.files:
                    raise SchemaError(f"{path}: there is no array {name!r}; {nearest(name, file.files)}")
            arrays = {name: file[name] for name in columns or file.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, (SchemaError, PermissionError)):
            raise
        raise SchemaError(f"{path}: cannot be read as .npz: {str(error).splitlines()[0]}") from None
    if not arrays:
        raise SchemaError(f"{path}: the file holds no array")
    lengths = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        shown = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise SchemaError(
            f"{path}: the arrays have different numbers of rows ({shown}); name those that go together: "
            f"columns=[{next(iter(arrays))!r}, …]"
        )
    return pd.DataFrame({name: _cells(array) for name, array in arrays.items()})


def _cells(array: np.ndarray) -> Any:
    if array.ndim == 1:
        return array
    cells = np.empty(len(array), dtype=object)
    for k, cell in enumerate(array):
        cells[k] = cell
    return cells
