"""Cosine gate: auxiliary tasks count as far as their gradient agrees with the main task's."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.errors import nearest
from polytask.gradients import Engine, Signals, live_rows


class CosineGate(Balancer):
    """g_main + Σ max(0, cos(g_main, g_i)) g_i over the auxiliary tasks; or, not `soft`, those with cos > 0 whole.

    The update never hurts the main task, and its fixed points are the main task's.

    The main gradient has the weight 1, as in a *sum*; auxiliary ones up to 1.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        main: name of the main task.
        soft: whether auxiliary tasks are weighted by the cosine, or let in or not.

    Raises:
        ValueError: no main task, or an unknown one.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> losses = {"sales": w[0], "clicks": w[0] + w[1], "returns": w[1] - w[0]}
        >>> weights = CosineGate(list(losses), main="sales").backward(losses, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'sales': 1.0, 'clicks': 0.707, 'returns': 0.0}

    Paper: Du, Czarnecki, Jayakumar, Farajtabar, Pascanu and Lakshminarayanan, Adapting Auxiliary Losses Using
    Gradient Similarity, 2018, 1812.02224.

    Deviates: there is any number of auxiliary tasks, each gated by itself. Where the main task is absent from
    a batch nothing gates, and the others count 1; where its gradient vanishes they count 0, so that it stays
    where it is. An orthogonal auxiliary task counts 0 in both forms.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "du2018"
    use_when: ClassVar[str] = "One main task, and auxiliary ones that may harm it: they count where they agree with it."
    is_impartial: ClassVar[bool] = False

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        main: str | None = None,
        soft: bool = True,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if main is None:
            raise ValueError(f"cosine_gate: it needs the main task: main={self.tasks[0]!r}, or another of {tasks}")
        if main not in self.tasks:
            raise ValueError(f"cosine_gate: main={main!r} is no task; {nearest(main, self.tasks)}")
        self.main = main
        self.soft = soft

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The clipped cosines with the main task's gradient, 1 for itself."""
        ones = torch.ones(len(signals.names), dtype=torch.float64)
        if self.main not in signals.names:
            return ones
        main = signals.names.index(self.main)
        live = torch.from_numpy(live_rows(signals.gramian))
        norms = torch.where(live, signals.gramian.diagonal().sqrt(), 1.0)
        cosines = torch.where(live & live[main], signals.gramian[main] / norms / norms[main], 0.0)
        weights = cosines.clamp(0, 1) if self.soft else (cosines > 0).to(torch.float64)
        weights[main] = 1.0
        return weights
