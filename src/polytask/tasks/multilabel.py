"""Multilabel: several yes-or-no labels a row, each of which may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from polytask.errors import SchemaError
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked, weighted_sum
from polytask.tasks.class_losses import AdjustedHead, check_losses, log_prior, papers_of, yes_or_no_losses
from polytask.tasks.classes import Class, class_index, class_key, class_order, natural, weights_by_class
from polytask.tasks.scores import NAN, roc_auc
from polytask.tasks.thresholds import best_cut, check_threshold, cut_of, from_cut, given_cut, on_side


def _columns_of(output: Tensor, target: Tensor, present: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each label's logits and whether they should be positive, of its present cells alone."""
    logits, positive, kept = output.detach().cpu().double(), target.detach().cpu() > 0.5, present.cpu()
    return [(logits[kept[:, k], k], positive[kept[:, k], k]) for k in range(kept.shape[1])]


def _f1(logits: Tensor, positive: Tensor) -> float:
    """2 TP / (2 TP + FP + FN); NaN where nothing is positive or predicted."""
    chosen = logits > 0
    total = int(chosen.sum()) + int(positive.sum())
    return 2 * int((chosen & positive).sum()) / total if total else NAN


def macro_roc_auc(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """Mean ROC-AUC over the labels that have both positives and negatives among their present cells."""
    areas = [roc_auc(logits, positive) for logits, positive in _columns_of(output, target, present)]
    return float(torch.tensor(areas, dtype=torch.float64).nanmean())


def macro_f1(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """Mean F1 over the labels that have a positive among their present cells."""
    columns = [column for column in _columns_of(from_cut(output, fitted), target, present) if bool(column[1].any())]
    return float(np.mean([_f1(*column) for column in columns])) if columns else NAN


def micro_f1(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """F1 over all present cells together."""
    columns = _columns_of(from_cut(output, fitted), target, present)
    return _f1(torch.cat([logits for logits, _ in columns]), torch.cat([positive for _, positive in columns]))


def hamming_loss(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """The share of present cells predicted wrongly."""
    columns = _columns_of(from_cut(output, fitted), target, present)
    wrong = torch.cat([(logits > 0) != positive for logits, positive in columns])
    return float(wrong.double().mean()) if len(wrong) else NAN


def _best_for_micro_f1(share: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Which labels to predict always: the most frequent ones, as many as give the highest micro F1."""
    order = np.argsort(-share, kind="stable")
    hits, chosen = np.cumsum((share * present)[order]), np.cumsum(present[order])
    best = int(np.argmax(2 * hits / (hits[-1] + chosen))) + 1
    return np.isin(np.arange(len(share)), order[:best])


@dataclass(frozen=True, kw_only=True)
class Multilabel(Task):
    """Several yes-or-no labels a row: binary cross entropy over the cells that are present.

    The labels are either several columns of 0 and 1 (or booleans), any cell of which may be missing, or one
    column whose cells are lists of labels. Output `[B, labels]`, one logit a label; the loss of a cell is
    −[y log σ(z) + (1−y) log(1−σ(z))], and every present cell weighs the same unless classes are balanced.

    In lists, a label that training had not is left out: there is no output for it.

    Args:
        columns: of the labels; one column: its cells are lists. The task's `column` where not given.
        class_weight: "balanced" weighs the yes of a label N/(2 n_yes) and its no N/(2 n_no), by the label's N
            present cells of the training rows; "effective" in proportion to (1 − β)/(1 − β^n), with sum 2; every cell
            weighs 1 where not given. As with the next three settings, probabilities are then no frequencies.
        beta: β in [0, 1) of "effective".
        criterion: "cross_entropy", or "focal": (1 − p)^γ times it, p the probability of what the cell holds.
        gamma: γ >= 0 of "focal"; 0: cross entropy.
        alpha: α in (0, 1) of "focal": a factor of the yes, 1 − α of the no.
        logit_adjustment: τ >= 0: τ log(π/(1 − π)), π a label's training frequency, is added to its logit in training
            and only there.
        label_smoothing: ε in [0, 1): the target becomes (1−ε) y + ε/2.
        threshold: the probability in (0, 1) above which a label is predicted; "tuned": for each label the one that is
            best on the validation rows, found once the weights are trained (while they train, 1/2); a label without a
            yes there keeps 1/2.
        tuned_for: what it is best for: "f1" or "accuracy" of the label.

    Raises:
        ValueError: both `column` and other `columns` are given, or a column twice.

    Example:
        >>> task = Multilabel("topics")
        >>> values = np.empty(3, dtype=object)
        >>> values[:] = [["art", "war"], [], ["war"]]
        >>> task.fit(values, np.ones(3, dtype=bool))
        {'labels': ['art', 'war'], 'positives': [1, 2], 'present': [3, 3]}
    """

    columns: Sequence[str] = ()
    class_weight: Literal["balanced", "effective"] | None = None
    beta: float = 0.9999
    criterion: Literal["cross_entropy", "focal"] = "cross_entropy"
    gamma: float = 2.0
    alpha: float | None = None
    logit_adjustment: float = 0.0
    label_smoothing: float = 0.0
    threshold: float | Literal["tuned"] = 0.5
    tuned_for: Literal["f1", "accuracy"] = "f1"

    kind: ClassVar[str] = "multilabel"
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "sigmoid"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("macro_roc_auc", macro_roc_auc),
        Metric("micro_f1", micro_f1),
        Metric("macro_f1", macro_f1),
        Metric("hamming_loss", hamming_loss, higher_is_better=False, perfect=0.0),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", self._columns())
        super().__post_init__()
        check_losses(
            self.name,
            beta=self.beta,
            gamma=self.gamma,
            alpha=self.alpha,
            logit_adjustment=self.logit_adjustment,
            label_smoothing=self.label_smoothing,
        )
        check_threshold(self.name, self.threshold)
        if self.class_weight not in (None, "balanced", "effective"):
            raise ValueError(
                f"task {self.name!r}: class_weight is 'balanced', 'effective' or None, got {self.class_weight!r}"
            )
        if self.alpha is not None and self.criterion != "focal":
            raise ValueError(f"task {self.name!r}: alpha is of criterion='focal'; weigh labels by class_weight")

    def papers(self) -> tuple[str, ...]:
        """Of what its settings ask for."""
        return papers_of(self)

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Finds the labels: `{"labels": [...], "positives": [...], "present": [...]}`.

        Raises:
            SchemaError: cells that are neither 0 nor 1, or no lists; no label that is both present and absent
                somewhere.
        """
        labels: list[Class] = list(self.columns) if self._is_table(values) else self._listed(values, present)
        targets, known = self._targets(values, present, labels)
        positives, numbers = targets.sum(axis=0), known.sum(axis=0)
        if not bool(((positives > 0) & (positives < numbers)).any()):
            what = "every cell is missing" if not present.any() else "every label is the same in all of its cells"
            raise SchemaError(
                f"{self.place}: labels that are yes here and no there are wanted, but in the training rows {what}"
            )
        cut = given_cut(self.threshold)
        given = {} if cut is None else {"cut": [cut] * len(labels)}
        return {"labels": labels, "positives": positives.astype(int).tolist(), "present": numbers.tolist(), **given}

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Labels as 0 and 1, float32 `[rows, labels]`, and which of them are present, `[rows, labels]`."""
        targets, known = self._targets(values, present, fitted["labels"])
        return torch.from_numpy(targets), torch.from_numpy(known)

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """Each cell's weight, by its label and whether that is a yes."""
        counts = [(known - yes, yes) for yes, known in zip(fitted["positives"], fitted["present"], strict=True)]
        weights = [weights_by_class(self.class_weight, (0, 1), pair, self.beta) for pair in counts]
        no, yes = torch.tensor(weights, dtype=torch.float32, device=target.device).T
        return torch.where(target > 0.5, yes, no)

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One logit a label."""
        head = VectorHead(self, widths, len(fitted["labels"]))
        if not self.logit_adjustment:
            return head
        pairs = zip(fitted["positives"], fitted["present"], strict=True)
        priors = torch.stack([log_prior([known - yes, yes]) for yes, known in pairs])
        return AdjustedHead(head, self.logit_adjustment * (priors[:, 1] - priors[:, 0]))

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss and Σ weight over present cells."""
        output = masked(in_full_precision(output), present)
        target = masked(target, present).to(output.dtype)
        target = target * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = yes_or_no_losses(output, target, self.gamma if self.criterion == "focal" else 0.0, self.alpha)
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """Each label's training frequency, as a logit; under F1 the labels that are best predicted always."""
        present = np.maximum(fitted["present"], 1)
        share = np.array(fitted["positives"]) / present
        logits = torch.logit(torch.tensor(share, dtype=torch.float32), eps=1e-6)
        if self.primary in ("micro_f1", "macro_f1"):
            is_micro = self.primary == "micro_f1"
            always = torch.from_numpy(_best_for_micro_f1(share, present) if is_micro else share > 0)
            logits = on_side(logits, always, fitted)
        elif self.primary == "hamming_loss":
            logits = on_side(logits, logits > 0, fitted)
        return logits.repeat(num_rows, 1)

    def tune(self, fitted: Fitted, output: Tensor, target: Tensor, present: Tensor) -> Fitted:
        """With the cut of each label that is best on these rows, where the threshold is tuned."""
        if self.threshold != "tuned":
            return fitted
        columns = _columns_of(output, target, present)
        return {**fitted, "cut": [best_cut(z.numpy(), positive.numpy(), self.tuned_for) for z, positive in columns]}

    def recut(self, output: Tensor, tuned: Fitted, fitted: Fitted) -> Tensor:
        """Moved by what lies between the two cuts, where a metric of predicted labels judges."""
        if self.primary in (None, "macro_roc_auc"):
            return output
        return (from_cut(output, tuned) + cut_of(fitted)).to(output.dtype)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """One column a label, `task.label`: 1 where its probability exceeds the threshold, else 0."""
        chosen = (from_cut(output, fitted) > 0).numpy().astype(np.int64).T
        return {f"{self.name}.{label}": column for label, column in zip(fitted["labels"], chosen, strict=True)}

    def probabilities(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Each label's probability, `task[label]`."""
        columns = in_full_precision(output.detach()).sigmoid().cpu().numpy().T
        return {f"{self.name}[{label}]": column for label, column in zip(fitted["labels"], columns, strict=True)}

    def _is_table(self, values: np.ndarray) -> bool:
        """Whether the labels are columns; else the one column holds lists."""
        wanted = f"[rows, {len(self.columns)}]" if len(self.columns) > 1 else "[rows] of lists"
        if values.ndim == 2 and values.shape[1] == len(self.columns) > 1:
            return True
        if values.ndim == 1 and len(self.columns) == 1:
            return False
        raise SchemaError(f"{self.place}: cells of shape {wanted} are wanted, got {list(values.shape)}")

    def _listed(self, values: np.ndarray, present: np.ndarray) -> list[Class]:
        """All labels of a column of lists, sorted."""
        self._refuse_what_is_no_list(values, present)
        labels = {class_key(label): natural(label) for cell in values[present] for label in cell}
        return sorted(labels.values(), key=class_order)

    def _targets(
        self, values: np.ndarray, present: np.ndarray, labels: Sequence[Class]
    ) -> tuple[np.ndarray, np.ndarray]:
        """0 and 1 as float32 `[rows, labels]`, and which are known."""
        if self._is_table(values):
            cells = [self._zero_or_one(values[:, k], present[:, k], name) for k, name in enumerate(self.columns)]
            return np.stack(cells, axis=1), present.copy()
        self._refuse_what_is_no_list(values, present)
        targets, index = np.zeros((len(values), len(labels)), dtype=np.float32), class_index(labels)
        for row in np.flatnonzero(present):
            known = [index[key] for key in map(class_key, values[row]) if key in index]
            targets[row, known] = 1
        return targets, np.repeat(present[:, None], len(labels), axis=1)

    def _zero_or_one(self, cells: np.ndarray, present: np.ndarray, column: str) -> np.ndarray:
        """One column of 0 and 1 as float32, 0 where missing."""
        result = np.zeros(len(cells), dtype=np.float32)
        kept: Any = cells[present]
        is_one = (kept == 1).astype(bool)
        wrong = np.flatnonzero(~(is_one | (kept == 0).astype(bool)))
        if len(wrong):
            row = np.flatnonzero(present)[wrong[0]]
            raise SchemaError(
                f"task {self.name!r} (column {column!r}): a label is 0 or 1 (or missing), "
                f"got {kept[wrong[0]]!r} in row {row}; "
                "write it as 0 and 1, or make the column a classification task of its own"
            )
        result[present] = is_one
        return result

    def _refuse_what_is_no_list(self, values: np.ndarray, present: np.ndarray) -> None:
        for row in np.flatnonzero(present):
            cell = values[row]
            if not isinstance(cell, (list, tuple, set, frozenset, np.ndarray)):
                raise SchemaError(
                    f"{self.place}: a cell is a list of labels, got {cell!r} in row {row}; "
                    "split it into a list, or name several 0/1 columns: columns=[…]"
                )
