"""What training rows taught about one input column, and how its cells become numbers or codes from then on.

One frozen class a kind. `fit` returns None for a column that is constant in training: it can tell a model
nothing.
"""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from polytask.data.cells import booleans_of, keys_of, levels_of, numbers_of, times_of
from polytask.data.pictures import ImageSettings
from polytask.data.scaling import WAYS, Scale
from polytask.data.select_settings import Select
from polytask.data.table import Table
from polytask.feature import InputSpec
from polytask.ragged import InputRows

#: Cycles of a date: name -> number of days in one.
CYCLES = {"day of year": 365.25, "weekday": 7.0, "hour": 1.0}


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings:
    """How inputs are prepared.

    Args:
        numbers: "robust": (x − median) / (third − first quartile), then x / sqrt(1 + (x / 3)²), which never
            leaves (−3, 3); "standard": (x − mean) / standard deviation; "minmax": (x − lowest) / (highest − lowest),
            from 0 to 1 in training; "quantile": the share of training values below x as a quantile of the normal
            distribution (1,000 knots at most), within ±5.2.
        min_count: a category that fewer training rows have than this shares the code of those never seen,
            which is thereby trained.
        min_token_count: the same of a token that stands in fewer places of the training rows than this.
        features: column -> what makes features of it (see `polytask list features`), in place of what its kind is
            given otherwise: a name, or `{name: settings}`.
        images: what pictures are brought to, where no features are made of them.
        select: which input columns are read: the best ones, by the training rows; None: all.

    Raises:
        ValueError: a setting that cannot be.

    Paper: Holzmüller, Grinsztajn, Steinwart: Better by default: strong pre-tuned MLPs and boosted trees on
        tabular data, NeurIPS 2024, arXiv 2407.04491 (the robust scaling and smooth clipping).
    """

    numbers: Literal["robust", "standard", "minmax", "quantile"] = "robust"
    min_count: int = 1
    min_token_count: int = 2
    features: dict[str, str | dict[str, dict[str, Any] | None]] = field(default_factory=dict)
    images: ImageSettings = field(default_factory=ImageSettings)
    select: Select | None = None

    def __post_init__(self) -> None:
        if self.numbers not in WAYS:
            raise ValueError(f"numbers={self.numbers!r}: one of {', '.join(map(repr, WAYS))} is wanted")
        if self.min_count < 1:
            raise ValueError(f"min_count={self.min_count}: a number of rows >= 1 is wanted")
        if self.min_token_count < 1:
            raise ValueError(f"min_token_count={self.min_token_count}: a number of places >= 1 is wanted")


