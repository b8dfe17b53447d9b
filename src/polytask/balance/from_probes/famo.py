"""FAMO: the task whose loss fell least gets more weight, from losses alone."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.per_task import per_task
from polytask.balance.task_adam import TaskAdam
from polytask.gradients import Engine, Signals, loss_values

#: Added to L − minimum, so that its logarithm is finite.
TINY = 1e-8


class FAMO(Balancer):
    """Σ z_i log D_i with z = softmax(ξ), D = L − minimum: w_i = k z_i / D_i, k = 1 / Σ z_i/D_i.

    ξ is learned so that all losses fall at one rate: after the optimiser's step the same batch gives D′, and ξ takes
    a step of Adam along (diag(z) − z zᵀ)(log D − log D′) + γξ, down where a task's loss fell faster than the others'.
    The units of the losses cancel out. The weights sum to 1. Costs one more forward pass a step, and no backward.

    In an own loop: `backward`, `optimizer.step()`, then `after_step(losses)` with the losses of the same batch, once
    more. Where no step was taken, pass None, and ξ stays: gradients that are still gathered over batches, or a step
    that a GradScaler skipped (its `get_scale()` is lower after `update()` than before). Dropout and batch norm
    are taken care of by a `Probe` made before the forward pass: `after_step(probe.losses())`.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        minimums: task -> the least value that its loss can have, or a list in the order of `tasks`; 0 where not given.
        learning_rate: of ξ, above 0.
        decay: γ, at least 0; draws ξ back to 0.
        next_batch: take the losses of the next batch for those after the step: no pass more, but the difference
            between two batches is noise in ξ.

    Raises:
        ValueError: a setting that cannot be; a loss below its minimum; `after_step` left out; names the task.

    Example:
        >>> balancer = FAMO(["far", "near"])
        >>> w = torch.nn.Parameter(torch.tensor([2.0, 0.5]))
        >>> optimizer = torch.optim.SGD([w], lr=0.1)
        >>> def losses():
        ...     return {"far": w[0] ** 2, "near": w[1] ** 2}
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     weights = balancer.backward(losses(), shared=[w])
        ...     optimizer.step()
        ...     balancer.after_step(losses())
        >>> {name: round(weight, 3) for name, weight in weights.items()}
        {'far': 0.042, 'near': 0.958}

    Paper: Liu, Feng, Stone and Liu, FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023, 2306.03792.

    Deviates: an absent task takes no part in the softmax, and its ξ and moments stand still. The authors' code also
    cuts the shared gradient to norm 1; here that is the loop's business.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses", "probe"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "liubo2023"
    use_when: ClassVar[str] = "Many tasks that should improve at one rate, cheaply: no gradient a task is taken."
    extra_passes: ClassVar[str] = "1 forward"
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"
    looks_after: ClassVar[bool] = True
    logits: Tensor
    minimums: Tensor
    waiting: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        minimums: dict[str, float] | list[float] | None = None,
        learning_rate: float = 0.025,
        decay: float = 0.001,
        next_batch: bool = False,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= decay < float("inf"):
            raise ValueError(f"famo: decay={decay}, a number of at least 0 is wanted, such as 0.001")
        self.decay, self.next_batch = decay, next_batch
        if next_batch:  # then it looks at nothing but the losses it is given anyway
            self.reads = frozenset({"losses"})  # type: ignore[misc]
            self.looks_after = False  # type: ignore[misc]
        self.register_buffer("minimums", per_task(minimums, self.tasks, "minimums", "famo", default=0.0))
        self.register_buffer("logits", torch.zeros(len(self.tasks), dtype=torch.float64))
        #: log D of the tasks whose losses after the step are still to come; NaN for the others.
        self.register_buffer("waiting", torch.full((len(self.tasks),), torch.nan, dtype=torch.float64))
        self.adam = TaskAdam(len(self.tasks), learning_rate, "famo")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """Weights k z / D of the tasks present; their D are kept for the look after the step."""
        above = self._above_minimum(signals.index, signals.losses)
        if self.next_batch:
            self._learn(signals.index, above)
        elif not self.waiting.isnan().all():
            raise ValueError(
                "famo: the losses after the last step are missing: call balancer.after_step(losses of the same batch) "
                "after optimizer.step(), after_step(None) where no step was taken, or set next_batch=True"
            )
        self.waiting.fill_(torch.nan)
        self.waiting[signals.index] = above.log()
        weights = torch.softmax(self.logits[signals.index], dim=0) / above
        return weights / weights.sum()

    def after_step(self, losses: Mapping[str, Tensor] | None) -> None:
        """ξ takes its step; without a step since the last call, or with None, it stays where it is."""
        names = [name for name, value in zip(self.tasks, self.waiting.tolist(), strict=True) if value == value]
        if losses is not None and names and not self.next_batch:
            for name in (*names, *losses):
                if name not in losses or name not in names:
                    what = "has no loss" if name in names else "has a loss, but was not in the step"
                    raise ValueError(
                        f"famo: task {name!r} {what}: after_step wants those of the same batch, of {names}"
                    )
            values = loss_values({name: losses[name] for name in names}, needs_graph=False)
            index = torch.tensor([self.tasks.index(name) for name in names])
            self._learn(index, self._above_minimum(index, values))
        if not self.next_batch or losses is None:
            self.waiting.fill_(torch.nan)

    def _learn(self, index: Int[Tensor, " present"], above: Float[Tensor, " present"]) -> None:
        """A step of ξ for the tasks that were in the last step too."""
        fall = self.waiting[index] - above.log()
        known = ~fall.isnan()
        index, fall = index[known], fall[known]
        share = torch.softmax(self.logits[index], dim=0)
        slope = share * (fall - share @ fall)
        self.logits[index] += self.adam(index, slope + self.decay * self.logits[index])

    def _above_minimum(
        self, index: Int[Tensor, " present"], losses: Float[Tensor, " present"]
    ) -> Float[Tensor, " present"]:
        above = losses - self.minimums[index]
        if float(above.min()) < 0:
            worst = int(above.argmin())
            place, loss = int(index[worst]), float(losses[worst])
            name, least = self.tasks[place], float(self.minimums[place])
            raise ValueError(
                f"famo: the loss of task {name!r} is {loss:g}, below its minimum {least:g}: say how low it can get, "
                f"minimums={{{name!r}: {loss - abs(loss):g}, …}}"
            )
        return above + TINY
