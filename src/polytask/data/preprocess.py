"""Preprocessing: fitted on the training rows alone, stored without pickle, applied alike ever after."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from polytask.config import as_choice
from polytask.data.cache import Cache
from polytask.data.decoded_column import DecodedColumn
from polytask.data.features import DEFAULT_FEATURES, FEATURES, FeatureColumn
from polytask.data.images import ImageColumn
from polytask.data.lists import SequenceColumn, TokensColumn, VectorColumn
from polytask.data.prepared import (
    BooleanColumn,
    CategoryColumn,
    DateColumn,
    NumberColumn,
    PreparedColumn,
    PreprocessSettings,
)
from polytask.data.schema import INPUT_KINDS
from polytask.data.split_settings import SplitSettings
from polytask.data.table import Table
from polytask.data.unreadable import skip_unreadable
from polytask.data.workers import Workers
from polytask.errors import RunError, SchemaError, nearest, warn_user
from polytask.feature import CATEGORIES, NUMBERS, InputSpec
from polytask.ragged import InputRows
from polytask.tasks import Task

#: Of the stored form; a file with a higher one was written by a newer polytask.
FORMAT = 1
#: How the cells of a kind are prepared, where no features are made of them.
_CLASSES: dict[str, Any] = {
    "number": NumberColumn,
    "boolean": BooleanColumn,
    "date": DateColumn,
    "category": CategoryColumn,
    "image": ImageColumn,
    "vector": VectorColumn,
    "sequence": SequenceColumn,
    "tokens": TokensColumn,
    "feature": FeatureColumn,
}

_DEFAULT_SPLIT, _DEFAULT_SETTINGS = SplitSettings(), PreprocessSettings()


def default_inputs(
    table: Table,
    tasks: Sequence[Task],
    ignore: Sequence[str] = (),
    settings: SplitSettings = _DEFAULT_SPLIT,
    *,
    place: str = "",
) -> list[str]:
    """The columns a model reads unless told otherwise: those of a usable kind that are nobody's target.

    Left out are all tasks' targets, masks and weights, the columns that say where labels count, those that split the
    rows, those in `ignore`, and the kinds id and other, which are no inputs.

    Args:
        table: whose columns they are.
        tasks: of all tables.
        ignore: columns that are none.
        settings: how rows are split.
        place: which table it is, for an error.

    Raises:
        SchemaError: an unknown column in `ignore`, or no column left.
    """
    for name in ignore:
        if name not in table.columns:
            raise SchemaError(f"ignore: there is no column {name!r}; {nearest(name, table.columns)}")
    taken = {*ignore, settings.by_group, settings.by_time, settings.column}
    for task in tasks:
        taken |= {*task.columns, *task.weight_columns, *task.mask_columns, *(task.where or ())}
    inputs = [name for name in table.columns if name not in taken and table.kind(name) in INPUT_KINDS]
    if not inputs:
        raise SchemaError(
            f"{place}no column is left to be an input: of {len(table.columns)} columns all are targets, weights, "
            "ignored or of a kind that is none (id, other)"
        )
    return inputs


@dataclass(frozen=True)
class Preprocessor:
    """What the training rows taught about every input column.

    Attributes:
        prepared: the columns that vary, in order.
        constant: input columns that were constant in training and are left out.
        unselected: input columns that were left out since others say more of the targets.
        skips_unreadable: whether pictures, recordings and videos that cannot be read count as missing, with a warning.
    """

    prepared: tuple[PreparedColumn, ...]
    constant: tuple[str, ...] = ()
    unselected: tuple[str, ...] = ()
    skips_unreadable: bool = False

    @classmethod
    def fit(
        cls,
        table: Table,
        columns: Sequence[str],
        rows: np.ndarray,
        settings: PreprocessSettings = _DEFAULT_SETTINGS,
        workers: Workers | None = None,
        cache: Cache | None = None,
    ) -> "Preprocessor":
        """Learns from these rows only.

        Args:
            table: the rows.
            columns: the inputs.
            rows: training rows, positions in the table.
            settings: how inputs are prepared.
            workers: processes that decode pictures, recordings and videos; this one where not given.
            cache: keeps on disk what was decoded.

        Raises:
            SchemaError: an unknown column, one of a kind that is no input, a cell that cannot be read (names
                column, row and value), no rows, or constant columns only.
        """
        if not len(rows):
            raise SchemaError("preprocessing needs at least 1 training row, got 0")
        for name in settings.features:
            if name not in columns:
                raise SchemaError(f"preprocess.features: there is no input column {name!r}; {nearest(name, columns)}")
        prepared, constant = [], []
        for name in columns:
            column = _fit(table, name, np.asarray(rows), settings, workers, cache)
            if column is None:
                constant.append(name)
            else:
                prepared.append(column)
        if not prepared:
            raise SchemaError(f"every input column is constant in the {len(rows)} training rows: {', '.join(columns)}")
        return cls(tuple(prepared), tuple(constant))

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are read, and their kinds; of features, what makes them."""
        return {c.name: c.featurizer if isinstance(c, FeatureColumn) else _kind_of(c) for c in self.prepared}

    @property
    def spec(self) -> InputSpec:
        """What an encoder will be given."""
        numbers = InputSpec(numbers=tuple(name for column in self.prepared for name in column.names))
        return sum((column.spec for column in self.prepared), numbers)

    @property
    def cited(self) -> list[str]:
        """Keys of the publications behind the features."""
        return [key for column in self.prepared if isinstance(column, FeatureColumn) for key in column.cited]

    @property
    def decoded(self) -> tuple[DecodedColumn, ...]:
        """The columns whose cells are dear to read, and may be left for later."""
        return tuple(column for column in self.prepared if isinstance(column, DecodedColumn) and column.is_decoded)

    def transform(
        self,
        table: Table,
        rows: np.ndarray | None = None,
        *,
        absent: Collection[str] = (),
        later: Collection[str] = (),
    ) -> dict[str, InputRows]:
        """Rows as tensors; columns may come in any order and number type, and others are not looked at.

        Args:
            table: the rows.
            rows: positions in the table; all where not given.
            absent: columns that the table need not have: where it has not, they are missing in all of its rows.
            later: columns whose cells are not decoded now; only whether they are missing is told.

        Returns:
            `NUMBERS`: float32 `[rows, numbers]`, `CATEGORIES`: int64 `[rows, categories]`, and by its name
            each picture, float32 `[rows, channels, height, width]`, vector and sequence; only those that there are.

        Raises:
            SchemaError: columns are missing, or a cell cannot be read; names column, row and value.
        """
        rows = np.arange(table.num_rows) if rows is None else np.asarray(rows)
        table = self.completed(table, absent, rows)
        inputs: dict[str, InputRows] = {}
        numbers: list[np.ndarray] = []
        codes: list[np.ndarray] = []
        for column in self.prepared:
            if isinstance(column, CategoryColumn):
                codes.append(column.codes(table, rows))
                continue
            numbers += column.numbers(table, rows)
            if column.name not in later:
                inputs |= column.blocks(table, rows)
        if numbers:
            inputs[NUMBERS] = _joined(numbers, len(rows), np.float32)
        if codes:
            inputs[CATEGORIES] = _joined(codes, len(rows), np.int64)
        return inputs

    def completed(self, table: Table, absent: Collection[str], rows: np.ndarray) -> Table:
        """The table with the columns of `absent` that it lacks, missing in all rows.

        Where cells that cannot be read are skipped, those of these rows are missing too, with a warning.

        Raises:
            SchemaError: it lacks others too.
        """
        self.check_columns(table.columns, absent)
        if lacking := self.lacking(table):
            table = table.with_missing(lacking, {column.name: _kind_of(column) for column in self.prepared})
        if self.skips_unreadable:
            kinds = {column.name: column.kind for column in self.prepared if isinstance(column, DecodedColumn)}
            table, found = skip_unreadable(table, kinds, rows)
            for each in found:
                warn_user(each.sentence)
        return table

    def lacking(self, table: Table) -> list[str]:
        """The columns that it reads and the table has not."""
        return [column.name for column in self.prepared if column.name not in table.columns]

    def check_columns(self, columns: Collection[str], absent: Collection[str] = ()) -> None:
        """Refuses a table without some of the columns that are read.

        Args:
            columns: of the table.
            absent: columns that it need not have.

        Raises:
            SchemaError: names those that are missing.
        """
        missing = [c.name for c in self.prepared if c.name not in columns and c.name not in absent]
        if missing:
            names = ", ".join(repr(name) for name in missing)
            hint = f"; {nearest(missing[0], columns)}" if len(missing) == 1 else ""
            raise SchemaError(f"the table lacks {names}, which the model was trained on{hint}")

    def save(self, folder: Path) -> None:
        """Writes `preprocessing.json` and `preprocessing.safetensors` (every fitted float, in full)."""
        records: list[dict[str, Any]] = []
        tensors: dict[str, torch.Tensor] = {}
        for k, column in enumerate(self.prepared):
            record = {"kind": _KIND_OF[type(column)], **asdict(column)}
            for name in _float_fields(type(column)):
                tensors[f"{k}.{name}"] = torch.tensor(record.pop(name), dtype=torch.float64)
            if isinstance(column, FeatureColumn):
                arrays = {name: value for name, value in column.learnt.items() if isinstance(value, np.ndarray)}
                tensors |= {f"{k}.learnt.{name}": torch.from_numpy(array) for name, array in arrays.items()}
                record["learnt"] = {name: value for name, value in column.learnt.items() if name not in arrays}
            records.append(record)
        # One tensor is always there, so that the file is never empty.
        tensors["num_columns"] = torch.tensor(len(self.prepared))
        written = {"format": FORMAT, "constant": list(self.constant), "columns": records}
        written |= {"unselected": list(self.unselected)} if self.unselected else {}
        written |= {"skips_unreadable": True} if self.skips_unreadable else {}
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
            unselected, skips = tuple(written.get("unselected", ())), written.get("skips_unreadable", False)
            return cls(prepared, tuple(written["constant"]), unselected, skips)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{folder}: its preprocessing cannot be read ({type(error).__name__}: {error})") from None


