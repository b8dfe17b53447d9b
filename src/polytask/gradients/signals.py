"""What a balancer may look at in one step."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Signals:
    """The step as a balancer sees it: the tasks present only, and no more than it declared to read.

    `names`, `index`, `step`, `epoch` and `scores` cost nothing and are open to all. The others belong to the
    method's `reads`; what is costly is computed when it is first read.

    Args:
        names: the tasks present.
        index: where each of them stands in the balancer's `[tasks]` state.
        step: how many steps the balancer has seen before this one.
        epoch: counted by the caller; None where nobody counts.
        scores: last validation skill, NaN before the first.
        reads: what the method declares: "losses", "gramian".
        losses: detached, float64.
        gramian: computes G of the present tasks' gradients on the shared parameters.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        index: Int[Tensor, " present"],
        step: int,
        epoch: int | None,
        scores: Float[Tensor, " present"],
        reads: frozenset[str],
        losses: Float[Tensor, " present"],
        gramian: Callable[[], Float[Tensor, "present present"]],
    ) -> None:
        self.names = tuple(names)
        self.index = index
        self.step = step
        self.epoch = epoch
        self.scores = scores
        self._reads = reads
        self._losses = losses
        self._compute_gramian = gramian
        self._gramian: Tensor | None = None

    @property
    def losses(self) -> Float[Tensor, " present"]:
        """Mean loss of each present task."""
        self._check("losses")
        return self._losses

    @property
    def gramian(self) -> Float[Tensor, "present present"]:
        """G = J Jᵀ over the shared parameters, float64 on the CPU.

        Raises:
            ValueError: a task's gradient is not finite.
        """
        self._check("gramian")
        if self._gramian is None:
            gramian = self._compute_gramian()
            check_finite(gramian, self.names)
            self._gramian = gramian
        return self._gramian

    def _check(self, what: str) -> None:
        if what not in self._reads:
            declared = ", ".join(sorted(self._reads)) or "nothing"
            raise AttributeError(f"this balancer reads {what!r} but declares {declared}: add {what!r} to its `reads`")


def check_finite(gramian: Float[Tensor, "present present"], names: Sequence[str]) -> None:
    """Raises ValueError that names the first task whose gradient is not finite (or has no finite square)."""
    for name, is_finite in zip(names, torch.isfinite(gramian.diagonal()).tolist(), strict=True):
        if not is_finite:
            raise ValueError(
                f"task {name!r}: its gradient on the shared parameters is not finite: "
                "lower the learning rate, or look at operations like sqrt and log at 0"
            )
