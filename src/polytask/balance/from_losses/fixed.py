"""Weights chosen by hand: tuned, they match most balancers."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.errors import nearest
from polytask.gradients import Engine, Signals


class Fixed(Balancer):
    """Σ w_i L_i with given w. A task of weight 0 is measured but teaches nothing.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        weights: task -> weight >= 0, for every task; or a list in the order of `tasks`.

    Raises:
        ValueError: weights missing, left over, negative, not finite, or all zero; names the task.

    Example:
        >>> Fixed(["a", "b"], weights={"a": 1.0, "b": 0.1}).weights
        tensor([1.0000, 0.1000], dtype=torch.float64)
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        weights: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        given = _checked(weights, self.tasks)
        self.register_buffer("weights", torch.tensor([given[name] for name in self.tasks], dtype=torch.float64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The given weights of the tasks present."""
        return self.weights[signals.index]


def _checked(weights: Mapping[str, float] | Sequence[float] | None, tasks: Sequence[str]) -> dict[str, float]:
    example = "weights={" + ", ".join(f"{name!r}: 1.0" for name in tasks[:2]) + (", …}" if len(tasks) > 2 else "}")
    if weights is None:
        raise ValueError(f"fixed: it needs a weight for every task: {example}")
    if not isinstance(weights, Mapping):
        if len(weights) != len(tasks):
            raise ValueError(f"fixed: {len(weights)} weights for the {len(tasks)} tasks {list(tasks)}: {example}")
        weights = dict(zip(tasks, weights, strict=True))
    for name, weight in weights.items():
        if name not in tasks:
            raise ValueError(f"fixed: a weight for the unknown task {name!r}; {nearest(name, tasks)}")
        if not (isfinite(weight) and weight >= 0):
            raise ValueError(f"fixed: the weight of task {name!r} is {weight}, a finite number >= 0 is wanted")
    if missing := [name for name in tasks if name not in weights]:
        raise ValueError(f"fixed: no weight for task {missing[0]!r}: {example}")
    if not any(weights.values()):
        raise ValueError("fixed: all weights are 0, so nothing would be learnt: give one task a weight above 0")
    return {name: float(weight) for name, weight in weights.items()}
