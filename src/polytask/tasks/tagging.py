"""Tagging: a class for every token of a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from polytask.errors import SchemaError
from polytask.feature import Inputs, InputSpec, Kind, mask_of
from polytask.ragged import Ragged
from polytask.tasks.base import Fitted, Metric, Task, in_full_precision, masked, weighted_sum
from polytask.tasks.classes import as_array, counted, positions, weights_by_class
from polytask.tasks.scores import NAN
from polytask.tasks.spans import SpanFinder, has_spans, span_f1
from polytask.tasks.token_head import TokenHead, no_sequence
from polytask.wording import shown


def _fitted_to(cells: Tensor, length: int) -> Tensor:
    """The cells `[rows, length, …]`: cut, or filled up with 0 (false)."""
    if cells.shape[1] >= length:
        return cells[:, :length]
    filler = cells.new_zeros(cells.shape[0], length - cells.shape[1], *cells.shape[2:])
    return torch.cat([cells, filler], dim=1)


def _predicted(output: Tensor, length: int) -> Tensor:
    """Codes of the predicted tags `[rows, length]`; an output of one place stands for all of them (a constant)."""
    codes = output.detach().cpu().argmax(dim=2)
    return codes.expand(-1, length) if codes.shape[1] == 1 else _fitted_to(codes, length)


def token_accuracy(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """The share of present tokens with the right tag; NaN without any."""
    kept = present.cpu()
    is_right = _predicted(output, kept.shape[1]) == target.detach().cpu()
    return float(is_right[kept].double().mean()) if bool(kept.any()) else NAN


def micro_span_f1(output: Tensor, target: Tensor, present: Tensor, fitted: Fitted) -> float:
    """F1 of exact spans, of all types together; a token that is not present is outside of all spans."""
    kept = present.cpu().numpy()
    if not kept.any():
        return NAN
    pair = (_predicted(output, kept.shape[1]), target.detach().cpu())
    predicted, wanted = (np.where(kept, codes.numpy(), -1) for codes in pair)
    return span_f1(predicted, wanted, SpanFinder(fitted["classes"]))


SPAN_F1 = Metric("span_f1", micro_span_f1)
TOKEN_ACCURACY = Metric("token_accuracy", token_accuracy)


@dataclass(frozen=True, kw_only=True)
class Tagging(Task):
    """A class for every token of a row: cross entropy over the tokens that have a tag.

    The column holds a list of tags a row, one for each token. Output `[B, L, classes]`, from a stage that gives a
    sequence; the loss of a token is −log softmax(z)_tag, and every token with a tag weighs the same unless classes are
    balanced. None or an empty list is a missing row, None in a list a missing token, and so is a tag that training had
    not.

    Tags of the form B-type, I-type (also E-type, S-type) and O mark spans: then the primary metric is `span_f1`, the F1
    of spans that are right in beginning, end and type, all types together, as conlleval counts them. Other tags are
    judged by `token_accuracy`. Predictions are lists, each as long as its row.

    Args:
        tokens: the column of tokens, which has a list as long as the tags in every row; it must be an input. Where not
            given, the only sequence among the inputs, and lengths are not compared.
        class_weight: "balanced" weighs a tag N/(C n_c), by the tokens of the training rows; all weigh 1 where not
            given.

    Example:
        >>> task = Tagging("slots", tokens="words")
        >>> values = np.empty(2, dtype=object)
        >>> values[:] = [["O", "B-city"], ["O"]]
        >>> task.fit(values, np.ones(2, dtype=bool))
        {'classes': ['B-city', 'O'], 'counts': [1, 2], 'best_span_tag': 0}

    Paper: Tjong Kim Sang, Buchholz: Introduction to the CoNLL-2000 shared task: chunking. CoNLL 2000 (how spans are
        counted).
    """

    tokens: str | None = None
    class_weight: Literal["balanced"] | None = None

    kind: ClassVar[str] = "tagging"
    spatial: ClassVar[Literal["mask", "boxes", "keypoints", "places"] | None] = "places"
    paper: ClassVar[str] = "tjongkimsang2000"
    link: ClassVar[Literal["softmax", "sigmoid", "identity"]] = "softmax"
    metrics: ClassVar[tuple[Metric, ...]] = (SPAN_F1, TOKEN_ACCURACY)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokens is not None and (not isinstance(self.tokens, str) or self.tokens == self.columns[0]):
            raise ValueError(
                f"task {self.name!r}: tokens is the name of another column, that of the tokens, got {self.tokens!r}"
            )
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f"task {self.name!r}: class_weight is 'balanced' or None, got {self.class_weight!r}")

    @property
    def aligned_with(self) -> str | None:
        """The tokens."""
        return self.tokens

    def metrics_for(self, fitted: Fitted) -> tuple[Metric, ...]:
        """With that of spans, where tags mark them."""
        return self.metrics if has_spans(fitted["classes"]) else (TOKEN_ACCURACY,)

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Finds the tags: `{"classes": [...], "counts": [...]}`, and that which gives the best spans alone.

        Raises:
            SchemaError: no or one tag only, cells that are no lists, a primary metric that these tags have not.
        """
        tags, known, lengths = self._flat(values, present)
        found = counted(tags, known, self.place)
        classes, counts = [value for value, _ in found.values()], [number for _, number in found.values()]
        if len(classes) == 1:
            raise SchemaError(
                f"{self.place}: tagging needs two tags or more, but the training rows hold one only, {classes[0]!r}"
            )
        fitted: Fitted = {"classes": classes, "counts": counts}
        usable = [metric.name for metric in self.metrics_for(fitted)]
        if self.primary is not None and self.primary not in usable:
            raise SchemaError(
                f"{self.place}: primary={self.primary!r} needs tags such as B-city, I-city and O, "
                f"but there are {shown(classes[:5])}; known: {usable}"
            )
        if len(usable) > 1:
            codes = torch.from_numpy(positions(tags, known, classes, self.place))
            wanted = Ragged(codes, torch.from_numpy(lengths)).padded()
            fitted["best_span_tag"] = _best_span_tag(np.where(wanted[1], wanted[0], -1), classes)
        return fitted

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Ragged, Ragged]:
        """Codes of the tags, int64, and which are present: rows of different lengths."""
        tags, known, lengths = self._flat(values, present)
        found = Ragged(
            torch.from_numpy(positions(tags, known, fitted["classes"], self.place)), torch.from_numpy(lengths)
        )
        return found.map(lambda codes: codes.clamp_min(0)), found.map(lambda codes: codes >= 0)

    def cell_weight(self, target: Tensor, present: Tensor, fitted: Fitted) -> Float[Tensor, "rows ..."]:
        """Each token's class weight."""
        weights = weights_by_class(self.class_weight, fitted["classes"], fitted["counts"])
        return torch.tensor(weights, dtype=torch.float32, device=target.device)[target]

    def check_encoder(self, spec: InputSpec, kinds: Sequence[Kind]) -> None:
        """Refuses inputs among which the tokens are not, and stages without an axis of tokens."""
        self._source([*spec.sequences])
        for stage in (self.reads,) if isinstance(self.reads, int) else self.reads:
            if -len(kinds) <= stage < len(kinds) and kinds[stage] != "sequence":
                raise ValueError(no_sequence(self.name, stage))

    def lengths(self, inputs: Inputs) -> Tensor:
        """Of the rows, as the mask of the tokens has them."""
        marks = {mask_of(name): name for name in inputs}
        source = self._source([marks[key] for key in inputs if key in marks])
        return inputs[mask_of(source)].sum(dim=1)

    def _source(self, sequences: Sequence[str]) -> str:
        """Which sequence the tags belong to."""
        if self.tokens is not None and self.tokens in sequences:
            return self.tokens
        if self.tokens is None and len(sequences) == 1:
            return sequences[0]
        wanted = "tokens=…, the column of them" if self.tokens is None else f"{self.tokens!r} among the inputs"
        names = ", ".join(map(repr, sequences)) or "none"
        raise ValueError(
            f"task {self.name!r} tags the tokens of a row and wants {wanted}; the sequences among them: {names}"
        )

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """One output a token and tag."""
        return TokenHead(self, widths, len(fitted["classes"]))

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · cross entropy and Σ weight over present tokens.

        Raises:
            ValueError: tokens with a tag for which there is no output.
        """
        length = output.shape[1]
        if target.shape[1] > length and bool(present[:, length:].any()):
            raise ValueError(
                f"task {self.name!r}: the model gives {length} outputs a row, but rows have up to {target.shape[1]} "
                "tags; let it read a stage that keeps every token: reads=…"
            )
        target, present, weight = (_fitted_to(cells, length) for cells in (target, present, weight))
        logits = masked(in_full_precision(output), present.unsqueeze(2))
        losses = functional.cross_entropy(logits.transpose(1, 2), masked(target, present).long(), reduction="none")
        return weighted_sum(losses, present, weight)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """One place for all of a row: the tags' frequencies; under `span_f1` the tag that gives the best spans."""
        counts = torch.tensor(fitted["counts"], dtype=torch.float32)
        logits = (counts / counts.sum()).log()
        if self.primary_metric(fitted) is SPAN_F1:
            logits[fitted["best_span_tag"]] = logits.max() + 1e-3
        return logits.repeat(num_rows, 1, 1)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """A list of tags a row, which ends where the outputs are NaN (see `lengths`)."""
        output = output.detach().cpu()
        is_there = ~output.isnan().any(dim=2)
        tags, column = as_array(fitted["classes"])[output.argmax(dim=2).numpy()], np.empty(len(output), dtype=object)
        for row, length in enumerate(is_there.sum(dim=1).tolist()):
            column[row] = tags[row, :length].tolist()
        return {self.name: column}

    def _flat(self, values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All rows' tags one behind the other, which of them are there, and the rows' lengths (0 where missing)."""
        if values.ndim != 1:
            raise SchemaError(f"{self.place}: one column of lists is wanted, got {list(values.shape)} cells")
        lengths = np.zeros(len(values), dtype=np.int64)
        for row in np.flatnonzero(present):
            cell = values[row]
            if not isinstance(cell, (list, tuple, np.ndarray)) or np.ndim(cell) > 1:
                raise SchemaError(
                    f"{self.place}: a cell is a list of tags, one for each token, got {shown(cell)} in row {row}; "
                    "split the text into a list; CSV has no lists: write JSON Lines or Parquet"
                )
            lengths[row] = len(cell)
        tags = np.empty(int(lengths.sum()), dtype=object)
        flat: list[Any] = [tag for row in np.flatnonzero(lengths) for tag in values[row]]
        tags[:] = flat
        known = np.array([tag is not None and tag == tag for tag in flat], dtype=bool)
        return tags, known, lengths


def _best_span_tag(wanted: np.ndarray, classes: Sequence[Any]) -> int:
    """The tag that gives the highest F1 of spans where it is predicted for every token."""
    find = SpanFinder(classes)
    scores = [span_f1(np.where(wanted >= 0, code, -1), wanted, find) for code in range(len(classes))]
    return int(np.nanargmax(scores)) if not np.isnan(scores).all() else 0