_KIND_OF = {cls: kind for kind, cls in _CLASSES.items()}


def _kind_of(column: PreparedColumn) -> str:
    """The kind of a column as a table has it."""
    return column.kind if isinstance(column, DecodedColumn) else _KIND_OF[type(column)]


def _fit(
    table: Table,
    name: str,
    rows: np.ndarray,
    settings: PreprocessSettings,
    workers: Workers | None,
    cache: Cache | None,
) -> PreparedColumn | None:
    kind = table.kind(name)
    if kind not in INPUT_KINDS:
        raise SchemaError(
            f"column {name!r} is of kind {kind}, which is no input; ignore it, or say what it is: "
            f"kinds={{{name!r}: 'category'}}"
        )
    wanted = settings.features.get(name, DEFAULT_FEATURES.get(kind))
    if wanted is not None:
        choice = as_choice(wanted, FEATURES, "features", path=("preprocess", "features", name))
        return FeatureColumn.fit(table, name, rows, choice, workers, cache)
    if kind == "image":
        return ImageColumn.fit(table, name, rows, settings, workers, cache)
    fitted: PreparedColumn | None = _CLASSES[kind].fit(table, name, rows, settings)
    return fitted


def _joined(columns: Iterable[np.ndarray], num_rows: int, dtype: type) -> torch.Tensor:
    columns = list(columns)
    block: np.ndarray = np.empty((num_rows, len(columns)), dtype=dtype)
    for k, column in enumerate(columns):
        block[:, k] = column
    return torch.from_numpy(block)


def _float_fields(cls: type[PreparedColumn]) -> list[str]:
    return [field.name for field in fields(cls) if field.type in (float, tuple[float, ...])]


def _loaded(k: int, record: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    fitted_class: Any = _CLASSES[record.pop("kind")]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    for name in _float_fields(fitted_class):
        if f"{k}.{name}" not in tensors and name == "knots":  # of a Run from before there were any
            continue
        stored = tensors[f"{k}.{name}"].tolist()
        values[name] = tuple(stored) if isinstance(stored, list) else stored
    if fitted_class is FeatureColumn:
        start = f"{k}.learnt."
        arrays = {name.removeprefix(start): array.numpy() for name, array in tensors.items() if name.startswith(start)}
        values["learnt"] = {**record["learnt"], **arrays}
    return fitted_class(**values)
