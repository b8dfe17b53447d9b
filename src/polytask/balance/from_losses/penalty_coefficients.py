"""A penalty on what was not expected: a task whose loss exceeds its expectation gets more weight."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class PenaltyCoefficients(Balancer):
    """w_i = 1 + ρ max(0, L_i/e_i − 1), at most `limit`: the sum, plus a penalty for every L_i above e_i.

    These are the slopes of Σ L_i + (ρ/2) Σ e_i max(0, L_i/e_i − 1)², the quadratic penalty of the constraints
    L_i ≤ e_i. While every loss is as expected it is the plain sum; the coefficient then grows with the ratio of
    the loss to what was expected of it. No weight is below 1; the weights sum to the number of tasks or more.

    e is given (the training loss of a model for that task alone, say), or it is the moving average of the task's
    own earlier losses, so that who slips back is answered; a task's first loss is what is expected of it. Losses
    and expectations are clamped at 1e-8.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        strength: ρ, at least 0.
        limit: of a weight, at least 1, so that one odd batch does not take the step.
        momentum: of the moving average, at least 0 and below 1; without effect where expectations are given.
        expectations: e, task -> loss above 0, or a list in the order of `tasks`.

    Raises:
        ValueError: a setting that cannot be; names the task.

    Example:
        >>> balancer = PenaltyCoefficients(["a", "b"], expectations={"a": 0.5, "b": 0.5})
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> balancer.backward({"a": w, "b": w / 4}, shared=[w])
        {'a': 2.0, 'b': 1.0}
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    use_when: ClassVar[str] = "You can say what loss to expect of each task: the plain sum until one exceeds it."
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    expected: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        strength: float = 1.0,
        limit: float = 10.0,
        momentum: float = 0.9,
        expectations: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= strength < float("inf"):
            raise ValueError(f"penalty_coefficients: strength={strength}, a number of at least 0 is wanted, such as 1")
        if not limit >= 1:
            raise ValueError(f"penalty_coefficients: limit={limit}, a number of at least 1 is wanted, such as 10")
        if not 0 <= momentum < 1:
            wanted = "a number from 0 to below 1 is wanted, such as 0.9"
            raise ValueError(f"penalty_coefficients: momentum={momentum}, {wanted}")
        self.strength, self.limit, self.momentum = strength, limit, momentum
        self.is_given = expectations is not None
        method = "penalty_coefficients"
        found = per_task(expectations, self.tasks, "expectations", method, default=torch.nan, above=0.0)
        self.register_buffer("expected", found)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The slopes of the penalised sum; then the losses join what is expected."""
        losses = signals.losses.clamp_min(1e-8)
        before = self.expected[signals.index]
        expected = torch.where(before.isnan(), losses, before).clamp_min(1e-8)
        if not self.is_given:
            self.expected[signals.index] = self.momentum * expected + (1 - self.momentum) * losses
        excess = (losses / expected - 1).clamp_min(0)
        return (1 + self.strength * excess).clamp_max(self.limit)
