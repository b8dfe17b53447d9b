"""MetaBalance: auxiliary gradients are brought near the length of the main task's, tensor by tensor."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.from_jacobian.lengths import lengths
from polytask.balance.from_jacobian.memory import TaskRows
from polytask.errors import nearest
from polytask.gradients import VANISHED, Direction, Engine, Signals


class MetaBalance(Balancer):
    """g_main + Σ (r N_main/N_i + 1 − r) g_i over the auxiliary tasks, for each shared tensor by itself.

    N_i ← βN_i + (1 − β)‖g_i‖ is a moving average of the length that task i's gradient has on that tensor. With r = 1
    an auxiliary gradient is, on average, as long as the main one; with r = 0 it is left as it is. `strategy` says
    which are changed: those longer than the main one ("reduce"), those shorter ("enlarge"), or "both". Directions
    are not looked at: the main task may be hurt.

    The main gradient has the weight 1, as in a *sum*. `backward` returns what each task's gradient was multiplied by,
    averaged over tensors by its squared length there.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        main: name of the main task.
        relax: r, from 0 to 1.
        momentum: β, at least 0 and below 1.
        strategy: "both", "reduce" or "enlarge".

    Raises:
        ValueError: no main task, or an unknown one; another setting that cannot be.

    Example:
        >>> balancer = MetaBalance(["sales", "clicks"], main="sales")
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> weights = balancer.backward({"sales": w[0], "clicks": 10 * w[1]}, shared=[w])
        >>> w.grad  # (0.7/10 + 0.3) · 10
        tensor([1.0000, 3.7000])

    Paper: He, Feng, Cheng, Ji, Guo and Caverlee, MetaBalance: Improving Multi-Task Recommendations via Adapting
    Gradient Magnitudes of Auxiliary Tasks, WWW 2022.

    Deviates: averages are freed of their start at zero by the task's own number of steps, which changes nothing while
    no task is absent. Where the main task has not reached a tensor yet, or an auxiliary gradient has vanished there,
    the gradients stay as they are.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "he2022"
    use_when: ClassVar[str] = (
        "One main task, and auxiliary gradients that drown it or drown in it; directions do not count."
    )
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    is_impartial: ClassVar[bool] = False
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    gives_direction: ClassVar[bool] = True
    count: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        main: str | None = None,
        relax: float = 0.7,
        momentum: float = 0.9,
        strategy: Literal["both", "reduce", "enlarge"] = "both",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if main is None:
            raise ValueError(f"metabalance: it needs the main task: main={self.tasks[0]!r}, or another of {tasks}")
        if main not in self.tasks:
            raise ValueError(f"metabalance: main={main!r} is no task; {nearest(main, self.tasks)}")
        if not 0 <= relax <= 1:
            raise ValueError(f"metabalance: relax={relax}, a number from 0 to 1 is wanted, such as 0.7")
        if not 0 <= momentum < 1:
            raise ValueError(f"metabalance: momentum={momentum}, a number from 0 to below 1 is wanted, such as 0.9")
        if strategy not in ("both", "reduce", "enlarge"):
            raise ValueError(f"metabalance: strategy={strategy!r}, 'both', 'reduce' or 'enlarge' is wanted")
        self.main, self.relax, self.momentum, self.strategy = self.tasks.index(main), relax, momentum, strategy
        self.register_buffer("count", torch.zeros(len(self.tasks), dtype=torch.int64))
        self.average = TaskRows(len(self.tasks), "metabalance", "shared parameters")

    def forward(self, signals: Signals) -> Direction:
        """The sum of the changed gradients."""
        rows, sizes = signals.jacobian, signals.sizes
        if not sizes:  # nothing is shared
            return Direction(rows.sum(dim=0), torch.ones(len(rows), dtype=torch.float64))
        length = lengths(rows, sizes)
        factors = self._factors(length, signals.index)
        parts = zip(factors.to(rows).T, rows.split(list(sizes), dim=1), strict=True)
        return Direction(torch.cat([factor @ part for factor, part in parts]), _mean(factors, length))

    def _factors(self, length: Float[Tensor, "present parts"], index: Tensor) -> Float[Tensor, "present parts"]:
        """R N_main/N_i + 1 − r, after the new lengths joined N."""
        self.count[index] += 1
        average = self.momentum * self.average.read(index, length) + (1 - self.momentum) * length
        self.average.write(index, average)
        main = _unbiased(self.average.rows[self.main], self.count[self.main], self.momentum)
        own = _unbiased(average, self.count[index][:, None], self.momentum)
        is_live = (main > 0) & (own > VANISHED * main)
        ratio = torch.where(is_live, main / torch.where(is_live, own, 1.0), 1.0)
        if self.strategy != "both":
            ratio = ratio.clamp_max(1.0) if self.strategy == "reduce" else ratio.clamp_min(1.0)
        factors = self.relax * ratio + (1 - self.relax)
        factors[index == self.main] = 1.0
        return factors


def _unbiased(average: Tensor, count: Tensor, momentum: float) -> Tensor:
    return average / (1 - momentum ** count.clamp_min(1).to(torch.float64))


def _mean(factors: Float[Tensor, "tasks parts"], length: Float[Tensor, "tasks parts"]) -> Float[Tensor, " tasks"]:
    """The factors' mean by squared length; 1 for a gradient of zero."""
    longest = length.amax(dim=1, keepdim=True)
    squares = (length / torch.where(longest > 0, longest, 1.0)).square()
    total = squares.sum(dim=1)
    return torch.where(total > 0, (factors * squares).sum(dim=1) / torch.where(total > 0, total, 1.0), 1.0)
