"""PCGrad: conflicting gradients are projected onto each other's normal plane."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.draws import Draws
from polytask.gradients import Engine, Signals, solve_live


class PCGrad(Balancer):
    """Sum of the gradients after each lost its components against the others, one by one in random order.

    For each i: v = g_i; for j ≠ i in random order: if ⟨v, g_j⟩ < 0, v ← v − ⟨v, g_j⟩/‖g_j‖² g_j. Update Σ v.
    It is computed on coefficients: v = Jᵀu, ⟨v, g_j⟩ = (Gu)_j. Without conflict all weights are 1, as in a
    sum. For more than two tasks the update may still hurt one.

    Args:
        tasks: names of all tasks.
        generator: draws the orders; its state at the start is copied.
        engine: how gradients are taken.

    Paper: Yu, Kumar, Gupta, Levine, Hausman and Finn, Gradient Surgery for Multi-Task Learning, NeurIPS 2020,
    2001.06782.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "yu2020"

    def __init__(
        self, tasks: Sequence[str], generator: torch.Generator | None = None, *, engine: Engine = Engine()
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        self.draws = Draws(generator)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The summed coefficients of the projected gradients."""
        num_tasks = len(signals.names)
        with self.draws.drawing() as generator:
            keys = torch.rand(num_tasks, num_tasks, generator=generator)

        def project(gramian: np.ndarray) -> np.ndarray:
            size = len(gramian)
            return projected(gramian, keys[:size, :size].argsort(dim=1).numpy())

        return solve_live(signals.gramian, project, idle=1.0)


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
