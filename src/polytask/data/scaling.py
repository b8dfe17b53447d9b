"""Numbers brought to a common centre and spread."""

from dataclasses import dataclass

import numpy as np

#: Farther from the centre than this, in spreads, all values are alike (and float32 still holds their
#: squares).
FARTHEST = 1e15


@dataclass(frozen=True)
class Scale:
    """A centre, a spread, and whether what lies far out is clipped smoothly.

    Attributes:
        center: subtracted.
        spread: divided by; 0 where all training values were one.
        clip: whether x / sqrt(1 + (x / 3)²) follows.
    """

    center: float
    spread: float
    clip: bool

    @classmethod
    def fit(cls, values: np.ndarray, how: str) -> "Scale":
        """Learns it from the values present (NaN is not)."""
        values = values[~np.isnan(values)]
        if not len(values) or values.min() == values.max():
            return cls(0.0, 0.0, how == "robust")
        if how == "standard":
            return cls(float(values.mean()), float(values.std()), False)
        low, center, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        # Where most values are one, the quartiles say nothing about the rest.
        return cls(center, high - low or float(values.max() - values.min()) / 2, True)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scaled values; missing ones are 0, the centre."""
        with np.errstate(over="ignore"):
            scaled = np.clip((values - self.center) / self.spread, -FARTHEST, FARTHEST)
        if self.clip:
            scaled = 3 * scaled / np.hypot(3, scaled)
        return np.where(np.isnan(values), 0.0, scaled)
