"""Numbers brought to a common centre and spread, or to a normal distribution."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

#: Farther from the centre than this, in spreads, all values are alike (and float32 still holds their
#: squares).
FARTHEST = 1e15
#: A quantile scale has this many knots at most.
MOST_KNOTS = 1000
#: Shares of rows nearer to 0 or 1 than this are alike, so that no value is infinitely far out.
OUTERMOST = 1e-7
#: The ways to scale a number.
WAYS = ("robust", "standard", "minmax", "quantile")


@dataclass(frozen=True)
class Scale:
    """A centre, a spread, and whether what lies far out is clipped smoothly; or the knots of a distribution.

    Attributes:
        center: subtracted.
        spread: divided by; 0 where all training values were one.
        clip: whether x / sqrt(1 + (x / 3)²) follows.
        knots: training quantiles at equal steps from 0 to 1, ascending; where there are some, a value becomes the
            normal quantile of its share, and what lies beyond them ±5.2.
    """

    center: float
    spread: float
    clip: bool
    knots: tuple[float, ...] = ()

    @classmethod
    def fit(cls, values: np.ndarray, how: str) -> "Scale":
        """Learns it from the values present (NaN is not); `how` is one of `WAYS`."""
        values = values[~np.isnan(values)]
        if not len(values) or values.min() == values.max():
            return cls(0.0, 0.0, how == "robust")
        if how == "standard":
            return cls(float(values.mean()), float(values.std()), False)
        lowest, highest = float(values.min()), float(values.max())
        if how == "minmax":
            return cls(lowest, highest - lowest, False)
        if how == "quantile":
            shares = np.linspace(0, 1, min(len(values), MOST_KNOTS))
            # Rounding may put a quantile below the one before it.
            knots = np.maximum.accumulate(np.quantile(values, shares))
            return cls(float(np.median(values)), highest - lowest, False, tuple(knots.tolist()))
        low, center, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        # Where most values are one, the quartiles say nothing about the rest.
        return cls(center, high - low or (highest - lowest) / 2, True)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scaled values; missing ones are 0: the centre, under "minmax" the lowest."""
        if self.knots:
            return np.where(np.isnan(values), 0.0, self._normal(values))
        with np.errstate(over="ignore"):
            scaled = np.clip((values - self.center) / self.spread, -FARTHEST, FARTHEST)
        if self.clip:
            scaled = 3 * scaled / np.hypot(3, scaled)
        return np.where(np.isnan(values), 0.0, scaled)

    def _normal(self, values: np.ndarray) -> np.ndarray:
        """Φ⁻¹ of the share of training values below; of a value that many of them have, the middle of its shares."""
        knots = np.array(self.knots)
        shares = np.linspace(0, 1, len(knots))
        from_below = np.interp(values, knots, shares)
        from_above = -np.interp(-values, -knots[::-1], -shares[::-1])
        share = (from_below + from_above) / 2
        share = np.where(values <= knots[0], 0.0, np.where(values >= knots[-1], 1.0, share))
        return np.asarray(norm.ppf(np.clip(share, OUTERMOST, 1 - OUTERMOST)))
