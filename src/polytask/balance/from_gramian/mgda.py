"""MGDA: the shortest convex combination of the gradients, which helps every task."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals, live_rows, min_norm, solve_live

#: Losses are taken as at least this where they divide.
LEAST_LOSS = 1e-8


class MGDA(Balancer):
    """min over the simplex of ‖Jᵀw‖².

    At the solution ⟨g_i, Jᵀw⟩ ≥ ‖Jᵀw‖² for every task, equal where w_i > 0: no task is hurt, and the update
    is zero exactly at Pareto stationary points. The shortest gradient takes nearly all the weight unless
    gradients are normalised: w is then solved on g_i/c_i and the update is Σ w_i g_i/c_i, with c_i = ‖g_i‖
    ("l2"), L_i ("loss") or L_i ‖g_i‖ ("loss+"). Losses are clamped at 1e-8 there.

    The update has the length of a *mean* of the gradients, or ("l2", "loss+") one that does not depend on
    theirs.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        normalization: "none", "l2", "loss" or "loss+".

    Raises:
        ValueError: another normalization.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 3 * w[0], "short": 2 * w[1] - w[0]}
        >>> weights = MGDA(["long", "short"]).backward(losses, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'long': 0.4, 'short': 0.6}
        >>> w.grad
        tensor([0.6000, 1.2000])

    Paper: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018, 1810.04650
    (the problem: Désidéri, Comptes Rendus Mathématique 2012).

    Deviates: solved exactly, not by Frank-Wolfe steps. A gradient that vanished is left out, where the
    paper's update would be zero and training stop. Weights settle the shared parameters only (the paper's
    scale heads too), and with a normalization they act on the normalised gradients they were solved for,
    where public implementations put them on the raw ones or the losses.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "sener2018"
    use_when: ClassVar[str] = (
        "No task may be hurt; it may stall, and the shortest gradient wins unless normalization is l2."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        normalization: Literal["none", "l2", "loss", "loss+"] = "none",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if normalization not in ("none", "l2", "loss", "loss+"):
            raise ValueError(f"mgda: normalization={normalization!r}, one of none, l2, loss, loss+ is wanted")
        self.normalization = normalization
        self.degree = 0.0 if normalization in ("l2", "loss+") else 1.0

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Min-norm weights, over what the gradients were divided by."""
        losses = np.maximum(signals.losses.numpy()[live_rows(signals.gramian)], LEAST_LOSS)

        def solve(gramian: np.ndarray) -> np.ndarray:
            divisor = losses if self.normalization in ("loss", "loss+") else np.ones(len(gramian))
            if self.normalization in ("l2", "loss+"):
                divisor = divisor * np.sqrt(gramian.diagonal())
            normalised = gramian / divisor / divisor[:, None]
            return min_norm(normalised / normalised.diagonal().mean()) / divisor

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names), degree=self.degree)
