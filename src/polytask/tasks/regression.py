"""Regression: a number a row."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional import regression as torchmetrics

from polytask.errors import SchemaError
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked, weighted_sum
from polytask.tasks.scores import NAN, on_present
from polytask.tasks.target_transform import LOWEST, TargetTransform, Transform
from polytask.wording import shown

#: What `float` would take, or warn of, though it is no number.
NO_NUMBERS = (bytes, complex, np.complexfloating, np.datetime64, np.timedelta64, np.ndarray)


def numeric(values: np.ndarray, present: np.ndarray, place: str) -> np.ndarray:
    """The cells as float64, 0 where missing; a text is the number it reads as.

    One word in a column makes text of all its numbers, in most files; it is the word that is in error.

    Raises:
        SchemaError: other text, dates, lists or infinities, naming the first of them and its row.
    """
    if values.ndim != 1:
        raise SchemaError(f"{place}: one number a row is wanted, got an array of shape {values.shape}: name one column")
    numbers = np.zeros(len(values))
    if values.dtype.kind in "biuf":
        numbers[present] = values[present]
    else:
        for row in np.flatnonzero(present).tolist():
            if not _reads_as_number(values[row]):
                raise SchemaError(_sentence(place, "a number is wanted", values[row], row))
        numbers[present] = values[present].astype(np.float64)
    wrong_rows = np.flatnonzero(~np.isfinite(numbers)).tolist()
    if wrong_rows:
        row = wrong_rows[0]
        raise SchemaError(_sentence(place, "a finite number is wanted", values[row], row))
    return numbers


def _sentence(place: str, wanted: str, value: Any, row: int) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return (
        f"{place}: {wanted}, got {shown(plain)} in row {row}; "
        "make the cell a number or leave it empty, or name another kind of task"
    )


def _reads_as_number(value: Any) -> bool:
    if isinstance(value, NO_NUMBERS) or (isinstance(value, str) and "_" in value):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _r2(output: Tensor, target: Tensor) -> float:
    if len(target) < 2 or bool((target == target[0]).all()):
        return NAN
    return float(torchmetrics.r2_score(output, target.double()))


def _rmse(output: Tensor, target: Tensor) -> float:
    return float(torchmetrics.mean_squared_error(output, target.double(), squared=False))


def _mae(output: Tensor, target: Tensor) -> float:
    return float(torchmetrics.mean_absolute_error(output, target.double()))


def own_units(output: Tensor, fitted: Fitted, *, is_target: bool = False) -> np.ndarray:
    """Outputs in the target's own units, float64; encoded targets too, whose range is their own."""
    values: np.ndarray = output.detach().cpu().double().numpy() * fitted["sd"] + fitted["mean"]
    if "transform" not in fitted:
        return values
    transform = TargetTransform(**fitted["transform"])
    return transform.inverse(values) if is_target else transform.prediction(values)


