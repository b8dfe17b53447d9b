"""Aligned-MTL: the gradients' principal components, all made equally long."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals, live_rows, solve_live

#: Eigenvalues of G below this share of the largest, times T, count as zero: rounding of float32 gradients.
NOISE = float(np.finfo(np.float32).eps)


class AlignedMTL(Balancer):
    """Σ (Bp)_i g_i with B = √s V Λ^(−1/2) Vᵀ from G = VΛVᵀ: BJ is J with all singular values made √s.

    p is how much each task counts, s the least, the (lower) median or the mean of the kept eigenvalues. The
    aligned gradients are orthogonal and equally long, so that none dominates and none conflicts with another;
    a raw gradient may still be hurt.

    The update has the length of a *mean* of the (aligned) gradients.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        scale: "min" (the paper's: no component is made longer), "median" or "rmse".
        preferences: task -> number above 0, for every task, or a list in the order of `tasks`; they are made
            to sum to 1 over the tasks present. Equal by default.

    Raises:
        ValueError: another scale, or a preference that cannot be; names the task.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"long": 10 * w[0], "short": w[1]}
        >>> weights = AlignedMTL(["long", "short"]).backward(losses, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'long': 0.05, 'short': 0.5}

    Paper: Senushkin, Patakin, Kuznetsov and Konushin, Independent Component Alignment for Multi-Task
    Learning, CVPR 2023, 2305.19000.

    Deviates: task weights sum to 1, where the authors' code takes 1 each: their update is T times as long.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "senushkin2023"
    use_when: ClassVar[str] = (
        "Gradients nearly parallel or very unequal; by default steps are as short as the weakest part."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
    preferences: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        scale: Literal["min", "median", "rmse"] = "min",
        preferences: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if scale not in ("min", "median", "rmse"):
            raise ValueError(f"aligned_mtl: scale={scale!r}, one of min, median, rmse is wanted")
        self.scale = scale
        found = per_task(preferences, self.tasks, "preferences", "aligned_mtl", default=1.0, above=0.0)
        self.register_buffer("preferences", found / found.sum())

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights Bp."""
        preference = self.preferences[signals.index]
        preference = preference / preference.sum()
        live = preference.numpy()[live_rows(signals.gramian)]

        def solve(gramian: np.ndarray) -> np.ndarray:
            return aligned(gramian, live, self.scale)

        return solve_live(signals.gramian, solve, idle=1.0 / len(signals.names))


def aligned(
    gramian: Float[np.ndarray, "tasks tasks"],
    preference: Float[np.ndarray, " tasks"],
    scale: Literal["min", "median", "rmse"],
) -> Float[np.ndarray, " tasks"]:
    """Aligned-MTL's weights Bp."""
    # By torch, whose threads a user sets: NumPy's own wait for each other on a busy machine.
    values, vectors = (found.numpy() for found in torch.linalg.eigh(torch.from_numpy(gramian)))  # ascending
    kept = values > NOISE * len(values) * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    level = {"min": values[0], "median": values[(len(values) - 1) // 2], "rmse": values.mean()}[scale]
    return np.asarray(vectors @ (vectors.T @ preference * np.sqrt(level / values)))
