"""How much each row contributes to a metric of pairs: the ROC-AUC of a Similarity task."""

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch.nn import functional

from polytask.studies.influence import mean_over, placements

#: Pairs are judged over all rows up to this many, as the task's metric does; see `judged_rows`.
MOST_ROWS = 4096


def judged_rows(num_rows: int) -> Int[np.ndarray, " judged"]:
    """The rows whose pairs the metric of a Similarity task judges: all, or 4,096 drawn with seed 0."""
    if num_rows <= MOST_ROWS:
        return np.arange(num_rows)
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(0))[:MOST_ROWS].numpy()


def pairs_roc_auc(
    output: Float[np.ndarray, "seeds rows dim"],
    identity: Shaped[np.ndarray, " rows"],
    *,
    groups: Shaped[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, "seeds rows"]:
    """Row values of the ROC-AUC over all pairs of rows: "same" against "different", by −distance.

    The placement V of a same pair is the share of different pairs that lie farther apart, that of a different pair
    the share of same pairs that lie nearer (ties count half); AUC is the mean of either. A row has the value

        AUC + n · [Σ c (V − AUC) over its same pairs / #same + Σ c (V − AUC) over its different pairs / #different]

    with c = 1 for a pair of two groups, and 1/2 for a pair within one: such a pair comes and goes with its group, and
    its two rows share it. Summed over a group, that is n times the slope of AUC along the group's weight (infinitesimal
    jackknife): the mean over rows is AUC, and `evidence_of` with the same groups has the jackknife's variance.

    Above 4,096 rows the metric judges the pairs of 4,096 drawn ones; the others then have the value AUC, and those
    drawn count for all (`mean_over`).

    Args:
        output: embeddings, as the task's head gives them.
        identity: of the rows; any values that can be compared.
        groups: what is drawn as a whole, as `evidence_of` is to be given it; the identities where not given, as rows
            of one identity share their pairs. A number a row: rows are drawn one by one.

    Returns:
        The values; NaN throughout without a pair of either kind, and for a seed whose embeddings have NaN.

    Paper: B. Efron, The jackknife, the bootstrap and other resampling plans, SIAM 1982, chapter 6.

    Example:
        >>> line = np.array([[[0.0], [1.0], [1.5], [9.0]]])
        >>> float(pairs_roc_auc(line, np.array(["ann", "ann", "bob", "bob"])).mean())
        0.625
    """
    num_rows = len(identity)
    rows = judged_rows(num_rows)
    names = [
        np.unique(name, return_inverse=True)[1][rows] for name in (identity, identity if groups is None else groups)
    ]
    first, second = np.triu_indices(len(rows), k=1)
    same, is_within = (name[first] == name[second] for name in names)
    share = np.where(is_within, 0.5, 1.0) / np.where(same, same.sum(), (~same).sum())
    values = np.full((len(output), len(rows)), np.nan)
    for seed, embedding in enumerate(np.asarray(output, dtype=np.float32)):
        # Distances as the task's metric takes them: the same rounding, so the same ties.
        distance = functional.pdist(torch.from_numpy(embedding[rows])).numpy()
        if same.all() or not same.any() or np.isnan(distance).any():
            continue
        places = placements(-distance, same)
        area = places[same].mean()
        slope = share * (places - area)
        by_row = np.bincount(first, slope, len(rows)) + np.bincount(second, slope, len(rows))
        values[seed] = area + len(rows) * by_row
    return mean_over({"": values}, {"": rows}, num_rows=num_rows) if len(rows) < num_rows else values
