"""Similarity: rows of one identity lie near each other, rows of two lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from polytask.errors import SchemaError
from polytask.feature import Feature
from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision, masked
from polytask.tasks.classes import class_key, counted, factorized
from polytask.tasks.scores import NAN, on_present, roc_auc

#: Pairs are judged over all rows up to this many, beyond it over a fixed draw of this many.
MOST_ROWS = 4096


def distances(rows: Float[Tensor, "rows dim"], others: Float[Tensor, "others dim"]) -> Float[Tensor, "rows others"]:
    """Euclidean distances; the gradient is 0 where a distance is."""
    # By differences, not by matrix product: that loses all digits between near rows.
    with torch.autocast(rows.device.type, enabled=False):
        return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")


def pairs_auc(output: Float[Tensor, "rows dim"], target: Shaped[Tensor, " rows"]) -> float:
    """ROC-AUC of −distance over all pairs of rows: "same" against "different".

    Above 4,096 rows it is of all pairs among 4,096 rows, the first of a permutation drawn with seed 0.
    """
    if len(target) > MOST_ROWS:
        drawn = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
        output, target = output[drawn], target[drawn]
    # Each pair once, as one float32 and one flag: a square of all rows is never held.
    distance = functional.pdist(output.float())
    same = [target[row] == target[row + 1 :] for row in range(len(target) - 1)]
    return roc_auc(-distance, torch.cat(same)) if same else NAN


class EmbeddingHead(nn.Module):
    """An embedding a row, of length 1 where asked."""

    def __init__(self, task: "Similarity", widths: Sequence[int]) -> None:
        super().__init__()
        self.embed = VectorHead(task, widths, task.dim)
        self.normalize = task.normalize

    def forward(self, features: list[Feature]) -> Float[Tensor, "batch dim"]:
        """`[B, dim]`."""
        embedding: Tensor = self.embed(features)
        return functional.normalize(in_full_precision(embedding), dim=1) if self.normalize else embedding


@dataclass(frozen=True, kw_only=True)
class Similarity(Task):
    """An embedding in which rows of one identity lie near each other: a person, a product, a character.

    The column holds each row's identity. A batch's pairs are all i < j of its rows; with d the distance of a
    pair's embeddings, `[B, dim]`, and m the margin, a pair costs

    - "contrastive": d²/2 if the identities are the same, else max(0, m − d)²/2
    - "margin": max(0, d − p) if they are the same, else max(0, m − d), p the positive margin

    and weighs the product of its rows' weights. It is judged by the ROC-AUC of −d over all pairs of the rows
    given (of 4,096 rows, drawn with a fixed seed, where there are more). Identities need not be known from
    training.

    Args:
        dim: of the embedding.
        normalize: embeddings have length 1, so that distances lie in [0, 2].
        criterion: the loss of a pair.
        margin: m > 0: how far apart different identities are pushed.
        positive_margin: p >= 0, of the "margin" criterion.
        balance_pairs: pairs of one identity and pairs of two weigh the same in a batch that has both.

    Example:
        >>> task = Similarity("person", dim=2)
        >>> task.fit(np.array(["ann", "bob", "ann"]), np.ones(3, dtype=bool))
        {'identities': 2, 'rows': 3, 'pairs': 3, 'same_pairs': 1}

    Paper: Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping. CVPR 2006. The
        "margin" criterion is the contrastive loss of pytorch-metric-learning (Musgrave, Belongie, Lim 2020,
        arXiv 2008.09164).
    """

    dim: int = 64
    normalize: bool = True
    criterion: Literal["contrastive", "margin"] = "contrastive"
    margin: float = 1.0
    positive_margin: float = 0.0
    balance_pairs: bool = True

    kind: ClassVar[str] = "similarity"
    paper: ClassVar[str] = "hadsell2006"
    uses_pairs: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("roc_auc", on_present(pairs_auc)),)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.criterion not in ("contrastive", "margin"):
            raise ValueError(f"task {self.name!r}: criterion is 'contrastive' or 'margin', got {self.criterion!r}")
        if self.dim < 1:
            raise ValueError(f"task {self.name!r}: dim is a whole number >= 1, got {self.dim}")
        if not (0 < self.margin < float("inf") and 0 <= self.positive_margin < self.margin):
            raise ValueError(
                f"task {self.name!r}: margin > positive_margin >= 0 is wanted, got margin={self.margin}, "
                f"positive_margin={self.positive_margin}"
            )

    def fit(self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."]) -> Fitted:
        """Counts identities and pairs: `{"identities", "rows", "pairs", "same_pairs"}`.

        Raises:
            SchemaError: no two rows share an identity, or all do.
        """
        counts = [number for _, number in counted(values, present, self.place).values()]
        rows, same = sum(counts), sum(number * (number - 1) // 2 for number in counts)
        pairs = rows * (rows - 1) // 2
        if same in (0, pairs):
            what = "every row is of one identity" if same else "no two rows share an identity"
            raise SchemaError(
                f"{self.place}: pairs of one identity and of two are wanted, but among {rows} rows {what}"
            )
        return {"identities": len(counts), "rows": rows, "pairs": pairs, "same_pairs": same}

    def encode(
        self, values: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, "rows ..."], fitted: Fitted
    ) -> tuple[Shaped[Tensor, "rows ..."], Bool[Tensor, "rows ..."]]:
        """Numbers that are equal where identities are, int64 `[rows]`; they mean nothing across calls."""
        codes, distinct = factorized(values, present, self.place)
        number = {key: k for k, key in enumerate(dict.fromkeys(map(class_key, distinct)))}
        table = np.array([number[class_key(value)] for value in distinct] + [-1], dtype=np.int64)
        found = torch.from_numpy(table[codes])
        return found.clamp_min(0), found >= 0

    def head(self, fitted: Fitted, widths: Sequence[int]) -> nn.Module:
        """An embedding of `dim` numbers."""
        return EmbeddingHead(self, widths)

    def loss(
        self,
        output: Float[Tensor, "batch ..."],
        target: Shaped[Tensor, "batch ..."],
        present: Bool[Tensor, "batch ..."],
        weight: Float[Tensor, "batch ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Σ weight · loss and Σ weight over the pairs of present rows."""
        embedding = masked(in_full_precision(output), present.unsqueeze(1))
        distance = distances(embedding, embedding)
        weight = masked(weight, present).to(embedding.dtype)
        weights = torch.outer(weight, weight).triu(diagonal=1)
        same = target.unsqueeze(1) == target
        losses = torch.where(same, self._near(distance), self._far(distance))
        return (losses * self._balanced(weights, same)).sum(), weights.sum()

    def _near(self, distance: Tensor) -> Tensor:
        if self.criterion == "contrastive":
            return distance.square() / 2
        return (distance - self.positive_margin).clamp_min(0)

    def _far(self, distance: Tensor) -> Tensor:
        short = (self.margin - distance).clamp_min(0)
        return short.square() / 2 if self.criterion == "contrastive" else short

    def _balanced(self, weights: Tensor, same: Tensor) -> Tensor:
        """The pairs' weights with half of their sum on either side, where there are both."""
        near = masked(weights, same).sum()
        far = weights.sum() - near
        if not self.balance_pairs:
            return weights
        has_both = (near > 0) & (far > 0)
        half = (near + far) / 2
        tiny = torch.finfo(weights.dtype).tiny
        scale = torch.where(same, half / near.clamp_min(tiny), half / far.clamp_min(tiny))
        return torch.where(has_both, weights * scale, weights)

    def constant(self, fitted: Fitted, num_rows: int) -> Float[Tensor, "rows ..."]:
        """The same embedding for all rows: ROC-AUC 1/2."""
        return torch.zeros(num_rows, self.dim)

    def decode(self, output: Float[Tensor, "rows ..."], fitted: Fitted) -> dict[str, np.ndarray]:
        """The embedding, one column a dimension: `task[0]`, `task[1]`, …"""
        columns = output.detach().cpu().float().numpy().T
        return {f"{self.name}[{k}]": column for k, column in enumerate(columns)}
