"""CoV weighting: more weight where the loss, as a share of its mean, still varies."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Signals


class CoVWeighting(Balancer):
    """w_i = c_i / Σ c, c_i = the coefficient of variation of the task's loss ratios so far.

    The ratio is l = L/M, with M the mean of the losses of earlier steps (L itself in the first). c = sd(l)/mean(l)
    over earlier steps, by Welford's recursion, population variance plus 1e-8. A loss that has settled has little
    variation, and little weight; so has one that is merely large. The first two steps of a task weigh 1/T.

    Tasks that have no two steps yet keep 1/T, T being the number present; the others share the rest by c, so
    the weights sum to 1. Losses are clamped at 1e-8.

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> balancer = CoVWeighting(["falls", "stands"])
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for a, b in [(2.0, 0.5), (1.0, 0.4), (0.8, 0.4)]:
        ...     weights = balancer.backward({"falls": a * w, "stands": b * w}, shared=[w])
        >>> {name: round(weight, 4) for name, weight in weights.items()}
        {'falls': 0.75, 'stands': 0.25}

    Paper: Groenendijk, Karaoglu, Gevers and Mensink, Multi-Loss Weighting with Coefficient of Variations, WACV
    2021, 2009.01717.

    Deviates: steps are counted by task, since one may be absent; losses of 0 or below are clamped. The 1e-8
    beside the variance is the authors' code's.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "groenendijk2021"
    use_when: ClassVar[str] = (
        "Losses of different scale, where those that have settled should yield; noise gains weight."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
    count: Tensor
    mean_loss: Tensor
    mean_ratio: Tensor
    squares: Tensor

    def __init__(
        self, tasks: Sequence[str], generator: torch.Generator | None = None, *, engine: Engine = Engine()
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        for name in ("count", "mean_loss", "mean_ratio", "squares"):
            self.register_buffer(name, torch.zeros(len(self.tasks), dtype=torch.float64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Weights from the steps before this one, which then joins them."""
        weights = self._weights(signals)
        self._take_in(signals)
        return weights

    def _weights(self, signals: Signals) -> Float[Tensor, " present"]:
        count = self.count[signals.index]
        weights = torch.full_like(count, 1 / len(count))
        known = count >= 2
        variance = self.squares[signals.index] / count.clamp_min(1)
        variation = ((variance + 1e-8).sqrt() / self.mean_ratio[signals.index])[known]
        weights[known] = known.sum() / len(count) * variation / variation.sum()
        return weights

    def _take_in(self, signals: Signals) -> None:
        index, losses = signals.index, signals.losses.clamp_min(1e-8)
        count = self.count[index] + 1
        ratio = torch.where(count == 1, 1.0, losses / self.mean_loss[index])
        before = self.mean_ratio[index]
        after = before + (ratio - before) / count
        self.squares[index] += (ratio - before) * (ratio - after)
        self.mean_ratio[index] = after
        self.mean_loss[index] += (losses - self.mean_loss[index]) / count
        self.count[index] = count
