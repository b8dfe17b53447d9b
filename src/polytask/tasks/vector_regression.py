"""Vector regression: several numbers a row, each of which may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from polytask.errors import SchemaError
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked, weighted_sum
from polytask.tasks.regression import check_criterion, number_losses, numeric
from polytask.tasks.scores import NAN
from polytask.wording import shown


def _errors(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> tuple[Tensor, Tensor]:
    """Output − target in own units, 0 where not present, and what is present: `[rows, outputs]`, float64 on the CPU."""
    kept = present.cpu()
    sd = torch.tensor(fitted["sd"], dtype=torch.float64)
    difference = (output.detach().cpu().double() - target.detach().cpu().double()) * sd
    return masked(difference, kept), kept


def mean_r2(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """Mean of each output's R² over its present cells; of those outputs that have two different cells there."""
    errors, kept = _errors(output, target, present, fitted)
    values = masked(target.detach().cpu().double() * torch.tensor(fitted["sd"], dtype=torch.float64), kept)
    number = kept.sum(dim=0)
    mean = values.sum(dim=0) / number.clamp_min(1)
    spread = masked(values - mean, kept).square().sum(dim=0)
    first = values.gather(0, kept.int().argmax(dim=0)[None])
    varies = (number > 1) & ((values != first) & kept).any(dim=0)
    scores = (1 - errors.square().sum(dim=0) / spread)[varies]
    return float(scores.mean()) if len(scores) else NAN


