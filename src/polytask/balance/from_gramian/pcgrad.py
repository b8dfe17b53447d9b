"""PCGrad: conflicting gradients are projected onto each other's normal plane."""

from collections.abc import Sequence
from itertools import permutations
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.draws import Draws
from polytask.gradients import Engine, Signals, solve_live

#: The mean over all orders takes as many projections as there are permutations.
MOST_TASKS = 6


class PCGrad(Balancer):
    """Sum of the gradients after each lost its components against the others, one by one in random order.

    For each i: v = g_i; for j ≠ i in random order: if ⟨v, g_j⟩ < 0, v ← v − ⟨v, g_j⟩/‖g_j‖² g_j. Update Σ v.
    It is computed on coefficients: v = Jᵀu, ⟨v, g_j⟩ = (Gu)_j. Without conflict all weights are 1, as in a
    sum. For more than two tasks the update may still hurt one.

    The update has the length of a *sum* of the gradients.

    Args:
        tasks, engine: as for every `Balancer`.
        generator: draws the orders; its state at the start is copied.
        orders: how many orders a step are drawn and averaged, at least 1 (the paper's); "all" for the mean
            over every order, which draws nothing, for up to 6 tasks.

    Raises:
        ValueError: orders below 1, or "all" of more than 6 tasks.

    Paper: Yu, Kumar, Gupta, Levine, Hausman and Finn, Gradient Surgery for Multi-Task Learning, NeurIPS 2020,
    2001.06782.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "yu2020"
    use_when: ClassVar[str] = (
        "Gradients conflict, few tasks, lengths as in a sum; of three or more, one may still be hurt."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        orders: int | Literal["all"] = 1,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if isinstance(orders, str):
            if orders != "all" or len(self.tasks) > MOST_TASKS:
                reason = f"up to {MOST_TASKS} tasks can take 'all' orders; name a number of draws, such as 100"
                raise ValueError(f"pcgrad: orders={orders!r} for {len(self.tasks)} tasks: {reason}")
        elif orders < 1:
            raise ValueError(f"pcgrad: orders={orders}, at least 1 is wanted, or 'all'")
        self.orders = orders
        self.draws = Draws(generator)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The summed coefficients of the projected gradients, averaged over orders."""
        num_tasks = len(signals.names)
        if isinstance(self.orders, str):
            return solve_live(signals.gramian, expected, idle=1.0)
        with self.draws.drawing() as generator:
            keys = torch.rand(self.orders, num_tasks, num_tasks, generator=generator)

        def project(gramian: np.ndarray) -> np.ndarray:
            size = len(gramian)
            drawn = keys[:, :size, :size].argsort(dim=2).numpy()
            return np.asarray(sum(projected(gramian, order) for order in drawn) / len(drawn))

        return solve_live(signals.gramian, project, idle=1.0)


def expected(gramian: Float[np.ndarray, "tasks tasks"]) -> Float[np.ndarray, " tasks"]:
    """PCGrad's weights, averaged over all orders.

    A gradient's projection depends on its own order alone, so one order for all averages to the same.
    """
    size = len(gramian)
    orders = list(permutations(range(size)))
    return np.asarray(sum(projected(gramian, np.tile(order, (size, 1))) for order in orders) / len(orders))


def projected(
    gramian: Float[np.ndarray, "tasks tasks"], order: Int[np.ndarray, "tasks tasks"]
) -> Float[np.ndarray, " tasks"]:
    """PCGrad's weights for given orders: row i lists the tasks as g_i meets them (itself is skipped).

    Example:
        >>> projected(np.array([[9.0, -3.0], [-3.0, 5.0]]), np.array([[0, 1], [0, 1]]))
        array([1.33333333, 1.6 ])
    """
    rows = np.arange(len(gramian))
    coefficients = np.eye(len(gramian))
    inner = gramian.copy()  # inner[i, j] = ⟨v_i, g_j⟩
    for met in order.T:
        overlap = inner[rows, met]
        # The original g_j, never its projected version, and never oneself.
        factor = np.where((overlap < 0) & (met != rows), overlap / gramian[met, met], 0.0)
        coefficients[rows, met] -= factor
        inner -= factor[:, None] * gramian[met]
    return np.asarray(coefficients.sum(axis=0))