def _in_own_units(score: Callable[[Tensor, Tensor], float], *, has_unit: bool) -> Callable[..., float]:
    """A score in the target's own units; where these are standardised ones times sd, of standardised ones."""

    def of(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
        if "transform" not in fitted:
            return (fitted["sd"] if has_unit else 1.0) * on_present(score)(output, target, present, fitted)
        kept = present.cpu()
        predicted = own_units(masked(output.cpu(), kept), fitted)
        wanted = own_units(masked(target.cpu(), kept), fitted, is_target=True)
        return on_present(score)(torch.from_numpy(predicted), torch.from_numpy(wanted), kept, fitted)

    return of


def check_criterion(task: str, criterion: str, delta: float) -> None:
    """Raises ValueError for a criterion or δ that cannot be."""
    if criterion not in ("mse", "mae", "huber"):
        raise ValueError(f"task {task!r}: criterion is 'mse', 'mae' or 'huber', got {criterion!r}")
    if not 0 < delta < float("inf"):
        raise ValueError(f"task {task!r}: delta is a number > 0, got {delta}")


def number_losses(output: Tensor, target: Tensor, criterion: str, delta: float) -> Tensor:
    """The loss of every cell."""
    if criterion == "mse":
        return functional.mse_loss(output, target, reduction="none")
    if criterion == "mae":
        return functional.l1_loss(output, target, reduction="none")
    return functional.huber_loss(output, target, reduction="none", delta=delta)


@dataclass(frozen=True, kw_only=True)
class Regression(Task):
    """A number a row.

    The target is standardised by the training rows' mean and standard deviation (1 where that is 0); output
    `[B]` and loss are in these standardised units, so that tasks of different units weigh alike. Predictions
    and the metrics `rmse` and `mae` are in the target's own units. With e = output − target, the loss of a
    row is

    - "mse": e²
    - "mae": |e|
    - "huber": e²/2 where |e| <= δ, else δ (|e| − δ/2)

    Args:
        criterion: the loss.
        delta: δ of the Huber loss, > 0, in standard deviations of the target.
        transform: of the target, before it is standardised (see `TargetTransform`): "log" and "box_cox" for numbers
            > 0, "log1p" for numbers > −1, "yeo_johnson" for any. The loss is then of transformed numbers; predictions
            and all metrics are in own units. A transform's inverse of a mean is nearer the median than the mean of
            the target: expect predictions below the mean of a target with a long tail. Predictions are kept within
            ten widths of the training numbers' range.

    Example:
        >>> task = Regression("price")
        >>> task.fit(np.array([1.0, 3.0]), np.array([True, True]))
        {'mean': 2.0, 'sd': 1.0, 'median': 2.0}
    """

    criterion: Literal["mse", "mae", "huber"] = "mse"
    delta: float = 1.0
    transform: Transform = "none"

    kind: ClassVar[str] = "regression"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("r2", _in_own_units(_r2, has_unit=False)),
        Metric("rmse", _in_own_units(_rmse, has_unit=True), higher_is_better=False, perfect=0.0),
        Metric("mae", _in_own_units(_mae, has_unit=True), higher_is_better=False, perfect=0.0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_criterion(self.name, self.criterion, self.delta)
        if self.transform not in get_args(Transform):
            known = ", ".join(get_args(Transform))
            raise ValueError(f"task {self.name!r}: transform is one of {known}, got {self.transform!r}")

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Learns `{"mean", "sd", "median"}`; of transformed numbers where they are, with the transform's constants.

        Raises:
            SchemaError: no cell, or one that is no finite number, or none that the transform takes.
        """
        kept = self._numbers(values, present)[present]
        if not len(kept):
            raise SchemaError(
                f"{self.place}: every cell of the training rows is missing; leave the task out or fill its column"
            )
        if self.transform != "none":
            found = TargetTransform.fit(self.transform, kept)
            # What is best to say always is the mean, or the median, of the numbers as they are.
            own = found(np.array([kept.mean(), np.median(kept)])).tolist()
            return self._scale_of(found(kept)) | {"transform": asdict(found), "best": own[0], "median": own[1]}
        return self._scale_of(kept)

    def _scale_of(self, kept: np.ndarray) -> Fitted:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, sd, median = float(kept.mean()), float(kept.std()), float(np.median(kept))
        if not np.isfinite([mean, sd, median]).all():
            largest = float(kept[np.abs(kept).argmax()])
            raise SchemaError(
                f"{self.place}: the numbers are too large to be squared (up to {largest}); rescale the column"
            )
        # A column of one value may still have a spread of rounding errors.
        is_constant = kept.min() == kept.max() or sd == 0.0
        return {"mean": mean, "sd": 1.0 if is_constant else sd, "median": median}

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Standardised targets, float32 `[rows]`.

        Raises:
            SchemaError: a cell that is no finite number.
        """
        numbers = self._numbers(values, present)
        if "transform" in fitted:
            numbers[present] = TargetTransform(**fitted["transform"])(numbers[present])
        scaled = (numbers - fitted["mean"]) / fitted["sd"]
        return torch.from_numpy(np.where(present, scaled, 0).astype(np.float32)), torch.from_numpy(present.copy())

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One output a row."""
        return VectorHead(self, widths)

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss, in standardised units, and Σ weight over present rows."""
        output = masked(in_full_precision(output), present)
        target = masked(target, present).to(output.dtype)
        losses = number_losses(output, target, self.criterion, self.delta)
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """The training rows' mean, or their median where `mae` is the primary metric."""
        best = fitted["median"] if self.primary == "mae" else fitted.get("best")
        value = 0.0 if best is None else (best - fitted["mean"]) / fitted["sd"]
        return torch.full((num_rows,), value, dtype=torch.float32)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Predictions in the target's own units, float64."""
        return {self.name: own_units(output, fitted)}

    def _numbers(self, values: np.ndarray, present: np.ndarray) -> np.ndarray:
        """The cells as float64, all of which the transform takes."""
        numbers = numeric(values, present, self.place)
        lowest = LOWEST.get(self.transform)
        if lowest is not None:
            unfit = np.flatnonzero(present & (numbers <= lowest))
            if len(unfit):
                row = int(unfit[0])
                raise SchemaError(
                    f"{self.place}: transform={self.transform!r} takes numbers > {lowest:g}, got {numbers[row]:g} in "
                    f"row {row}; transform='yeo_johnson' takes any"
                )
        return numbers
