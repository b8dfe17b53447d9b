"""GradNorm: loss weights are learned that give each task's gradient the length its training pace asks for."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polytask.balance.base import Balancer
from polytask.gradients import Engine, Processes, Signals, live_rows

#: No weight is below this before all are scaled to their sum.
LEAST_WEIGHT = 1e-3


class GradNorm(Balancer):
    """Weights whose gradients w_i g_i have the lengths N̄ r_i^α, by one step a step on their absolute error.

    n_i = ‖g_i‖ on the weights of the last shared layer, N̄ the mean of w_i n_i, r_i the loss relative to the task's
    first ones, divided by its mean over tasks: a task that lags behind gets longer gradients. w_i moves against
    sign(w_i n_i − N̄ r_i^α) n_i, and all are scaled to the same sum. The first loss is the mean over the task's first
    steps, in which its weight does not move. The step itself uses the weights from before.

    The weights sum to the number of tasks, as those of a *sum*; they scale losses, heads included. It needs the
    gradients of all tasks on one layer, and then one more backward pass.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        alpha: α, at least 0: how strongly a task that lags is helped; 0 gives all gradients one length.
        learning_rate: of the weights, above 0, in the unit of one over a gradient's length.
        warmup: steps of a task that make its first loss, at least 1.
        layer: "last": the last of the shared tensors of two or more dimensions that all tasks of the first step
            reach; "all": all shared parameters.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> balancer = GradNorm(["long", "short"], warmup=1)
        >>> w = torch.nn.Parameter(torch.tensor([[1.0, 1.0]]))
        >>> for _ in range(60):
        ...     weights = balancer.backward({"long": 3 * w[0, 0], "short": w[0, 1]}, shared=[w])
        >>> {name: round(weight, 1) for name, weight in weights.items()}  # the gradients are as long as each other
        {'long': 0.5, 'short': 1.5}

    Paper: Chen, Badrinarayanan, Lee and Rabinovich, GradNorm: Gradient Normalization for Adaptive Loss Balancing in
    Deep Multitask Networks, ICML 2018, 1711.02257.

    Deviates: the first loss is a mean over 20 steps; the paper takes that of the first batch, or log(classes). Losses
    are clamped at 1e-8, weights at 1e-3 before they are scaled. A task whose gradient has vanished on the layer keeps
    its weight. A learning rate of 0.025 is the paper's; it decays with no schedule.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"gramian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "chen2018"
    use_when: ClassVar[str] = "Tasks lag, or gradients differ in length; alpha has to be tuned."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    weights: Tensor
    first: Tensor
    count: Tensor
    place: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        warmup: int = 20,
        layer: Literal["last", "all"] = "last",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"gradnorm: alpha={alpha}, a number of at least 0 is wanted, such as 1.5")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"gradnorm: learning_rate={learning_rate}, a number above 0 is wanted, such as 0.025")
        if warmup < 1:
            raise ValueError(f"gradnorm: warmup={warmup}, at least 1 step is wanted, such as 20")
        if layer not in ("last", "all"):
            raise ValueError(f"gradnorm: layer={layer!r}, 'last' or 'all' is wanted")
        self.alpha, self.learning_rate, self.warmup, self.layer = alpha, learning_rate, warmup, layer
        self.register_buffer("weights", torch.ones(len(self.tasks), dtype=torch.float64))
        self.register_buffer("first", torch.zeros(len(self.tasks), dtype=torch.float64))
        self.register_buffer("count", torch.zeros(len(self.tasks), dtype=torch.int64))
        self.register_buffer("place", torch.full((), -1, dtype=torch.int64))

    def watched(self, shared: Sequence[nn.Parameter], losses: Mapping[str, Tensor]) -> Sequence[nn.Parameter]:
        """The weights of the last shared layer; all shared parameters where there is none."""
        if self.layer == "all":
            return shared
        if not 0 <= int(self.place) < len(shared):
            self.place.fill_(_last_layer(shared, losses))
        return shared if int(self.place) < 0 else [shared[int(self.place)]]

    def _check_processes(self, processes: Processes | None, shared: Sequence[nn.Parameter]) -> None:
        super()._check_processes(processes, shared)
        if processes is not None and self.layer == "last":
            raise ValueError(
                "gradnorm: layer='last' is found by what one process's rows reach: layer='all' in several processes"
            )

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights; those for the next step then move."""
        index, losses = signals.index, signals.losses.clamp_min(1e-8)
        weights = self.weights[index]
        is_first = self.count[index] < self.warmup
        first = index[is_first]
        self.count[first] += 1
        self.first[first] += (losses[is_first] - self.first[first]) / self.count[first]
        if not is_first.all():
            self._move(index, losses, signals.gramian, ~is_first & torch.from_numpy(live_rows(signals.gramian)))
        return weights

    def _move(
        self,
        index: Int[Tensor, " present"],
        losses: Float[Tensor, " present"],
        gramian: Float[Tensor, "present present"],
        is_moved: Tensor,
    ) -> None:
        """One step on Σ |w n − N̄ r^α| for the tasks that move; they share what they had."""
        if not is_moved.any():
            return
        index, losses, norms = index[is_moved], losses[is_moved], gramian.diagonal()[is_moved].sqrt()
        weights = self.weights[index]
        pace = losses / self.first[index]
        wanted = (weights * norms).mean() * (pace / pace.mean()) ** self.alpha
        moved = weights - self.learning_rate * torch.sign(weights * norms - wanted) * norms
        moved = moved.clamp_min(LEAST_WEIGHT)
        self.weights[index] = moved * (weights.sum() / moved.sum())


def _last_layer(shared: Sequence[nn.Parameter], losses: Mapping[str, Tensor]) -> int:
    """Where the last matrix stands that every loss reaches, else that any reaches; -1 where there is none."""
    last = -1
    for place in reversed(range(len(shared))):
        if shared[place].ndim < 2 or not shared[place].requires_grad:
            continue
        reached = [_reaches(loss, shared[place]) for loss in losses.values()]
        if all(reached):
            return place
        if any(reached) and last < 0:
            last = place
    return last


def _reaches(loss: Tensor, parameter: nn.Parameter) -> bool:
    (gradient,) = torch.autograd.grad(loss, [parameter], retain_graph=True, allow_unused=True)
    return gradient is not None
