"""Preprocessing: fitted on the training rows alone, stored without pickle, applied alike ever after."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from polytask.data.images import ImageColumn
from polytask.data.prepared import BooleanColumn, CategoryColumn, DateColumn, NumberColumn, PreprocessSettings
from polytask.data.schema import INPUT_KINDS
from polytask.data.split import SplitSettings
from polytask.data.table import Table
from polytask.errors import RunError, SchemaError, nearest
from polytask.feature import CATEGORIES, NUMBERS, Inputs, InputSpec
from polytask.tasks import Task

Prepared = NumberColumn | BooleanColumn | DateColumn | CategoryColumn | ImageColumn
#: Of the stored form; a file with a higher one was written by a newer polytask.
FORMAT = 1
_CLASSES: dict[str, type[Prepared]] = {
    "number": NumberColumn,
    "boolean": BooleanColumn,
    "date": DateColumn,
    "category": CategoryColumn,
    "image": ImageColumn,
}

_DEFAULT_SPLIT, _DEFAULT_SETTINGS = SplitSettings(), PreprocessSettings()


def default_inputs(
    table: Table, tasks: Sequence[Task], ignore: Sequence[str] = (), settings: SplitSettings = _DEFAULT_SPLIT
) -> list[str]:
    """The columns a model reads unless told otherwise: those of a usable kind that are nobody's target.

    Left out are all tasks' targets and row weights, the columns that split the rows, those in `ignore`, and
    the kinds text, id, vector and other, which are no inputs yet.

    Raises:
        SchemaError: an unknown column in `ignore`, or no column left.
    """
    for name in ignore:
        if name not in table.columns:
            raise SchemaError(f"ignore: there is no column {name!r}; {nearest(name, table.columns)}")
    taken = {*ignore, settings.by_group, settings.by_time, settings.column}
    for task in tasks:
        taken |= {*task.columns, task.weight}
    inputs = [name for name in table.columns if name not in taken and table.kind(name) in INPUT_KINDS]
    if not inputs:
        raise SchemaError(
            f"no column is left to be an input: of {len(table.columns)} columns all are targets, weights, "
            "ignored or of a kind that is none (text, id, vector, other)"
        )
    return inputs


@dataclass(frozen=True)
class Preprocessor:
    """What the training rows taught about every input column.

    Attributes:
        prepared: the columns that vary, in order.
        constant: input columns that were constant in training and are left out.
    """

    prepared: tuple[Prepared, ...]
    constant: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        columns: Sequence[str],
        rows: np.ndarray,
        settings: PreprocessSettings = _DEFAULT_SETTINGS,
    ) -> "Preprocessor":
        """Learns from these rows only.

        Raises:
            SchemaError: an unknown column, one of a kind that is no input, a cell that cannot be read (names
                column, row and value), no rows, or constant columns only.
        """
        if not len(rows):
            raise SchemaError("preprocessing needs at least 1 training row, got 0")
        prepared, constant = [], []
        for name in columns:
            column = _fit(table, name, np.asarray(rows), settings)
            if column is None:
                constant.append(name)
            else:
                prepared.append(column)
        if not prepared:
            raise SchemaError(f"every input column is constant in the {len(rows)} training rows: {', '.join(columns)}")
        return cls(tuple(prepared), tuple(constant))

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are read, and their kinds."""
        kind_of = {cls: kind for kind, cls in _CLASSES.items()}
        return {column.name: kind_of[type(column)] for column in self.prepared}

    @property
    def spec(self) -> InputSpec:
        """What an encoder will be given."""
        numeric = (column for column in self.prepared if not isinstance(column, CategoryColumn))
        return InputSpec(
            numbers=tuple(name for column in numeric for name in column.names),
            categories=tuple((c.name, c.num_codes) for c in self.prepared if isinstance(c, CategoryColumn)),
            images={c.name: (c.size[0], c.size[1], c.size[2]) for c in self.prepared if isinstance(c, ImageColumn)},
        )

    def transform(self, table: Table, rows: np.ndarray | None = None) -> Inputs:
        """Rows as tensors; columns may come in any order and number type, and others are not looked at.

        Returns:
            `NUMBERS`: float32 `[rows, numbers]`, `CATEGORIES`: int64 `[rows, categories]`, and by its name
            each picture: float32 `[rows, channels, height, width]`; only those that there are.

        Raises:
            SchemaError: columns are missing, or a cell cannot be read; names column, row and value.
        """
        missing = [column.name for column in self.prepared if column.name not in table.columns]
        if missing:
            names = ", ".join(repr(name) for name in missing)
            hint = f"; {nearest(missing[0], table.columns)}" if len(missing) == 1 else ""
            raise SchemaError(f"the table lacks {names}, which the model was trained on{hint}")
        rows = np.arange(table.num_rows) if rows is None else np.asarray(rows)
        inputs: Inputs = {}
        numbers: list[np.ndarray] = []
        codes: list[np.ndarray] = []
        for column in self.prepared:
            if isinstance(column, CategoryColumn):
                codes.append(column.codes(table, rows))
                continue
            numbers += column.numbers(table, rows)
            if isinstance(column, ImageColumn):
                inputs[column.name] = torch.from_numpy(column.pixels(table, rows))
        if numbers:
            inputs[NUMBERS] = _joined(numbers, len(rows), np.float32)
        if codes:
            inputs[CATEGORIES] = _joined(codes, len(rows), np.int64)
        return inputs

    def save(self, folder: Path) -> None:
        """Writes `preprocessing.json` and `preprocessing.safetensors` (every fitted float, in full)."""
        records: list[dict[str, Any]] = []
        tensors: dict[str, torch.Tensor] = {}
        for k, (column, kind) in enumerate(zip(self.prepared, self.columns.values(), strict=True)):
            record = {"kind": kind, **asdict(column)}
            for name in _float_fields(type(column)):
                tensors[f"{k}.{name}"] = torch.tensor(record.pop(name), dtype=torch.float64)
            records.append(record)
        # One tensor is always there, so that the file is never empty.
        tensors["num_columns"] = torch.tensor(len(self.prepared))
        written = {"format": FORMAT, "constant": list(self.constant), "columns": records}
        (folder / "preprocessing.json").write_text(json.dumps(written, indent=1, ensure_ascii=False), encoding="utf-8")
        save_file(tensors, folder / "preprocessing.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Preprocessor":
        """Reads what `save` wrote.

        Raises:
            RunError: a file is missing, broken, or from a newer polytask.
        """
        try:
            written = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
            if written["format"] > FORMAT:
                raise RunError(f"{folder / 'preprocessing.json'}: written by a newer polytask; upgrade to read it")
            tensors = load_file(folder / "preprocessing.safetensors")
            prepared = tuple(_loaded(k, dict(record), tensors) for k, record in enumerate(written["columns"]))
            return cls(prepared, tuple(written["constant"]))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{folder}: its preprocessing cannot be read ({type(error).__name__}: {error})") from None


def _fit(table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> Prepared | None:
    kind = table.kind(name)
    if kind not in INPUT_KINDS:
        raise SchemaError(
            f"column {name!r} is of kind {kind}, which is no input yet; ignore it, or say what it is: "
            f"kinds={{{name!r}: 'category'}}"
        )
    fitted_class = _CLASSES[kind]
    if issubclass(fitted_class, ImageColumn):
        return fitted_class.fit(table, name, rows)
    return fitted_class.fit(table, name, rows, settings)


def _joined(columns: Iterable[np.ndarray], num_rows: int, dtype: type) -> torch.Tensor:
    columns = list(columns)
    block: np.ndarray = np.empty((num_rows, len(columns)), dtype=dtype)
    for k, column in enumerate(columns):
        block[:, k] = column
    return torch.from_numpy(block)


def _float_fields(cls: type[Prepared]) -> list[str]:
    return [field.name for field in fields(cls) if field.type in (float, tuple[float, ...])]


def _loaded(k: int, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    fitted_class: Any = _CLASSES[record.pop("kind")]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    for name in _float_fields(fitted_class):
        stored = tensors[f"{k}.{name}"].tolist()
        values[name] = tuple(stored) if isinstance(stored, list) else stored
    return fitted_class(**values)
