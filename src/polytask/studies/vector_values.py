"""Row values of several numbers a row, any of which may be missing: their mean over rows is the metric.

A mean over present cells is a ratio, of which the cells' number is as much drawn as their sum; a row's value is the
mean plus n/N times the sum over its present cells of (value − mean), with n rows and N present cells in all.
"""

import numpy as np
from jaxtyping import Bool, Float

#: Predictions of several seeds, and the cells they are of.
Predicted = Float[np.ndarray, "seeds rows outputs"]
Cells = Float[np.ndarray, "rows outputs"]
Present = Bool[np.ndarray, "rows outputs"]


def mean_r2(predicted: Predicted, target: Cells, present: Present) -> Float[np.ndarray, "seeds rows"]:
    """Each row's share of the outputs' mean R², the targets' variances held fixed.

    Those outputs count that have two different present cells.
    """
    number = present.sum(axis=0)
    mean = np.where(present, target, 0.0).sum(axis=0) / np.maximum(number, 1)
    low, high = (fold(np.where(present, target, np.nan), axis=0) for fold in (np.fmin.reduce, np.fmax.reduce))
    varies = (number > 1) & (low < high)
    if not varies.any():
        return np.full(predicted.shape[:2], np.nan)
    variance = np.where(present, (target - mean) ** 2, 0.0).sum(axis=0)[varies] / number[varies]
    shares = 1 - (predicted - target)[..., varies] ** 2 / variance
    by_output = [_mean(shares[..., [k]], present[:, varies][:, [k]]) for k in range(shares.shape[2])]
    return np.asarray(np.mean(by_output, axis=0))


def mean_squared_error(predicted: Predicted, target: Cells, present: Present) -> Float[np.ndarray, "seeds rows"]:
    """Each row's share of the mean squared error over present cells."""
    return _mean((predicted - target) ** 2, present)


def mean_absolute_error(predicted: Predicted, target: Cells, present: Present) -> Float[np.ndarray, "seeds rows"]:
    """Each row's share of the mean absolute error over present cells."""
    return _mean(np.abs(predicted - target), present)


def mean_root_squared_error(predicted: Predicted, target: Cells, present: Present) -> Float[np.ndarray, "seeds rows"]:
    """Each row's share of the root of the mean squared error, linear around each seed's own."""
    squares = mean_squared_error(predicted, target, present)
    root = np.sqrt(squares.mean(axis=1, keepdims=True))
    return root + (squares - root**2) / np.where(root > 0, 2 * root, 1.0)


def _mean(values: Predicted, present: Present) -> Float[np.ndarray, "seeds rows"]:
    number = present.sum()
    mean = np.where(present, values, 0.0).sum(axis=(1, 2), keepdims=True) / number
    away = np.where(present, values - mean, 0.0).sum(axis=2)
    return np.asarray(mean[..., 0] + away * (len(present) / number))