@dataclass(frozen=True)
class PreparedColumn(ABC):
    """What training taught about one column.

    Attributes:
        name: of the column.
    """

    name: str

    @property
    def names(self) -> list[str]:
        """The number columns it becomes."""
        return []

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array `[rows]` a name."""
        return []

    @property
    def spec(self) -> InputSpec:
        """What it gives an encoder beside the numbers."""
        return InputSpec()

    def blocks(self, table: Table, rows: np.ndarray) -> Mapping[str, InputRows]:
        """What stands in the inputs under its own name."""
        return {}

    @property
    def notices(self) -> list[str]:
        """What a user should know of how it is prepared."""
        return []


@dataclass(frozen=True)
class NumberColumn(PreparedColumn):
    """A number: scaled, with an indicator of missing cells where training had some.

    Attributes:
        name: of the column.
        has_missing: whether training had missing cells.
        center: see `Scale`.
        spread: see `Scale`; 0: the value is left out, only the indicator varies.
        clip: see `Scale`.
        knots: see `Scale`.
    """

    has_missing: bool
    center: float
    spread: float
    clip: bool
    knots: tuple[float, ...] = ()

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "NumberColumn | None":
        """Learns from these rows; None for a constant column."""
        values = numbers_of(table, name)[rows]
        scale = Scale.fit(values, settings.numbers)
        has_missing = _varies(np.isnan(values))
        if not scale.spread and not has_missing:
            return None
        return cls(name, has_missing, scale.center, scale.spread, scale.clip, scale.knots)

    @property
    def names(self) -> list[str]:
        """The number columns it becomes."""
        return [self.name] * bool(self.spread) + [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        values = numbers_of(table, self.name)[rows]
        scaled = [Scale(self.center, self.spread, self.clip, self.knots)(values)] if self.spread else []
        return scaled + [np.isnan(values)] * self.has_missing


@dataclass(frozen=True)
class BooleanColumn(PreparedColumn):
    """True (1) or false (0, missing cells too), with an indicator of missing cells where training had some.

    Attributes:
        name: of the column.
        has_missing: whether training had missing cells.
        is_varied: whether training had both values.
    """

    has_missing: bool
    is_varied: bool

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "BooleanColumn | None":
        """Learns from these rows; None for a constant column."""
        values = booleans_of(table, name)[rows]
        is_varied = _varies(values[~np.isnan(values)])
        has_missing = _varies(np.isnan(values))
        return cls(name, has_missing, is_varied) if is_varied or has_missing else None

    @property
    def names(self) -> list[str]:
        """The number columns it becomes."""
        return [self.name] * self.is_varied + [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        values = booleans_of(table, self.name)[rows]
        return [np.nan_to_num(values)] * self.is_varied + [np.isnan(values)] * self.has_missing


@dataclass(frozen=True)
class DateColumn(PreparedColumn):
    """A date: scaled days, and sine and cosine of those of its cycles that vary in training.

    Attributes:
        name: of the column.
        has_missing: whether training had missing cells.
        center: in days since 1970.
        spread: in days.
        clip: see `Scale`.
        cycles: a choice of `CYCLES`.
        knots: see `Scale`.
    """

    has_missing: bool
    center: float
    spread: float
    clip: bool
    cycles: tuple[str, ...]
    knots: tuple[float, ...] = ()

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "DateColumn | None":
        """Learns from these rows; None for a constant column."""
        times = times_of(table, name)[rows]
        scale = Scale.fit(_days(times), settings.numbers)
        has_missing = _varies(np.isnat(times))
        if not scale.spread and not has_missing:
            return None
        known = times[~np.isnat(times)]
        cycles = tuple(cycle for cycle in CYCLES if _varies(np.floor(24 * _phase(known, cycle))))
        return cls(name, has_missing, scale.center, scale.spread, scale.clip, cycles, scale.knots)

    @property
    def names(self) -> list[str]:
        """The number columns it becomes."""
        cycles = [f"{self.name} {cycle} {part}" for cycle in self.cycles for part in ("sine", "cosine")]
        return [self.name] * bool(self.spread) + cycles + [f"{self.name} is missing"] * self.has_missing

    def numbers(self, table: Table, rows: np.ndarray) -> list[np.ndarray]:
        """One array a name."""
        times = times_of(table, self.name)[rows]
        is_missing = np.isnat(times)
        scaled = [Scale(self.center, self.spread, self.clip, self.knots)(_days(times))] if self.spread else []
        for cycle in self.cycles:
            angle = 2 * np.pi * _phase(times, cycle) / CYCLES[cycle]
            scaled += [np.where(is_missing, 0.0, np.sin(angle)), np.where(is_missing, 0.0, np.cos(angle))]
        return scaled + [is_missing] * self.has_missing


@dataclass(frozen=True)
class CategoryColumn(PreparedColumn):
    """A category: code 0 missing, 1 not seen in training, 2 … the known ones in order.

    Attributes:
        name: of the column.
        vocabulary: the known categories, as `keys_of` writes them.
    """

    vocabulary: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, name: str, rows: np.ndarray, settings: PreprocessSettings) -> "CategoryColumn | None":
        """Learns from these rows; None for a constant column."""
        keys, present = (cells[rows] for cells in keys_of(table, name))
        codes, found = pd.factorize(keys[present])
        counts = np.bincount(codes, minlength=len(found))
        known = tuple(sorted(found[counts >= settings.min_count].tolist()))
        num_codes = len(known) + bool((counts < settings.min_count).any()) + (not present.all())
        return cls(name, known) if num_codes > 1 else None

    @property
    def spec(self) -> InputSpec:
        """A column of codes."""
        return InputSpec(categories=((self.name, self.num_codes),))

    @property
    def num_codes(self) -> int:
        """Number of codes, those for missing and not seen included."""
        return 2 + len(self.vocabulary)

    def codes(self, table: Table, rows: np.ndarray) -> np.ndarray:
        """int64 `[rows]`."""
        levels, keys = levels_of(table, self.name)
        code_of = {key: code for code, key in enumerate(self.vocabulary, start=2)}
        # The last one is of level -1, missing.
        return np.array([*(_code(key, code_of) for key in keys), 0], dtype=np.int64)[levels[rows]]


def _code(key: str, code_of: dict[str, int]) -> int:
    """The code of a key; a new one may be a known number or truth value written otherwise ("1.0", "true")."""
    is_truth = key.lower() in ("true", "false")
    otherwise = (key.lower(), key.capitalize()) if is_truth else (key.removesuffix(".0"),)
    return next((code_of[way] for way in (key, *otherwise) if way in code_of), 1)


def _varies(values: np.ndarray) -> bool:
    return len(values) > 0 and bool((values != values[0]).any())


def _days(times: np.ndarray) -> np.ndarray:
    return np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 86_400e6)


def _phase(times: np.ndarray, cycle: str) -> np.ndarray:
    """How far into its cycle each time is, in days."""
    day = times.astype("datetime64[D]")
    if cycle == "hour":
        return (times - day) / np.timedelta64(1, "D")
    if cycle == "weekday":  # whole days from Monday; 1970-01-01 was a Thursday
        return np.where(np.isnat(day), 0, (day.astype(np.int64) + 3) % 7).astype(np.float64)
    return (day - times.astype("datetime64[Y]").astype("datetime64[D]")) / np.timedelta64(1, "D")
