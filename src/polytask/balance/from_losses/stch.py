"""Smooth Tchebycheff: the worst-off tasks get most of the weight, the others not nothing."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Signals


class STCH(Balancer):
    """μ log Σ exp(λ_i (L_i − z_i)/μ), on the losses or on their logarithms.

    `of="losses"` is the definition: w = λ softmax(λ(L − z)/μ), which nears `tchebycheff` for small μ.

    `of="logarithms"` is the authors' form for multi-task learning, where no λ and z are known and units differ:
    T μ log Σ exp(log(L_i/n_i)/μ), so w_i = T softmax(log(L/n)/μ)_i / L_i, with n_i the task's mean loss in one
    early epoch. Until n is known a task weighs 1/L_i (`scale_invariant`): for `warmup` epochs and the one that
    measures it, the first after them in which the task has a label. Losses are clamped at 1e-8. The weights sum
    to nothing fixed, but Σ w_i L_i is the number of tasks present, in both parts.

    Where nobody counts epochs (`backward(…)` without `epoch=`), every `window` steps are one.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        mu: μ, above 0: small for the worst task alone, large for equal shares.
        of: what is compared.
        warmup: epochs before n is measured, at least 0 (logarithms only).
        window: steps in place of an epoch where no epoch is given, at least 1 (logarithms only).
        preferences: λ, task -> number above 0, or a list in the order of `tasks`; 1/T where not given (losses only).
        ideals: z, task -> the loss that is hoped for; 0 where not given (losses only).

    Raises:
        ValueError: a setting that cannot be, or preferences and ideals that would have no effect.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> STCH(["a", "b"], of="losses", mu=0.5).backward({"a": 2 * w, "b": w / 2}, shared=[w])
        {'a': 0.408..., 'b': 0.091...}

    Paper: Lin, Zhang, Yang, Liu, Wang and Zhang, Smooth Tchebycheff Scalarization for Multi-Objective
    Optimization, ICML 2024, 2402.19078.

    Deviates: n is measured by task, since one may be absent in an epoch, and epochs may be windows of steps.
    The log form's rule and its warm-up of 4 epochs are the authors' code's.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "lin2024"
    use_when: ClassVar[str] = "The worst-off tasks should count most, but none of the others nothing."
    preferences: Tensor
    ideals: Tensor
    nadir: Tensor
    total: Tensor
    count: Tensor
    epoch: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        mu: float = 1.0,
        of: Literal["logarithms", "losses"] = "logarithms",
        warmup: int = 4,
        window: int = 25,
        preferences: dict[str, float] | list[float] | None = None,
        ideals: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        _check(mu, of, warmup, window)
        if of == "logarithms" and not (preferences is None and ideals is None):
            raise ValueError("stch: preferences and ideals have no effect on logarithms: write of=losses, or drop them")
        self.mu, self.of, self.warmup, self.window = mu, of, warmup, window
        zeros = torch.zeros(len(self.tasks), dtype=torch.float64)
        share = 1 / len(self.tasks)
        found = per_task(preferences, self.tasks, "preferences", "stch", default=share, above=0.0)
        self.register_buffer("preferences", found)
        self.register_buffer("ideals", per_task(ideals, self.tasks, "ideals", "stch", default=0.0))
        self.register_buffer("nadir", zeros + torch.nan)
        self.register_buffer("total", zeros.clone())
        self.register_buffer("count", zeros.clone())
        self.register_buffer("epoch", torch.full((len(self.tasks),), -1, dtype=torch.int64))

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The slopes of the smooth maximum."""
        if self.of == "losses":
            preferences = self.preferences[signals.index]
            distances = preferences * (signals.losses - self.ideals[signals.index])
            return preferences * torch.softmax(distances / self.mu, dim=0)
        losses = signals.losses.clamp_min(1e-8)
        self._measure(signals, losses)
        nadir = self.nadir[signals.index]
        shares = torch.ones_like(losses)
        known = ~nadir.isnan()
        shares[known] = known.sum() * torch.softmax((losses / nadir)[known].log() / self.mu, dim=0)
        return shares / losses

    def _measure(self, signals: Signals, losses: Float[Tensor, " present"]) -> None:
        """The mean loss of one epoch a task, the first after the warm-up where it has a label."""
        epoch = signals.step // self.window if signals.epoch is None else signals.epoch
        if epoch < self.warmup:
            return
        is_open = self.nadir[signals.index].isnan()
        index, losses = signals.index[is_open], losses[is_open]
        is_over = (self.count[index] > 0) & (self.epoch[index] != epoch)
        over = index[is_over]
        self.nadir[over] = self.total[over] / self.count[over]
        index, losses = index[~is_over], losses[~is_over]
        self.epoch[index] = epoch
        self.total[index] += losses
        self.count[index] += 1


def _check(mu: float, of: str, warmup: int, window: int) -> None:
    if not mu > 0:
        raise ValueError(f"stch: mu={mu}, a number above 0 is wanted, such as 1")
    if of not in ("logarithms", "losses"):
        raise ValueError(f"stch: of={of!r}, 'logarithms' or 'losses' is wanted")
    if warmup < 0:
        raise ValueError(f"stch: warmup={warmup}, a number of epochs from 0 is wanted, such as 4")
    if window < 1:
        raise ValueError(f"stch: window={window}, at least 1 step is wanted, such as 25")
