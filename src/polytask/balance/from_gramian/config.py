"""ConFIG: the direction with the same cosine to every gradient, as long as the gradients along it."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals, equal_cosines, solve_live


class ConFIG(Balancer):
    """(Σ_i ⟨g_i, u⟩) u with u the unit vector of equal cosines: u ∝ Ĵ⁺1, Ĵ the gradients at length 1.

    With cosines C and norms n: x = C⁺1, q = √(xᵀCx), w_i = ℓ x_i/(q n_i), ℓ = Σ n_i (Cx)_i/q. Linearly
    independent gradients all make progress, and u does not depend on the units of the single losses. The
    direction is IMTL-G's up to its sign; the length is what the gradients have along it, so that it shrinks
    where they conflict.

    The update has the length of a *sum* of the gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = ConFIG(["a", "b"]).backward({"a": 3 * w[0], "b": 2 * w[1] - w[0]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'a': 0.873, 'b': 1.171}

    Paper: Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks,
    ICLR 2025, 2408.11104.

    Deviates: where no direction has a positive cosine with all (two opposite gradients), the update is zero.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "liu2025"
    use_when: ClassVar[str] = (
        "Conflict, and gradients of very different length: the independent ones all make progress."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights of the conflict-free update."""
        return solve_live(signals.gramian, conflict_free, idle=1.0 / len(signals.names))


def conflict_free(gramian: Float[np.ndarray, "tasks tasks"]) -> Float[np.ndarray, " tasks"]:
    """ConFIG's weights."""
    solution, norms = equal_cosines(gramian)
    progress = gramian @ (solution / norms)  # n_i (Cx)_i: ⟨g_i, Ĵᵀx⟩
    square = float(solution / norms @ progress)  # q²
    if square <= 1e-12:
        return np.zeros(len(norms))
    return np.asarray(progress.sum() / square * solution / norms)
