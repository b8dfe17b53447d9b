"""What every task is: head, loss, decoding and metrics of one thing to predict.

A Task is frozen settings. What it learns from the training rows (classes, scale, constants) is a plain JSON
dict, `Fitted`, that it is handed back in every call; so a task can be written down and read again without
pickle.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from polytask.feature import Feature, Inputs, InputSpec, Kind, OutputSpec
from polytask.ragged import Rows
from polytask.tasks.label_conventions import as_values, check_label_columns, checked_where

#: What a task learnt from its training rows: JSON values only.
Fitted = dict[str, Any]

#: Task names become file names, column names and parameter names.
NAME_RULE = "a task's name is letters, digits, '_' and '-', at most 64 of them"


@dataclass(frozen=True)
class Metric:
    """One way to judge a task.

    Attributes:
        name: as the field calls it ("roc_auc", "r2", …).
        score: `(output, target, present, fitted) -> float`, over all rows at once; NaN where it is undefined.
        higher_is_better: its direction.
        perfect: the value of a perfect prediction (1 for scores, 0 for errors).
    """

    name: str
    score: Callable[[Tensor, Tensor, Tensor, Fitted], float]
    higher_is_better: bool = True
    perfect: float = 1.0


@dataclass(frozen=True)
class Task(ABC):
    """What to predict, from which column, how it is judged.

    Args:
        name: of the task: letters, digits, `_`, `-`.
        column: the target's column; the task's name where not given.
        weight: a column of row weights >= 0 for this task's training loss, all 1 where not given; for a task of several
            columns, a list of as many: a weight a cell. They act on the loss alone: metrics, skill, the best constant
            and what `fit` counts take every row once.
        missing: a value, or a list of values, that mean "no label" (−1, "?"), as an empty cell does.
        mask: a column that says which rows have a label (true or 1); for a task of several columns one for all, or a
            list of as many.
        where: `{column: value or list of values}`: labels count only in rows that have these, for the loss and for
            metrics (conversions count only where clicked). What is so selected is not missing at random: predictions
            for other rows are then an extrapolation. Sharing schemes such as `aitm` model the chain of tasks instead
            (Ma and others: Entire space multi-task model. SIGIR 2018. arXiv 1804.07931).
        after: tasks that this one waits for (read by staged agendas).
        reads: the stage whose feature the head reads (0 the first, -1 the last), or several.
        hidden: widths of hidden layers in the head (ReLU); none: one linear layer.
        primary: name of the metric that judges the task; the kind's usual one where not given.

    Raises:
        ValueError: for a name or setting that cannot be, naming it.
    """

    name: str
    _: KW_ONLY
    column: str | None = None
    weight: str | Sequence[str] | None = None
    missing: bool | int | float | str | Sequence[bool | int | float | str] | None = None
    mask: str | Sequence[str] | None = None
    where: dict[str, bool | int | float | str | Sequence[bool | int | float | str]] | None = None
    after: Sequence[str] = ()
    reads: int | Sequence[int] = -1
    hidden: Sequence[int] = ()
    primary: str | None = None

    #: The name in the catalogue and in YAML.
    kind: ClassVar[str]
    #: All metrics of the kind, the usual primary one first; `metrics_for` says which a fitted task has.
    metrics: ClassVar[tuple[Metric, ...]]
    #: Whether its loss counts pairs of rows: a batch with labels may then have none, and the step leaves the task out.
    uses_pairs: ClassVar[bool] = False
    #: How its outputs become probabilities (see `OutputSpec`); "identity": they are none.
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "identity"
    #: What of its target has a place, and moves when an augmentation moves pictures, or tokens ("places": `[B, L]`).
    spatial: ClassVar[Literal["mask", "boxes", "keypoints", "places"] | None] = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"{NAME_RULE}; got {self.name!r}")  # noqa: TRY004
        if self.column is not None and not isinstance(self.column, str):
            raise ValueError(f"task {self.name!r}: column is the name of a column, got {self.column!r}")
        for setting in ("weight", "mask"):
            value = getattr(self, setting)
            check_label_columns(self.name, setting, value, len(self.columns))
            object.__setattr__(self, setting, tuple(value) if isinstance(value, list) else value)
        if isinstance(self.missing, list):
            object.__setattr__(self, "missing", tuple(self.missing))
        object.__setattr__(self, "where", checked_where(self.name, self.where))
        for setting in ("after", "hidden"):
            object.__setattr__(self, setting, self._as_tuple(setting))
        if not isinstance(self.reads, int):
            object.__setattr__(self, "reads", self._as_tuple("reads"))
        cleaned = self.name.replace("_", "").replace("-", "")
        if not (cleaned.isalnum() and len(self.name) <= 64):
            raise ValueError(
                f"{NAME_RULE}; got {self.name!r}: write {type(self).__name__}('a_name', column={self.name!r})"
            )
        known = [metric.name for metric in self.metrics]
        if self.primary is not None and self.primary not in known:
            raise ValueError(
                f"task {self.name!r}: primary={self.primary!r} is no metric of a {self.kind} task: {known}"
            )

    def _as_tuple(self, setting: str) -> tuple[Any, ...]:
        """A setting that may be written as a list."""
        value = getattr(self, setting)
        if isinstance(value, (list, tuple)):
            return tuple(value)
        raise ValueError(f"task {self.name!r}: {setting} is a list, got {value!r}: write {setting}=[{value!r}]")

    def _columns(self) -> tuple[str, ...]:
        """The setting `columns` of a kind that has it; the one column where it is not given."""
        columns = self._as_tuple("columns") or (self.column or self.name,)
        if self.column is not None and columns != (self.column,):
            raise ValueError(f"task {self.name!r}: give column={self.column!r} or columns={list(columns)}, not both")
        if len(set(columns)) < len(columns):
            raise ValueError(f"task {self.name!r}: a column is named twice in columns={list(columns)}")
        return columns

    @property
    def columns(self) -> Sequence[str]:
        """The columns that hold the targets (one, but for kinds that have the setting)."""
        return (self.column or self.name,)

    @property
    def weight_columns(self) -> tuple[str, ...]:
        """The columns of weights: none, one, or one for each of `columns`."""
        return as_values(self.weight)

    @property
    def mask_columns(self) -> tuple[str, ...]:
        """The columns that say which cells are labels: none, one, or one for each of `columns`."""
        return as_values(self.mask)

    @property
    def missing_values(self) -> tuple[bool | int | float | str, ...]:
        """What means "no label"."""
        return as_values(self.missing)

    @property
    def place(self) -> str:
        """How an error names the task and where its target is."""
        more = f" and {len(self.columns) - 1} more" if len(self.columns) > 1 else ""
        return f"task {self.name!r} (column {self.columns[0]!r}{more})"

    @property
    def aligned_with(self) -> str | None:
        """A column of lists, each as long as the row's target; none where a target is one cell."""
        return None

    def check_encoder(self, spec: InputSpec, kinds: Sequence[Kind]) -> None:  # noqa: B027
        """Raises ValueError where the inputs or the stages it reads lack something that this kind needs.

        Args:
            spec: of the inputs.
            kinds: what each stage of the encoder gives.
        """

    def lengths(self, inputs: Inputs) -> Int[Tensor, " batch"] | None:
        """How many places of each row's output are of the row, where outputs are padded; None: all of them.

        What is kept of outputs to judge and decode (`polytask.runs`) is NaN behind them: no later step can then
        take padding for an answer, and `decode` knows where a row ends.
        """
        return None

    def metrics_for(self, fitted: Fitted) -> tuple[Metric, ...]:
        """The metrics that fit what training found (two classes, or more), the usual primary one first."""
        return self.metrics

    def primary_metric(self, fitted: Fitted) -> Metric:
        """The metric that judges this task: `primary`, or else the first of `metrics_for(fitted)`."""
        metrics = self.metrics_for(fitted)
        return next((metric for metric in metrics if metric.name == self.primary), metrics[0])

    @abstractmethod
    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Learns classes, scale and constants from the training rows.

        Args:
            values: raw cells, `[rows]`, or `[rows, labels]` for multilabel.
            present: same shape; false where a cell is missing (its value is then anything).

        Raises:
            SchemaError: the column cannot be this kind of target; names the task, the column and an offending
                value.
        """

    @abstractmethod
    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Rows, Rows]:
        """Raw cells as the tensor the loss reads, and which cells count; `Ragged` where rows differ in length.

        A cell whose class training did not have comes back as not present. Cells that are not present hold a
        finite filler, so that no NaN meets a gradient.
        """

    def tune(self, fitted: Fitted, output: Tensor, target: Tensor, present: Tensor) -> Fitted:
        """What it has learnt, with what the validation rows teach once the weights are trained.

        Args:
            fitted: what `fit` returned.
            output: for all validation rows, under the weights that are kept.
            target: as `encode` gave them.
            present: of the target's shape.
        """
        return fitted

    def recut(self, output: Tensor, tuned: Fitted, fitted: Fitted) -> Tensor:
        """An output of a model with its own thresholds, so that those of `fitted` say the same of it."""
        return output

    def papers(self) -> tuple[str, ...]:
        """Keys of what it comes from, under its settings."""
        paper = getattr(self, "paper", None)
        return (paper,) if paper else ()

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """What each cell weighs in the loss before row weights: class weights, where the kind has them."""
        return torch.ones(present.shape, dtype=torch.float32, device=present.device)

    @abstractmethod
    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """A fresh head; called with the list of features after each stage, it gives this task's output.

        Args:
            fitted: what `fit` returned.
            widths: channels after each stage.
        """

    def output_spec(self, fitted: Fitted) -> OutputSpec:
        """What its head gives for a row."""
        classes = tuple(str(name) for name in fitted.get("classes", ()))
        return OutputSpec(tuple(self.constant(fitted, 1).shape[1:]), self.link, classes)

    @abstractmethod
    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss and Σ weight, both over present cells."""

    @abstractmethod
    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """The output of the training rows' best constant prediction under the primary metric: skill 0."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Predictions in the user's own terms: column name -> `[rows]` (usually one, named as the task)."""

    def probabilities(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """Class probabilities: column name (`task[class]`) -> `[rows]`; empty for kinds without them."""
        return {}

    def evaluate(self, output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> dict[str, float]:
        """Every metric of the kind, over all rows at once."""
        return {metric.name: metric.score(output, target, present, fitted) for metric in self.metrics_for(fitted)}

    def skill(self, value: float, constant: float, fitted: Fitted) -> float:
        """0 = as good as the best constant, 1 = perfect, negative = worse than the constant.

        For errors 1 − error/error₀, for scores (m − m₀)/(1 − m₀), where m₀ is the training rows' constant
        judged on the same rows. NaN where either is undefined or the constant is already perfect.
        """
        gap = self.primary_metric(fitted).perfect - constant
        return (value - constant) / gap if gap else float("nan")


class VectorHead(nn.Module):
    """Pools the stages it reads, joins them, and maps them linearly (or by hidden layers) to `num_outputs`.

    Args:
        task: whose `reads` and `hidden` it follows.
        widths: channels after each stage.
        num_outputs: outputs a row, `[B, num_outputs]`; None: one without an axis of its own, `[B]`.

    Raises:
        ValueError: a stage in `reads` that the encoder does not have.
    """

    def __init__(self, task: Task, widths: Sequence[int], num_outputs: int | None = None) -> None:
        super().__init__()
        self.is_scalar = num_outputs is None
        stages = (task.reads,) if isinstance(task.reads, int) else task.reads
        for stage in stages:
            if not -len(widths) <= stage < len(widths):
                raise ValueError(
                    f"task {task.name!r} reads stage {stage}, but the encoder has {len(widths)} stages: "
                    f"0 to {len(widths) - 1}, or -1 for the last"
                )
        # Counted from the front: the chain that comes may end where the deepest head of its tasks does.
        self.stages = tuple(stage % len(widths) for stage in stages)
        sizes = [sum(widths[stage] for stage in self.stages), *task.hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_outputs or 1))

    def forward(self, features: list[Feature]) -> Float[Tensor, "batch ..."]:
        """`[B, num_outputs]`, or `[B]`."""
        read = [features[stage].pooled() for stage in self.stages]
        output: Tensor = self.layers(read[0] if len(read) == 1 else torch.cat(read, dim=1))
        return output.squeeze(1) if self.is_scalar else output


def in_full_precision(output: Tensor) -> Tensor:
    """The output in float32 at least: losses are never computed in half precision."""
    return output if output.dtype == torch.float64 else output.float()


def masked(values: Tensor, present: Tensor) -> Tensor:
    """The values with 0 where they are not present: no odd filler (NaN, -1) reaches a loss or a gradient."""
    return torch.where(present, values, torch.zeros((), dtype=values.dtype, device=values.device))


def weighted_sum(losses: Tensor, present: Tensor, weight: Tensor) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Σ weight · loss and Σ weight over present cells: what `Task.loss` gives."""
    counted = masked(weight, present).to(losses.dtype)
    return (losses * counted).sum(), counted.sum()
