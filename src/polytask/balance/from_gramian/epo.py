"""EPO: towards the Pareto optimal point where losses stand in the ratio a user prefers."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linprog
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals, live_rows, min_norm, solve_live

#: Losses are taken as at least this.
LEAST_LOSS = 1e-8
#: Below this non-uniformity the losses stand as preferred.
UNIFORM = 1e-4


class EPO(Balancer):
    """Σ w_i g_i, w on the simplex from a linear program: balance the losses first, then descend on all.

    At the aim r_i L_i is the same for every task: a larger preference r_i asks for a *smaller* loss. With
    q_i ∝ r_i L_i and non-uniformity μ = Σ q_i log(T q_i):

    - μ > 1e-4 (balance): a_i = r_i (log(T q_i) − μ), max wᵀGa. The task with the largest r_i L_i may not be
      hurt; others with (Ga)_i ≤ 0, which are ahead, may go back as far as (Ga)_i (not at all if (Ga)_j ≤ 0
      for every j);
    - else (descend): max 1ᵀGw, no task hurt.

    Losses are clamped at 1e-8. The weights sum to 1, mostly on few tasks: the length of a *mean*.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        preferences: task -> r > 0, for every task, or a list in the order of `tasks`; equal by default.

    Raises:
        ValueError: a preference that cannot be; names the task.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> losses = {"ahead": w[0], "behind": 4 * w[1]}
        >>> weights = EPO(["ahead", "behind"]).backward(losses, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'ahead': 0.0, 'behind': 1.0}

    Paper: Mahapatra and Rajan, Multi-Task Learning with User Preferences: Gradient Descent with Controlled
    Ascent in Pareto Optimization, ICML 2020.

    Deviates: the authors' code restricts the descending program further by default; this is the paper's.
    Preferences are made to sum to 1 over the tasks present, which fixes how far tasks ahead may go back.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "mahapatra2020"
    use_when: ClassVar[str] = "You want the losses in a ratio of your own; a linear program a step, losses above 0."
    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        preferences: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        found = per_task(preferences, self.tasks, "preferences", "epo", default=1.0, above=0.0)
        self.register_buffer("preferences", found / found.sum())

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The solution of the linear program."""
        live = live_rows(signals.gramian)
        losses = signals.losses.numpy()[live].clip(LEAST_LOSS)
        preference = self.preferences[signals.index].numpy()[live]

        def solve(gramian: np.ndarray) -> np.ndarray:
            return controlled_ascent(gramian, losses, preference / preference.sum())

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names))


def controlled_ascent(
    gramian: Float[np.ndarray, "tasks tasks"],
    losses: Float[np.ndarray, " tasks"],
    preference: Float[np.ndarray, " tasks"],
) -> Float[np.ndarray, " tasks"]:
    """EPO's weights.

    Args:
        gramian: scaled to a mean diagonal of 1.
        losses: above 0.
        preference: above 0, summing to 1.
    """
    weighted = preference * losses
    slope, least = adjustments(gramian, weighted / weighted.sum(), preference)
    asked = np.isfinite(least)
    found = linprog(
        -slope,
        A_ub=-gramian[asked],
        b_ub=1e-12 - least[asked],  # at a Pareto stationary point there is nothing but rounding to spare
        A_eq=np.ones((1, len(gramian))),
        b_eq=[1.0],
        method="highs-ds",
    )
    # Min-norm weights meet every constraint, so a failure is one of arithmetic.
    return np.asarray(found.x) if found.status == 0 else min_norm(gramian)


def adjustments(
    gramian: Float[np.ndarray, "tasks tasks"],
    share: Float[np.ndarray, " tasks"],
    preference: Float[np.ndarray, " tasks"],
) -> tuple[Float[np.ndarray, " tasks"], Float[np.ndarray, " tasks"]]:
    """What the linear program maximises, and the least progress of each task (−inf where it may be any)."""
    log_ratio = np.log(len(share) * share)
    imbalance = float(share @ log_ratio)
    zero = np.zeros(len(share))
    if imbalance <= UNIFORM:
        return gramian.sum(axis=0), zero
    pull = gramian @ (preference * (log_ratio - imbalance))
    if not (pull > 0).any():
        return pull, zero
    least = np.where(pull > 0, -np.inf, pull)
    least[share >= share.max() * (1 - 1e-12)] = 0.0
    return pull, least
