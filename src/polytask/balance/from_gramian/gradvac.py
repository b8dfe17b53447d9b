"""GradVac: gradients are turned towards each other until they are as similar as they have been."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.draws import Draws
from polytask.gradients import Engine, Signals, live_rows, solve_live

#: Targets stay this far from ±1, where the turn would be infinite.
MARGIN = 1e-6


class GradVac(Balancer):
    """Sum of the gradients after each was turned to a running mean of its cosine with every other.

    For each i: v = g_i; for j ≠ i in random order, with φ = cos(v, g_j) and its target ρ_ij: if φ < ρ_ij,
    v ← v + ‖v‖(ρ√(1−φ²) − φ√(1−ρ²)) / (‖g_j‖√(1−ρ²)) g_j, so that cos(v, g_j) = ρ; then ρ_ij ← (1−β)ρ_ij + βφ.
    Update Σ v. ρ starts at 0, where the first step is PCGrad's. Tasks that agree in general are pulled
    together even when a batch has them orthogonal; for more than two the update may hurt one.

    The update has the length of a *sum* of the gradients.

    Args:
        tasks, engine: as for every `Balancer`.
        generator: draws the orders; its state at the start is copied.
        rate: β, between 0 and 1.

    Raises:
        ValueError: a rate outside 0 to 1.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = GradVac(["a", "b"]).backward({"a": 3 * w[0], "b": 2 * w[1] - w[0]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'a': 1.333, 'b': 1.6}

    Paper: Wang, Tsvetkov, Firat and Cao, Gradient Vaccine: Investigating and Improving Multi-task
    Optimization in Massively Multilingual Models, ICLR 2021.

    Deviates: one target a pair for all shared parameters together; the paper keeps one a layer. Targets stay
    within ±(1 − 1e-6). Public implementations take β = 0.5; the default is the paper's 0.01.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "wang2021"
    use_when: ClassVar[str] = "Related tasks, such as languages, that should agree more than single batches show."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    target: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        rate: float = 0.01,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= rate <= 1:
            raise ValueError(f"gradvac: rate={rate}, a number between 0 and 1 is wanted, such as 0.01")
        self.rate = rate
        self.draws = Draws(generator)
        self.register_buffer("target", torch.zeros(len(self.tasks), len(self.tasks), dtype=torch.float64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The summed coefficients of the turned gradients; then the targets move."""
        with self.draws.drawing() as generator:
            keys = torch.rand(len(signals.names), len(signals.names), generator=generator)
        live = signals.index[torch.from_numpy(live_rows(signals.gramian))]
        pairs = (live[:, None], live[None, :])

        def turn(gramian: np.ndarray) -> np.ndarray:
            order = keys[: len(gramian), : len(gramian)].argsort(dim=1).numpy()
            target = self.target[pairs].numpy()
            weights, seen = turned(gramian, order, target)
            moved = (1 - self.rate) * target + self.rate * seen
            self.target[pairs] = torch.from_numpy(moved.clip(MARGIN - 1, 1 - MARGIN))
            return weights

        return solve_live(signals.gramian, turn, idle=1.0)


def turned(
    gramian: Float[np.ndarray, "tasks tasks"],
    order: Int[np.ndarray, "tasks tasks"],
    target: Float[np.ndarray, "tasks tasks"],
) -> tuple[Float[np.ndarray, " tasks"], Float[np.ndarray, "tasks tasks"]]:
    """GradVac's weights for given orders and targets, and the cosines it met on the way.

    Args:
        gramian: without vanished rows.
        order: row i lists the tasks as g_i meets them (itself is skipped).
        target: ρ, within (−1, 1).
    """
    rows = np.arange(len(gramian))
    norms = np.sqrt(gramian.diagonal())
    coefficients = np.eye(len(gramian))
    inner = gramian.copy()  # inner[i, j] = ⟨v_i, g_j⟩
    seen = target.copy()
    for met in order.T:
        length = np.sqrt(np.maximum((coefficients * inner).sum(axis=1), 0.0))
        is_met = (met != rows) & (length > 1e-9 * norms)  # nothing is left to turn of a v that is zero
        cosine = (inner[rows, met] / np.where(is_met, length, 1.0) / norms[met]).clip(-1, 1)
        wanted = target[rows, met]
        seen[rows, met] = np.where(is_met, cosine, wanted)
        across = np.sqrt(1 - wanted**2)
        gain = length * (wanted * np.sqrt(1 - cosine**2) - cosine * across) / (norms[met] * across)
        gain = np.where(is_met & (cosine < wanted), gain, 0.0)
        coefficients[rows, met] += gain
        inner += gain[:, None] * gramian[met]
    return np.asarray(coefficients.sum(axis=0)), seen
