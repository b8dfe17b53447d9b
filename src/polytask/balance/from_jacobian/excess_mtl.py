"""ExcessMTL: weight goes to the tasks that are furthest from where they could be."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.from_jacobian.memory import TaskRows
from polytask.gradients import Engine, Signals


class ExcessMTL(Balancer):
    """w_i ← w_i exp(η E_i/E_i⁰), scaled to the same sum, with E_i = Σ g_i²/√S_i the excess risk: how much lower the
    loss could be.

    S_i, the sum of squares of the task's gradients at each coordinate so far, stands in for a diagonal Hessian
    (as in AdaGrad). A noisy task has a large loss but, once it is trained, a small excess; methods that look at
    losses keep pushing it. E⁰ is the mean of E over the task's first steps, in which its weight does not move.

    The weights sum to the number of tasks, as those of a *sum*; they scale losses, heads included. It needs the
    gradients of all tasks, and then one more backward pass.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        rate: η, above 0.
        warmup: steps of a task that make its E⁰, at least 1.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> balancer = ExcessMTL(["learnt", "not yet"], rate=0.5, warmup=1)
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> for slope in (1.0, 0.1):
        ...     weights = balancer.backward({"learnt": slope * w[0], "not yet": w[1]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}  # exp(.5 · .01/√1.01) to exp(.5/√2)
        {'learnt': 0.827, 'not yet': 1.173}

    Paper: He, Zhou, Zhang, Yun, Xu, Zeng, Chilimbi and Zhao, Robust Multi-Task Learning with Excess Risks, ICML 2024,
    2402.02009.

    Deviates: E⁰ is taken over 20 steps where the paper takes three epochs, and its authors' code one step. Weights sum
    to T, not 1. Where S is zero its coordinate counts nothing, and nothing is added to it (1e-7 in the authors' code).
    A task without any gradient in its first steps keeps its weight.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "he2024"
    use_when: ClassVar[str] = "Some labels are noisy, so that a large loss is no reason for a large weight."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    log_weight: Tensor
    first: Tensor
    count: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        rate: float = 0.01,
        warmup: int = 20,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 < rate < float("inf"):
            raise ValueError(f"excess_mtl: rate={rate}, a number above 0 is wanted, such as 0.01")
        if warmup < 1:
            raise ValueError(f"excess_mtl: warmup={warmup}, at least 1 step is wanted, such as 20")
        self.rate, self.warmup = rate, warmup
        zeros = torch.zeros(len(self.tasks), dtype=torch.float64)
        self.register_buffer("log_weight", zeros)
        self.register_buffer("first", zeros.clone())
        self.register_buffer("count", torch.zeros(len(self.tasks), dtype=torch.int64))
        self.roots = TaskRows(len(self.tasks), "excess_mtl")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights, after those of tasks past their first steps have moved."""
        excess = self._excess(signals)
        is_first = self.count[signals.index] < self.warmup
        first = signals.index[is_first]
        self.count[first] += 1
        self.first[first] += (excess[is_first] - self.first[first]) / self.count[first]
        is_known = ~is_first & (self.first[signals.index] > 0)
        index = signals.index[is_known]
        if len(index):
            before = self.log_weight[index]
            after = before + self.rate * excess[is_known] / self.first[index]
            self.log_weight[index] = after - after.logsumexp(0) + before.logsumexp(0)
        return self.log_weight[signals.index].exp()

    def _excess(self, signals: Signals) -> Float[Tensor, " present"]:
        """E, after the squares joined S. Kept as √S, which neither over- nor underflows."""
        rows = signals.jacobian
        roots = torch.hypot(self.roots.read(signals.index, rows), rows)
        self.roots.write(signals.index, roots)
        terms = (rows / roots).mul_(rows)  # 0/0 where there was no gradient yet
        return (terms.cpu() if terms.device.type == "mps" else terms).nansum(dim=1, dtype=torch.float64).cpu()
