"""Classification: one class a row, of two or more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional import classification as torchmetrics

from polytask.errors import SchemaError, nearest
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked, weighted_sum
from polytask.tasks.classes import as_array, class_index, class_key, counted, positions, weights_by_class
from polytask.tasks.scores import average_precision, balanced_accuracy, macro_roc_auc, on_present, roc_auc


def predicted(output: Float[Tensor, "rows ..."]) -> Int[Tensor, " rows"]:
    """Positions of the predicted classes."""
    return (output > 0).long() if output.ndim == 1 else output.argmax(dim=1)


def log_loss(output: Tensor, target: Tensor) -> float:
    """Mean −log p(class)."""
    if output.ndim == 1:
        return float(functional.binary_cross_entropy_with_logits(output, target.to(output.dtype)))
    return float(functional.cross_entropy(output, target))


def _macro_auc(output: Tensor, target: Tensor) -> float:
    return macro_roc_auc(output.softmax(dim=1), functional.one_hot(target, output.shape[1]))


def _macro_f1(output: Tensor, target: Tensor) -> float:
    return float(torchmetrics.multiclass_f1_score(predicted(output), target, output.shape[1], average="macro"))


ACCURACY = Metric("accuracy", on_present(lambda output, target: float((predicted(output) == target).double().mean())))
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", on_present(lambda output, target: balanced_accuracy(predicted(output), target))
)
LOG_LOSS = Metric("log_loss", on_present(log_loss), higher_is_better=False, perfect=0.0)

#: Of two classes.
BINARY = (
    Metric("roc_auc", on_present(lambda output, target: roc_auc(output, target.bool()))),
    Metric("average_precision", on_present(lambda output, target: average_precision(output, target.bool()))),
    ACCURACY,
    BALANCED_ACCURACY,
    Metric(
        "f1",
        on_present(lambda output, target: float(torchmetrics.binary_f1_score(predicted(output), target))),
    ),
    LOG_LOSS,
)

#: Of more than two.
SEVERAL = (
    ACCURACY,
    BALANCED_ACCURACY,
    Metric("macro_f1", on_present(_macro_f1)),
    Metric("macro_roc_auc", on_present(_macro_auc)),
    LOG_LOSS,
)


@dataclass(frozen=True, kw_only=True)
class Classification(Task):
    """One class a row, of two or more: cross entropy.

    Two classes have one logit a row, `[B]`, of the class that sorts last (true, 1, "yes"): loss
    −[y log σ(z) + (1−y) log(1−σ(z))]. More have logits `[B, classes]` and −log softmax(z)_y. Classes are
    sorted, numbers by value, texts alphabetically, and compared by their text, so that 1, 1.0 and "1" are one
    class.

    The primary metric is ROC-AUC for two classes and accuracy for more. `macro_roc_auc` is the mean over one
    class against the rest, over the classes that the rows have; `f1` is of the class that sorts last.

    Args:
        class_weight: "balanced" weighs a class N/(C n_c), by the training rows; or class -> weight (1 where
            not named).
        label_smoothing: ε in [0, 1): the target becomes (1−ε) y + ε/C.

    Example:
        >>> task = Classification("sold")
        >>> values, present = np.array(["no", "yes", "no"]), np.array([True, True, True])
        >>> task.fit(values, present)
        {'classes': ['no', 'yes'], 'counts': [2, 1]}
    """

    class_weight: Literal["balanced"] | dict[bool | int | float | str, float] | None = None
    label_smoothing: float = 0.0

    kind: ClassVar[str] = "classification"
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "softmax"
    metrics: ClassVar[tuple[Metric, ...]] = (*BINARY, SEVERAL[2], SEVERAL[3])

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"task {self.name!r}: label_smoothing is in [0, 1), got {self.label_smoothing}")
        if isinstance(self.class_weight, dict):
            named = {class_key(name): float(value) for name, value in self.class_weight.items()}
            wrong = {name: value for name, value in named.items() if not 0 <= value < float("inf")}
            if wrong:
                raise ValueError(f"task {self.name!r}: class weights are finite and >= 0, got {wrong}")
            object.__setattr__(self, "class_weight", named)
        elif self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"task {self.name!r}: class_weight is 'balanced', {{class: weight}} or None, got {self.class_weight!r}"
            )

    def metrics_for(self, fitted: Fitted) -> tuple[Metric, ...]:
        """Those of two classes, or those of more."""
        return BINARY if len(fitted["classes"]) == 2 else SEVERAL

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Finds the classes: `{"classes": [...], "counts": [...]}`.

        Raises:
            SchemaError: no or one class only, cells that are lists, a class weight of no class, a primary
                metric that is not one for this number of classes.
        """
        found = counted(values, present, self.place)
        classes, counts = [value for value, _ in found.values()], [number for _, number in found.values()]
        if len(classes) == 1:
            raise SchemaError(
                f"{self.place}: a classification needs two classes or more, "
                f"but the training rows hold one class only, {classes[0]!r}"
            )
        index = class_index(classes)
        for name in self.class_weight if isinstance(self.class_weight, dict) else ():
            if str(name) not in index:
                raise SchemaError(
                    f"{self.place}: class_weight names a class {name!r} that is not there; "
                    f"{nearest(str(name), map(class_key, classes))}"
                )
        fitted: Fitted = {"classes": classes, "counts": counts}
        usable = [metric.name for metric in self.metrics_for(fitted)]
        if self.primary is not None and self.primary not in usable:
            raise SchemaError(
                f"{self.place}: primary={self.primary!r} does not fit {len(classes)} classes; known: {usable}"
            )
        return fitted

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Positions of the classes, int64 `[rows]`; a class that training had not is not present."""
        found = torch.from_numpy(positions(values, present, fitted["classes"], self.place))
        return found.clamp_min(0), found >= 0

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """Each row's class weight."""
        weights = weights_by_class(self.class_weight, fitted["classes"], fitted["counts"])
        return torch.tensor(weights, dtype=torch.float32, device=target.device)[target]

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One logit for two classes, else one a class."""
        number = len(fitted["classes"])
        return VectorHead(self, widths, None if number == 2 else number)

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · cross entropy and Σ weight over present rows."""
        output, target = in_full_precision(output), masked(target, present)
        if output.ndim == 1:
            smooth = target.to(output.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
            losses = functional.binary_cross_entropy_with_logits(masked(output, present), smooth, reduction="none")
        else:
            output = masked(output, present.unsqueeze(1))
            losses = functional.cross_entropy(
                output, target.long(), reduction="none", label_smoothing=self.label_smoothing
            )
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """Logarithms of the training frequencies: they predict the most frequent class; under F1 its own."""
        counts = torch.tensor(fitted["counts"], dtype=torch.float32)
        if len(counts) > 2:
            return (counts / counts.sum()).log().repeat(num_rows, 1)
        logit = (counts[1] / counts[0]).log()
        return (logit.abs().clamp_min(1e-3) if self.primary == "f1" else logit).repeat(num_rows)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """The predicted classes."""
        return {self.name: as_array(fitted["classes"])[predicted(output.detach()).cpu().numpy()]}

    def probabilities(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Each class's probability, `task[class]`."""
        output = in_full_precision(output.detach())
        if output.ndim == 1:
            output = torch.stack([torch.zeros_like(output), output], dim=1)
        columns: Any = output.softmax(dim=1).cpu().numpy().T
        return {f"{self.name}[{value}]": column for value, column in zip(fitted["classes"], columns, strict=True)}
