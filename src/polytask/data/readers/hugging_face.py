"""Data sets of the library `datasets` as tables: nothing is downloaded, and no picture or sound decoded."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from polytask.data.arrow import frame_of_arrow
from polytask.errors import SchemaError


def is_dataset(data: Any) -> bool:
    """Whether an object is of the library `datasets`, which is not imported to find out."""
    return any(cls.__module__.split(".")[0] == "datasets" for cls in type(data).__mro__)


def frame_of_dataset(data: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    """A Dataset, or a DatasetDict with its parts one under the other and a column `split`.

    ClassLabels become their names (−1 is missing), pictures and sounds their bytes, or their path where only that is
    there.

    Returns:
        The columns and their kinds.

    Raises:
        SchemaError: a data set that is streamed, parts of different columns, or no data set.
    """
    if isinstance(data, Mapping):
        parts = {str(name): frame_of_dataset(part) for name, part in data.items()}
        if not parts:
            raise SchemaError("the DatasetDict is empty")
        columns = [list(frame.columns) for frame, _ in parts.values()]
        if any(set(one) != set(columns[0]) for one in columns):
            raise SchemaError(f"the parts of the DatasetDict ({', '.join(parts)}) have different columns")
        if "split" in columns[0]:
            raise SchemaError("the DatasetDict has a column 'split', which is to say the part; rename_column it first")
        frames = [frame.assign(split=name) for name, (frame, _) in parts.items()]
        return pd.concat(frames, ignore_index=True), {**next(iter(parts.values()))[1], "split": "id"}
    if not hasattr(data, "with_format") or not hasattr(data, "__len__"):
        raise SchemaError(
            f"a {type(data).__name__} is streamed; Dataset.from_generator, or load_dataset without streaming, reads it"
        )
    frame = frame_of_arrow(data.with_format("arrow")[:])
    kinds: dict[str, str] = {}
    for name, feature in data.features.items():
        convert, kind = _converter(feature)
        if convert is not None:
            frame[name] = pd.Series([None if _is_none(cell) else convert(cell) for cell in frame[name]], dtype=object)
        if kind is not None:
            kinds[name] = kind
    return frame, kinds


def _converter(feature: Any) -> tuple[Callable[[Any], Any] | None, str | None]:
    """How cells of a feature are read, and their kind, where its type says it."""
    what = type(feature).__name__
    if what == "ClassLabel":
        names = list(feature.names)
        return lambda code: names[int(code)] if int(code) >= 0 else None, "category"
    if what in ("Image", "Audio"):
        return lambda cell: cell["bytes"] if cell["bytes"] is not None else cell["path"], what.lower()
    inner: Any = getattr(feature, "feature", None)
    if inner is None and isinstance(feature, list) and len(feature) == 1:
        inner = feature[0]
    if type(inner).__name__ == "ClassLabel":
        names = list(inner.names)
        return lambda codes: [names[int(code)] for code in codes], "tokens"
    return None, None


def _is_none(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or cell is pd.NA
