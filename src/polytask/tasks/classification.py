"""Classification: one class a row, of two or more."""

from collections.abc import Callable, Sequence
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
from polytask.tasks.class_losses import (
    AdjustedHead,
    check_losses,
    class_losses,
    log_prior,
    papers_of,
    yes_or_no_losses,
)
from polytask.tasks.classes import as_array, class_index, class_key, counted, positions, weights_by_class
from polytask.tasks.positive_unlabelled import Surrogate, positive_unlabelled_risk
from polytask.tasks.scores import Score, average_precision, balanced_accuracy, macro_roc_auc, on_present, roc_auc
from polytask.tasks.thresholds import (
    TunedFor,
    best_cut,
    check_threshold,
    cut_of,
    from_cut,
    given_cut,
    on_side,
)


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


def _cut(score: Score) -> Callable[[Tensor, Tensor, Tensor, Fitted], float]:
    """A score of predicted classes: yes is said above the cut."""

    def of_cut(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
        return on_present(score)(from_cut(output, fitted), target, present, fitted)

    return of_cut


ACCURACY = Metric("accuracy", _cut(lambda output, target: float((predicted(output) == target).double().mean())))
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", _cut(lambda output, target: balanced_accuracy(predicted(output), target))
)
LOG_LOSS = Metric("log_loss", on_present(log_loss), higher_is_better=False, perfect=0.0)

#: Of two classes.
BINARY = (
    Metric("roc_auc", on_present(lambda output, target: roc_auc(output, target.bool()))),
    Metric("average_precision", on_present(lambda output, target: average_precision(output, target.bool()))),
    ACCURACY,
    BALANCED_ACCURACY,
    Metric("f1", _cut(lambda output, target: float(torchmetrics.binary_f1_score(predicted(output), target)))),
    LOG_LOSS,
)

