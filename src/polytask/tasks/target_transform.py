"""Transforms of a target's numbers that make a skewed one more even, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: Their names.
Transform = Literal["none", "log", "log1p", "box_cox", "yeo_johnson"]
#: Below (or at) this, a transform is not defined.
LOWEST = {"log": 0.0, "log1p": -1.0, "box_cox": 0.0}
#: Predictions are kept within this many widths of the training numbers' range.
WIDTHS = 10.0


@dataclass(frozen=True)
class TargetTransform:
    """One of them, as fitted on training numbers: t = T(y), rising in y.

    - "log": ln y
    - "log1p": ln(1 + y)
    - "box_cox": (y^λ − 1)/λ, ln y where λ = 0
    - "yeo_johnson": ((1 + y)^λ − 1)/λ for y >= 0, −((1 − y)^(2−λ) − 1)/(2 − λ) for y < 0, logarithms where these
      powers are 0

    λ is that of the highest likelihood under a normal distribution.

    Args:
        name: of the transform.
        power: λ; of no effect on logarithms.
        low: the smallest prediction, in own units.
        high: the largest.

    Example:
        >>> found = TargetTransform.fit("log", np.array([1.0, 10.0, 100.0]))
        >>> found.inverse(found(np.array([10.0]))).round(6).tolist(), found.prediction(np.array([1e9])).tolist()
        ([10.0], [1090.0])

    Paper: Box, Cox: An analysis of transformations. Journal of the Royal Statistical Society B 1964. Yeo, Johnson: A
        new family of power transformations to improve normality or symmetry. Biometrika 2000.
    """

    name: Transform
    power: float
    low: float
    high: float

    @classmethod
    def fit(cls, name: Transform, values: np.ndarray) -> "TargetTransform":
        """Learns from training numbers that it is defined for."""
        lowest, highest = float(values.min()), float(values.max())
        power = 1.0
        if name in ("box_cox", "yeo_johnson") and lowest < highest:
            from sklearn.preprocessing import PowerTransformer

            method = name.replace("_", "-")
            power = float(PowerTransformer(method, standardize=False).fit(values[:, None]).lambdas_[0])
        margin = WIDTHS * (highest - lowest)
        return cls(name, power, max(lowest - margin, LOWEST.get(name, -np.inf)), highest + margin)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """T(y)."""
        from scipy import special, stats

        forward: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "log": np.log,
            "log1p": np.log1p,
            "box_cox": lambda y: special.boxcox(y, self.power),
            "yeo_johnson": lambda y: stats.yeojohnson(y, self.power),
        }
        with np.errstate(divide="ignore"):
            return np.asarray(forward[self.name](np.asarray(values, dtype=np.float64)))

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Y of T(y)."""
        if self.name == "log":
            return np.asarray(np.exp(values))
        if self.name == "log1p":
            return np.asarray(np.expm1(values))
        if self.name == "box_cox":
            return 1 + _from_power(values, self.power)
        positive = _from_power(np.maximum(values, 0.0), self.power)
        return np.where(values >= 0, positive, -_from_power(np.maximum(-values, 0.0), 2 - self.power))

    def prediction(self, values: np.ndarray) -> np.ndarray:
        """Y of T(y), kept between `low` and `high`, whatever the values are: some are no number's T."""
        edges = self(np.array([self.low, self.high]))
        return np.clip(self.inverse(np.clip(values, edges[0], edges[1])), self.low, self.high)


def _from_power(values: np.ndarray, power: float) -> np.ndarray:
    """The x of ((1 + x)^power − 1)/power, exact to the last digits about 0."""
    if power == 0:
        return np.expm1(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.expm1(np.log1p(np.maximum(power * values, -1.0)) / power)
