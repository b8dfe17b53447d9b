"""Mean and standard deviation of values that come in pieces: the same however many processes make the pieces."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of some values, a channel each.

    Attributes:
        num_values: how many.
        mean: of each channel.
        deviation: standard deviation of each channel.
    """

    num_values: int
    mean: np.ndarray
    deviation: np.ndarray


def moments_of(values: np.ndarray, axes: tuple[int, ...]) -> Moments:
    """Over these axes."""
    mean = values.mean(axis=axes, dtype=np.float64)
    deviation = values.std(axis=axes, dtype=np.float64)
    return Moments(int(np.prod([values.shape[axis] for axis in axes])), mean, deviation)


def joined(parts: Iterable[Moments]) -> Moments:
    """Of all values of these parts, in their order.

    A channel that is constant has deviation 1, so that dividing by it changes nothing.

    Paper: Chan, Golub, LeVeque: Algorithms for computing the sample variance. The American Statistician 1983.
    """
    count, mean, squares = 0, np.zeros(0), np.zeros(0)
    for part in parts:
        if not part.num_values:
            continue
        if not count:
            count, mean, squares = part.num_values, part.mean, part.deviation**2 * part.num_values
            deviation = part.deviation
            continue
        total = count + part.num_values
        step = part.mean - mean
        mean = mean + step * (part.num_values / total)
        squares = squares + part.deviation**2 * part.num_values + step**2 * (count * part.num_values / total)
        count = total
        deviation = np.sqrt(squares / count)
    if not count:
        return Moments(0, mean, squares)
    # What rounding leaves of a constant channel is no deviation.
    varies = deviation > 1e-12 * np.abs(mean)
    return Moments(count, mean, np.where(varies, deviation, 1.0))
