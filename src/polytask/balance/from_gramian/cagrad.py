"""CAGrad: near the mean gradient, the update that helps the worst-off task most."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals, cone_projection, factor, shortest_combination, solve_live

#: Below this length (gradients scaled to a mean squared norm of 1) a combination of gradients counts as zero:
#: what rounding of G in float64 leaves.
ZERO = 1e-7


class CAGrad(Balancer):
    """max over d of min_i ⟨g_i, d⟩ with ‖d − g₀‖ ≤ c‖g₀‖, where g₀ is the mean gradient.

    d = g₀ + φ g_w/‖g_w‖ with φ = c‖g₀‖, g_w = Jᵀw, and w the minimum of g₀ᵀg_w + φ‖g_w‖ over the simplex.
    c = 0 is the mean. For c < 1 the update still descends on the mean loss and its fixed points are those of
    the mean; for c ≥ 1 it hurts no task, and stops at any Pareto stationary point.

    The update has the length of a *mean* of the gradients: the learning rate of a sum is to be multiplied by
    the number of tasks. A single task has the weight 1 + c, divided by what `rescale` says.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        c: radius of the ball as a share of ‖g₀‖, at least 0.
        rescale: divides the update by 1 (0, the paper's algorithm), by 1 + c² (1), or by 1 + c (2).

    Raises:
        ValueError: a negative c.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 3 * w[0], "short": w[1] - w[0]}
        >>> CAGrad(["long", "short"], c=0.5).backward(losses, shared=[w])
        {'long': 0.5..., 'short': 0.89...}
        >>> w.grad  # no longer against "short", as the mean [1.0, 0.5] is
        tensor([0.6047, 0.8953])

    Paper: Liu, Liu, Jin, Stone and Liu, Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS
    2021, 2110.14048.

    Deviates: the dual is solved exactly, not by gradient steps with a constant under the root. Where a convex
    combination of gradients vanishes and many d are best, the one nearest to g₀ is taken.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "liu2021"
    use_when: ClassVar[str] = "The worst-off task needs help, but the mean loss should still converge (c < 1)."

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        c: float = 0.4,
        rescale: Literal[0, 1, 2] = 0,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= c < float("inf"):
            raise ValueError(f"cagrad: c={c}, a number of at least 0 is wanted, such as 0.4")
        if rescale not in (0, 1, 2):
            raise ValueError(f"cagrad: rescale={rescale}, one of 0 (none), 1 (1 + c²), 2 (1 + c) is wanted")
        self.c = c
        self.divisor = (1.0, 1.0 + c * c, 1.0 + c)[rescale]

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights b + φw/‖g_w‖, divided as `rescale` says."""

        def solve(gramian: np.ndarray) -> np.ndarray:
            # Tasks whose gradient vanished still count in the mean.
            share = len(gramian) / len(signals.names)
            return conflict_averse(gramian, self.c) * share

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names)) / self.divisor


def conflict_averse(gramian: Float[np.ndarray, "tasks tasks"], c: float) -> Float[np.ndarray, " tasks"]:
    """Weights of CAGrad's update, by a root in one dimension on top of an exact simplex problem.

    √q = min over s > 0 of (q/s + s)/2 turns the dual, for fixed s, into the minimum over the simplex of
    ‖g_w + (s/φ) g₀‖; s is the root of s = ‖g_w(s)‖, and the weights are b + φw/s.

    A root at zero means g_w = 0: the constraint on d is not active, and the limit of the formula is the
    projection of g₀ on the directions that hurt no task (zero where every task is part of the vanishing
    combination).

    Args:
        gramian: scaled to a mean diagonal of 1.
        c: radius of the ball, as a share of ‖g₀‖.
    """
    mean = np.full(len(gramian), 1.0 / len(gramian))
    columns = factor(gramian)
    centre = columns @ mean
    radius = c * float(np.sqrt(centre @ centre))
    if radius <= c * ZERO:
        return mean
    weights = mean

    def gap(s: float) -> float:
        nonlocal weights
        weights = shortest_combination(columns + (centre * (s / radius))[:, None])
        update = columns @ weights
        return s - float(np.sqrt(update @ update))

    lowest = 10 * ZERO
    if gap(lowest) >= 0:
        return cone_projection(gramian, mean)
    highest = float(np.sqrt(gramian.diagonal().max())) * (1 + 1e-9)
    s = brentq(gap, lowest, highest, xtol=1e-14, rtol=1e-14)
    gap(s)
    return np.asarray(mean + radius * weights / s)
