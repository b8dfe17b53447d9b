"""Ordinal: classes that have an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional import classification as torchmetrics

from polytask.errors import SchemaError, nearest
from polytask.feature import Feature
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked, weighted_sum
from polytask.tasks.classes import as_array, class_index, class_key, counted, positions, weights_by_class
from polytask.tasks.scores import NAN, on_present


def exceedance(output: Float[Tensor, "rows thresholds"]) -> Float[Tensor, "rows thresholds"]:
    """P(y > k) for k = 0 … K−2, made to fall with k where an output does not."""
    falling: Tensor = in_full_precision(output).sigmoid().cummin(dim=1).values
    return falling


def ranks(output: Float[Tensor, "rows thresholds"]) -> Int[Tensor, " rows"]:
    """The predicted positions: how many P(y > k) exceed 1/2."""
    return (exceedance(output) > 0.5).sum(dim=1)


def _kappa(output: Tensor, target: Tensor) -> float:
    chosen = ranks(output)
    if bool((target == target[0]).all()) and bool((chosen == target[0]).all()):
        return NAN
    num_classes = output.shape[1] + 1
    return float(torchmetrics.multiclass_cohen_kappa(chosen, target, num_classes, weights="quadratic"))


class OrdinalHead(nn.Module):
    """One score a row against K−1 rising thresholds: z_k = s(x) − θ_k, with θ_{k+1} − θ_k = softplus(γ_k).

    The thresholds start where a score of 0 gives the training frequencies.
    """

    first: Tensor

    def __init__(self, task: Task, widths: Sequence[int], counts: Sequence[int]) -> None:
        super().__init__()
        self.score = VectorHead(task, widths)
        # One count more a class keeps the thresholds of a class without rows apart.
        numbers = torch.tensor(counts, dtype=torch.float64) + 1
        above = numbers.flip(0).cumsum(0).flip(0)[1:] / numbers.sum()
        start = -torch.logit(above)
        gaps = torch.log(torch.expm1(start.diff()))
        # The score's own bias already moves all thresholds together.
        self.register_buffer("first", start[:1].float())
        self.gaps = nn.Parameter(gaps.float())

    def forward(self, features: list[Feature]) -> Float[Tensor, "batch thresholds"]:
        """The logits z_k."""
        thresholds = torch.cat([self.first, self.first + functional.softplus(self.gaps).cumsum(0)])
        score: Tensor = self.score(features)
        return in_full_precision(score).unsqueeze(1) - thresholds


@dataclass(frozen=True, kw_only=True)
class Ordinal(Task):
    """Classes that have an order: K−1 questions "is it above class k?" that share one score.

    Output `[B, K−1]`, the logits z_k of P(y > k); loss of a row Σ_k BCE(z_k, [y > k]). The prediction is the
    number of P(y > k) above 1/2; class probabilities are their differences.

    Args:
        order: the classes, lowest first. Numbers need none: they are ordered by value.
        class_weight: "balanced" weighs a class N/(C n_c), by the training rows; all weigh 1 where not given.

    Example:
        >>> task = Ordinal("severity", order=("mild", "severe"))
        >>> task.fit(np.array(["severe", "mild", "mild"]), np.ones(3, dtype=bool))
        {'classes': ['mild', 'severe'], 'counts': [2, 1]}

    Paper: Cao, Mirjalili, Raschka: Rank consistent ordinal regression for neural networks with application to
        age estimation. Pattern Recognition Letters 2020. arXiv 1901.07884.
    Deviates: the thresholds are in order by construction, not only at the optimum.
    """

    order: Sequence[bool | int | float | str] | None = None
    class_weight: Literal["balanced"] | None = None

    kind: ClassVar[str] = "ordinal"
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "sigmoid"
    paper: ClassVar[str] = "cao2020"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("quadratic_kappa", on_present(_kappa)),
        Metric("accuracy", on_present(lambda output, target: float((ranks(output) == target).double().mean()))),
        Metric(
            "mean_rank_error",
            on_present(lambda output, target: float((ranks(output) - target).abs().double().mean())),
            higher_is_better=False,
            perfect=0.0,
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f"task {self.name!r}: class_weight is 'balanced' or None, got {self.class_weight!r}")
        if self.order is None:
            return
        object.__setattr__(self, "order", self._as_tuple("order"))
        if len({class_key(value) for value in self.order}) < max(len(self.order), 2):
            raise ValueError(f"task {self.name!r}: order names two classes or more, each once, got {list(self.order)}")

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Finds the classes in their order: `{"classes": [...], "counts": [...]}`.

        Raises:
            SchemaError: no or one class only; texts without an order; a class that the order lacks.
        """
        found = counted(values, present, self.place)
        classes = [value for value, _ in found.values()]
        if len(classes) == 1:
            raise SchemaError(
                f"{self.place}: an ordinal task needs two classes or more, "
                f"but the training rows hold one class only, {classes[0]!r}"
            )
        texts = [value for value in classes if isinstance(value, str)]
        if self.order is None and texts:
            raise SchemaError(
                f"{self.place}: texts such as {texts[0]!r} have no order of their own; "
                f"give it, lowest first: order={classes[:10]}"
            )
        order = classes if self.order is None else list(self.order)
        index, counts = class_index(order), [0] * len(order)
        for key, (value, number) in found.items():
            if key not in index:
                raise SchemaError(f"{self.place}: the class {value!r} is not in order={order}; {nearest(key, index)}")
            counts[index[key]] += number
        return {"classes": order, "counts": counts}

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Positions in the order, int64 `[rows]`; a class that is not in it is not present."""
        found = torch.from_numpy(positions(values, present, fitted["classes"], self.place))
        return found.clamp_min(0), found >= 0

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """Each row's class weight."""
        weights = weights_by_class(self.class_weight, fitted["classes"], fitted["counts"])
        return torch.tensor(weights, dtype=torch.float32, device=target.device)[target]

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One score and K−1 thresholds."""
        return OrdinalHead(self, widths, fitted["counts"])

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · Σ_k BCE(z_k, [y > k]) and Σ weight over present rows."""
        output = masked(in_full_precision(output), present.unsqueeze(1))
        thresholds = torch.arange(output.shape[1], device=output.device)
        above = (masked(target, present).unsqueeze(1) > thresholds).to(output.dtype)
        losses = functional.binary_cross_entropy_with_logits(output, above, reduction="none").sum(dim=1)
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """The training frequencies, which predict the median class; under accuracy the most frequent one."""
        counts = torch.tensor(fitted["counts"], dtype=torch.float32)
        if self.primary == "accuracy":
            logits = torch.where(torch.arange(len(counts) - 1) < counts.argmax(), 4.0, -4.0)
        else:
            above = counts.flip(0).cumsum(0).flip(0)[1:] / counts.sum()
            logits = above.logit(eps=1e-6)
        return logits.repeat(num_rows, 1)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """The predicted classes."""
        return {self.name: as_array(fitted["classes"])[ranks(output.detach()).cpu().numpy()]}

    def probabilities(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Each class's probability, `task[class]`: P(y > k−1) − P(y > k)."""
        above = exceedance(output.detach())
        ends = torch.ones_like(above[:, :1])
        columns = -torch.cat([ends, above, 0 * ends], dim=1).diff(dim=1)
        named = zip(fitted["classes"], columns.cpu().numpy().T, strict=True)
        return {f"{self.name}[{value}]": column for value, column in named}