#: Those that need a yes or no.
OF_A_CUT = ("accuracy", "balanced_accuracy", "f1")

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

    Several columns of 0 and 1, one of which is 1 in every row (tasks that exclude each other), are one softmax over
    their names: `columns`. Two ones in a row are an error; a row with a missing cell and no 1 is missing.

    Of rows that are positive or unlabelled (0), "nnpu" learns by the non-negative risk
    π R_p⁺ + max(0, R_u⁻ − π R_p⁻) of each batch (see `positive_unlabelled_risk`); metrics take unlabelled rows for
    negatives, and so do thresholds.

    Weights of classes, the focal loss and adjusted logits move the probabilities away from the frequencies: what is
    gained for rare classes is lost in calibration (`log_loss`).

    Args:
        columns: of 0 and 1, one of them 1 in a row; the task's `column` of classes where not given.
        none_class: with `columns`: the class of rows that are 0 in all of them; not given, such a row is an error.
        class_weight: "balanced" weighs a class N/(C n_c), by the training rows; "effective" in proportion to
            (1 − β)/(1 − β^n_c), with sum C; or class -> weight (1 where not named).
        beta: β in [0, 1) of "effective": towards 1 it is "balanced", at 0 all weigh alike.
        criterion: "cross_entropy", or "focal": (1 − p)^γ times it, p the probability of the row's class; or
            "nnpu", for two classes of which the one that sorts last is known and the other unlabelled.
        gamma: γ >= 0 of "focal"; 0: cross entropy.
        alpha: α in (0, 1) of "focal" and two classes: a factor of the class that sorts last, 1 − α of the other.
        logit_adjustment: τ >= 0: τ times the logarithm of the classes' training frequencies is added to the logits in
            training, so that the logits of predictions are those of balanced classes. 1 is the paper's.
        label_smoothing: ε in [0, 1): the target becomes (1−ε) y + ε/C.
        prior: π in (0, 1) of "nnpu": the share of positives among the unlabelled rows.
        surrogate: of "nnpu": the loss of a row with margin z: "sigmoid" σ(−z), or "logistic" log(1 + exp(−z)).
        threshold: of two classes: the probability in (0, 1) above which the one that sorts last is predicted; "tuned":
            the one that is best on the validation rows, found once the weights are trained (while they train, 1/2).
        tuned_for: what it is best for: "f1", "accuracy" or "balanced_accuracy".

    Example:
        >>> task = Classification("sold")
        >>> values, present = np.array(["no", "yes", "no"]), np.array([True, True, True])
        >>> task.fit(values, present)
        {'classes': ['no', 'yes'], 'counts': [2, 1]}

    Paper: Cui and others: Class-balanced loss based on effective number of samples. CVPR 2019. arXiv 1901.05555
        ("effective"). Lin and others: Focal loss for dense object detection. ICCV 2017. arXiv 1708.02002. Menon and
        others: Long-tail learning via logit adjustment. ICLR 2021. arXiv 2007.07314. Kiryo and others:
        Positive-unlabeled learning with non-negative risk estimator. NeurIPS 2017. arXiv 1703.00593 ("nnpu").
    """

    columns: Sequence[str] = ()
    none_class: str | None = None

    class_weight: Literal["balanced", "effective"] | dict[bool | int | float | str, float] | None = None
    beta: float = 0.9999
    criterion: Literal["cross_entropy", "focal", "nnpu"] = "cross_entropy"
    gamma: float = 2.0
    alpha: float | None = None
    logit_adjustment: float = 0.0
    label_smoothing: float = 0.0
    prior: float | None = None
    surrogate: Surrogate = "sigmoid"
    threshold: float | Literal["tuned"] = 0.5
    tuned_for: TunedFor = "f1"

    kind: ClassVar[str] = "classification"
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "softmax"
    metrics: ClassVar[tuple[Metric, ...]] = (*BINARY, SEVERAL[2], SEVERAL[3])

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", self._columns())
        super().__post_init__()
        if self.none_class is not None and (not self.is_exclusive or self.none_class in self.columns):
            raise ValueError(f"task {self.name!r}: none_class is another name than those of several columns=[…]")
        self._check_losses()
        check_threshold(self.name, self.threshold)
        if isinstance(self.class_weight, dict):
            named = {class_key(name): float(value) for name, value in self.class_weight.items()}
            wrong = {name: value for name, value in named.items() if not 0 <= value < float("inf")}
            if wrong:
                raise ValueError(f"task {self.name!r}: class weights are finite and >= 0, got {wrong}")
            object.__setattr__(self, "class_weight", named)
        elif self.class_weight not in (None, "balanced", "effective"):
            raise ValueError(
                f"task {self.name!r}: class_weight is 'balanced', 'effective', {{class: weight}} or None, "
                f"got {self.class_weight!r}"
            )

    def _check_losses(self) -> None:
        check_losses(
            self.name,
            beta=self.beta,
            gamma=self.gamma,
            alpha=self.alpha,
            logit_adjustment=self.logit_adjustment,
            label_smoothing=self.label_smoothing,
        )
        if self.criterion not in ("cross_entropy", "focal", "nnpu"):
            raise ValueError(
                f"task {self.name!r}: criterion is 'cross_entropy', 'focal' or 'nnpu', got {self.criterion!r}"
            )
        if self.alpha is not None and self.criterion != "focal":
            raise ValueError(f"task {self.name!r}: alpha is of criterion='focal'; weigh classes by class_weight")
        if self.criterion != "nnpu":
            if self.prior is not None:
                raise ValueError(f"task {self.name!r}: prior is of criterion='nnpu', not {self.criterion!r}")
            return
        if self.prior is None or not 0 < self.prior < 1:
            raise ValueError(
                f"task {self.name!r}: criterion='nnpu' wants prior=…, the share of positives among unlabelled rows, in "
                f"(0, 1); got {self.prior!r}"
            )
        for setting, usual in (("class_weight", None), ("label_smoothing", 0.0), ("logit_adjustment", 0.0)):
            if getattr(self, setting) != usual:
                raise ValueError(f"task {self.name!r}: {setting} has no place in criterion='nnpu'; leave it out")

    @property
    def is_exclusive(self) -> bool:
        """Whether its columns are 0 and 1, one of them 1 in a row."""
        return len(self.columns) > 1

    def papers(self) -> tuple[str, ...]:
        """Of what its settings ask for."""
        return papers_of(self)

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
        self._check_number(len(classes))
        if (cut := given_cut(self.threshold)) is not None:
            fitted["cut"] = cut
        usable = [metric.name for metric in self.metrics_for(fitted)]
        if self.primary is not None and self.primary not in usable:
            raise SchemaError(
                f"{self.place}: primary={self.primary!r} does not fit {len(classes)} classes; known: {usable}"
            )
        return fitted

    def _check_number(self, number: int) -> None:
        """Refuses what only two classes can have."""
        for setting, usual in (("threshold", 0.5), ("alpha", None), ("prior", None)):
            if number > 2 and getattr(self, setting) != usual:
                raise SchemaError(
                    f"{self.place}: {setting}={getattr(self, setting)!r} is for two classes, but there are {number}"
                )

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Positions of the classes, int64 `[rows]`; a class that training had not is not present."""
        found = torch.from_numpy(positions(values, present, fitted["classes"], self.place))
        return found.clamp_min(0), found >= 0

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """Each row's class weight."""
        weights = weights_by_class(self.class_weight, fitted["classes"], fitted["counts"], self.beta)
        return torch.tensor(weights, dtype=torch.float32, device=target.device)[target]

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One logit for two classes, else one a class."""
        number = len(fitted["classes"])
        head = VectorHead(self, widths, None if number == 2 else number)
        if not self.logit_adjustment:
            return head
        offset = self.logit_adjustment * log_prior(fitted["counts"])
        return AdjustedHead(head, offset[1] - offset[0] if number == 2 else offset)

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss and Σ weight over present rows."""
        output, target = in_full_precision(output), masked(target, present)
        if self.prior is not None:
            counted = masked(weight, present).to(output.dtype)
            risk = positive_unlabelled_risk(masked(output, present), target == 1, counted, self.prior, self.surrogate)
            return risk * counted.sum(), counted.sum()
        gamma = self.gamma if self.criterion == "focal" else 0.0
        if output.ndim == 1:
            smooth = target.to(output.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
            losses = yes_or_no_losses(masked(output, present), smooth, gamma, self.alpha)
        else:
            output = masked(output, present.unsqueeze(1))
            losses = class_losses(output, target.long(), gamma, self.label_smoothing)
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """Logarithms of the training frequencies: they predict the most frequent class; under F1 its own."""
        counts = torch.tensor(fitted["counts"], dtype=torch.float32)
        if len(counts) > 2:
            return (counts / counts.sum()).log().repeat(num_rows, 1)
        logit = (counts[1] / counts[0]).log()
        if self.primary in OF_A_CUT:
            logit = on_side(logit, torch.tensor(self.primary == "f1") | (logit > 0), fitted)
        return logit.repeat(num_rows)

    def tune(self, fitted: Fitted, output: Tensor, target: Tensor, present: Tensor) -> Fitted:
        """With the cut that is best on these rows, where the threshold is tuned."""
        if self.threshold != "tuned" or not bool(present.any()):
            return fitted
        kept = present.cpu()
        cut = best_cut(output.detach().cpu()[kept].numpy(), target.cpu()[kept].numpy() == 1, self.tuned_for)
        return {**fitted, "cut": cut}

    def recut(self, output: Tensor, tuned: Fitted, fitted: Fitted) -> Tensor:
        """Moved by what lies between the two cuts, where a metric of predicted classes judges."""
        if output.ndim > 1 or self.primary not in OF_A_CUT:
            return output
        return (from_cut(output, tuned) + cut_of(fitted)).to(output.dtype)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """The predicted classes."""
        return {self.name: as_array(fitted["classes"])[predicted(from_cut(output, fitted)).numpy()]}

    def probabilities(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Each class's probability, `task[class]`."""
        output = in_full_precision(output.detach())
        if output.ndim == 1:
            output = torch.stack([torch.zeros_like(output), output], dim=1)
        columns: Any = output.softmax(dim=1).cpu().numpy().T
        return {f"{self.name}[{value}]": column for value, column in zip(fitted["classes"], columns, strict=True)}
