"""How uneven labels are: the imbalance ratio of each, and their mean."""

import numpy as np
from jaxtyping import Float


def imbalance_ratios(positives: Float[np.ndarray, " labels"]) -> Float[np.ndarray, " labels"]:
    """IRLbl(l) = max over l' of n(l') ÷ n(l); infinite for a label without positives.

    Args:
        positives: rows that have the label, one number a label.

    Example:
        >>> imbalance_ratios(np.array([8.0, 4.0, 1.0])).tolist()
        [1.0, 2.0, 8.0]

    Paper: Charte, Rivera, del Jesus, Herrera: Addressing imbalance in multilabel classification: measures and
        random resampling algorithms, Neurocomputing 163, 2015.
    """
    counts = np.asarray(positives, dtype=np.float64)
    ratios = np.full(counts.shape, np.inf)
    return np.divide(counts.max(initial=0.0), counts, out=ratios, where=counts > 0)


def mean_imbalance_ratio(positives: Float[np.ndarray, " labels"]) -> float:
    """MeanIR: the mean of `imbalance_ratios` over the labels that have positives; 1 where there is none.

    Example:
        >>> round(mean_imbalance_ratio(np.array([8.0, 4.0, 1.0])), 3)
        3.667
    """
    ratios = imbalance_ratios(positives)
    ratios = ratios[np.isfinite(ratios)]
    return float(ratios.mean()) if len(ratios) else 1.0