def mean_squared_error(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """Mean squared error over all present cells."""
    errors, kept = _errors(output, target, present, fitted)
    return float(errors.square().sum() / kept.sum()) if bool(kept.any()) else NAN


def root_mean_squared_error(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """The root of it."""
    return float(mean_squared_error(output, target, present, fitted) ** 0.5)


def mean_absolute_error(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """Mean absolute error over all present cells."""
    errors, kept = _errors(output, target, present, fitted)
    return float(errors.abs().sum() / kept.sum()) if bool(kept.any()) else NAN


@dataclass(frozen=True, kw_only=True)
class VectorRegression(Task):
    """Several numbers a row: the hours of the next day, an embedding, coordinates.

    The numbers are either several columns, any cell of which may be missing, or one column of lists of one length (NaN
    in them: missing). Output `[B, D]` and loss are in standardised units, the mean of each of the D outputs being 0;
    predictions and all errors are in own units. The loss of a cell is that of a regression, and every present cell
    weighs the same. `r2` is the mean of the outputs' R², each over its present cells; `mse`, `rmse` and `mae` are over
    all present cells.

    Args:
        columns: of the numbers; one column: its cells are lists. The task's `column` where not given.
        criterion: the loss of a cell, with e = output − target: "mse" e², "mae" |e|, "huber" e²/2 where |e| <= δ, else
            δ (|e| − δ/2).
        delta: δ of the Huber loss, > 0, in standardised units.
        scale: "each" output is divided by its own standard deviation, so that all weigh alike; "common": all by the
            root of their mean variance, so that those that vary more weigh more (series, coordinates).

    Raises:
        ValueError: both `column` and other `columns` are given, or a column twice.

    Example:
        >>> task = VectorRegression("place", columns=["x", "y"])
        >>> task.fit(np.array([[1.0, 10.0], [3.0, 30.0]]), np.ones((2, 2), dtype=bool))
        {'mean': [2.0, 20.0], 'sd': [1.0, 10.0], 'median': [2.0, 20.0]}
    """

    columns: Sequence[str] = ()
    criterion: Literal["mse", "mae", "huber"] = "mse"
    delta: float = 1.0
    scale: Literal["each", "common"] = "each"

    kind: ClassVar[str] = "vector_regression"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("r2", mean_r2),
        Metric("rmse", root_mean_squared_error, higher_is_better=False, perfect=0.0),
        Metric("mae", mean_absolute_error, higher_is_better=False, perfect=0.0),
        Metric("mse", mean_squared_error, higher_is_better=False, perfect=0.0),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", self._columns())
        super().__post_init__()
        check_criterion(self.name, self.criterion, self.delta)
        if self.scale not in ("each", "common"):
            raise ValueError(f"task {self.name!r}: scale is 'each' or 'common', got {self.scale!r}")

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Learns `{"mean", "sd", "median"}`, a number an output each.

        Raises:
            SchemaError: an output without any cell, a cell that is no finite number, lists of different lengths.
        """
        if not present.any():
            raise SchemaError(
                f"{self.place}: every cell of the training rows is missing; leave the task out or fill its columns"
            )
        numbers, kept = self._numbers(values, present)
        empty = np.flatnonzero(~kept.any(axis=0))
        if len(empty):
            which = self.columns[empty[0]] if len(self.columns) > 1 else f"number {empty[0]} of the lists"
            raise SchemaError(f"{self.place}: {which} is missing in all training rows; take it out or fill it")
        cells = np.where(kept, numbers, np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, sd, median = np.nanmean(cells, axis=0), np.nanstd(cells, axis=0), np.nanmedian(cells, axis=0)
            common = np.sqrt(np.nanmean((cells - mean) ** 2))
        if not (np.isfinite(mean) & np.isfinite(sd)).all():
            raise SchemaError(f"{self.place}: the numbers are too large to be squared; rescale the columns")
        # A column of one value may still have a spread of rounding errors.
        sd = np.where(np.nanmin(cells, axis=0) == np.nanmax(cells, axis=0), 0.0, sd)
        sd = sd if self.scale == "each" else np.full_like(sd, common if sd.any() else 0.0)
        return {"mean": mean.tolist(), "sd": np.where(sd > 0, sd, 1.0).tolist(), "median": median.tolist()}

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Standardised targets, float32 `[rows, D]`, and which of them are present.

        Raises:
            SchemaError: a cell that is no finite number, or a list of another length than in training.
        """
        numbers, kept = self._numbers(values, present, len(fitted["mean"]))
        scaled = (numbers - np.array(fitted["mean"])) / np.array(fitted["sd"])
        return torch.from_numpy(np.where(kept, scaled, 0).astype(np.float32)), torch.from_numpy(kept)

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """D outputs a row."""
        return VectorHead(self, widths, len(fitted["mean"]))

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss, in standardised units, and Σ weight over present cells."""
        output = masked(in_full_precision(output), present)
        target = masked(target, present).to(output.dtype)
        return weighted_sum(number_losses(output, target, self.criterion, self.delta), present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """The outputs' means (standardised: 0), or their medians where `mae` is the primary metric."""
        mean, sd, median = (np.array(fitted[name]) for name in ("mean", "sd", "median"))
        value = (median - mean) / sd if self.primary == "mae" else np.zeros_like(mean)
        return torch.from_numpy(value).float().repeat(num_rows, 1)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """A column an output, in own units, float64: `task.column`, or `task[0]`, `task[1]`, … of lists."""
        own = output.detach().cpu().double().numpy() * np.array(fitted["sd"]) + np.array(fitted["mean"])
        is_table = len(self.columns) > 1
        names = [f"{self.name}.{self.columns[k]}" if is_table else f"{self.name}[{k}]" for k in range(own.shape[1])]
        return dict(zip(names, own.T, strict=True))

    def _numbers(self, values: np.ndarray, present: np.ndarray, length: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """float64 `[rows, D]`, 0 where missing, and which are there."""
        if values.ndim == 2 and values.shape[1] == len(self.columns) > 1:
            places = [f"task {self.name!r} (column {column!r})" for column in self.columns]
            return np.stack(
                [numeric(values[:, k], present[:, k], place) for k, place in enumerate(places)], axis=1
            ), present.copy()
        if values.ndim != 1 or len(self.columns) > 1:
            raise SchemaError(f"{self.place}: cells of shape {list(values.shape)} are none of these columns")
        rows = [(row, self._vector(values[row], row)) for row in np.flatnonzero(present).tolist()]
        length = length or (len(rows[0][1]) if rows else 0)
        for row, cell in rows:
            if len(cell) != length:
                raise SchemaError(f"{self.place}: lists of {length} numbers are wanted, got {len(cell)} in row {row}")
        numbers = np.zeros((len(values), length))
        for row, cell in rows:
            numbers[row] = cell
        kept = np.repeat(present[:, None], length, axis=1) & ~np.isnan(numbers)
        return np.where(kept, numbers, 0.0), kept

    def _vector(self, cell: object, row: int) -> np.ndarray:
        """One list of numbers; NaN in it is a missing one."""
        sentence = f"{self.place}: a list of numbers is wanted, got {shown(cell)} in row {row}"
        if not isinstance(cell, (list, tuple, np.ndarray)) or not len(cell):
            raise SchemaError(f"{sentence}; several columns are named by columns=[…]")
        try:
            numbers = np.array([np.nan if one is None else one for one in cell], dtype=np.float64)
        except (TypeError, ValueError):
            raise SchemaError(sentence) from None
        if numbers.ndim != 1 or np.isinf(numbers).any():
            raise SchemaError(f"{sentence}; finite numbers, one axis")
        return numbers
