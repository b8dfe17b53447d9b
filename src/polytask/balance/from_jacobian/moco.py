"""MoCo: min-norm weights that follow gradients averaged over steps, so that their bias dies out."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.from_jacobian.lengths import lengths
from polytask.balance.from_jacobian.memory import TaskRows
from polytask.gradients import VANISHED, Direction, Engine, Signals, gramian


class MoCo(Balancer):
    """Σ λ_i y_i, where y tracks each task's gradient over steps and λ takes one step a step towards min-norm.

    y_i ← y_i − β_k(y_i − h_i), then λ ← projection onto the simplex of λ − γ_k(YYᵀ + ρI)λ, with β_k = β/k^σ and
    γ_k = γ/k^τ in step k. Weights solved from the same batch whose gradients they weigh are biased; as y nears the
    true gradients, they no longer are. h_i is the gradient at the length of its loss, g_i L_i/‖g_i‖
    (`rescale="loss"`), or the gradient itself ("none"), where γ has the unit of an inverse squared gradient.

    λ sums to 1. With `rescale="loss"` the update has a length between 0 and that of the losses, whatever the
    gradients' are.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        beta: β, above 0 and at most 1.
        beta_power: σ, at least 0.
        gamma: γ, above 0.
        gamma_power: τ, at least 0.
        rho: ρ, at least 0: draws λ towards 1/T.
        rescale: "loss" or "none".

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> balancer = MoCo(["a", "b"])
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> weights = balancer.backward({"a": 3 * w[0], "b": w[1]}, shared=[w])
        >>> {name: round(weight, 3) for name, weight in weights.items()}  # YYᵀ = diag(9, 1): the longer counts less
        {'a': 0.3, 'b': 0.7}
        >>> w.grad
        tensor([0.9000, 0.7000])

    Paper: Fernando, Shen, Liu, Chaudhury, Murugesan and Chen, Mitigating Gradient Bias in Multi-objective Learning: A
    Provably Convergent Approach, ICLR 2023, 2210.12624.

    Deviates: y_i starts at the task's first h_i, where a start at zero shrinks the first steps, and k in β_k counts
    the task's own steps. y and λ are used as this step leaves them, as in the authors' code. It is not cut to a ball.
    While tasks are absent the others share what λ they have, scaled to a sum of 1. Public implementations put a softmax
    in place of the projection, which forgets λ. Losses are clamped at 1e-8 where they give a length; a vanished
    gradient counts as zero.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "fernando2023"
    use_when: ClassVar[str] = (
        "Batches too small to solve weights from; keeps a gradient a task, may stall as `mgda` does."
    )
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    gives_direction: ClassVar[bool] = True
    count: Tensor
    share: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        beta: float = 0.5,
        beta_power: float = 0.5,
        gamma: float = 0.1,
        gamma_power: float = 0.5,
        rho: float = 0.0,
        rescale: Literal["loss", "none"] = "loss",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 < beta <= 1:
            raise ValueError(f"moco: beta={beta}, a number above 0 and at most 1 is wanted, such as 0.5")
        if not 0 < gamma < float("inf"):
            raise ValueError(f"moco: gamma={gamma}, a number above 0 is wanted, such as 0.1")
        for name, value in (("beta_power", beta_power), ("gamma_power", gamma_power), ("rho", rho)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"moco: {name}={value}, a number of at least 0 is wanted, such as 0.5")
        if rescale not in ("loss", "none"):
            raise ValueError(f"moco: rescale={rescale!r}, 'loss' or 'none' is wanted")
        self.beta, self.beta_power, self.gamma, self.gamma_power = beta, beta_power, gamma, gamma_power
        self.rho, self.rescale = rho, rescale
        # Raw gradients have no degree: λ moves with their square.
        self.degree = 0.0 if rescale == "loss" else float("nan")
        num_tasks = len(self.tasks)
        self.register_buffer("count", torch.zeros(num_tasks, dtype=torch.int64))
        self.register_buffer("share", torch.full((num_tasks,), 1 / num_tasks, dtype=torch.float64))
        self.tracked = TaskRows(num_tasks, "moco")

    def forward(self, signals: Signals) -> Direction:
        """The tracked gradients, combined by λ after its step."""
        rows, index = signals.jacobian, signals.index
        if self.rescale == "loss":
            rows = at_length(rows, signals.losses.clamp_min(1e-8))
        self.count[index] += 1
        before, count = self.tracked.read(index, rows), self.count[index]
        rate = torch.where(count == 1, 1.0, self.beta / count.to(torch.float64) ** self.beta_power)
        tracked = torch.lerp(before, rows, rate.to(rows)[:, None])
        self.tracked.write(index, tracked)
        mass = self.share[index].sum()
        share = self.share[index] / mass if mass > 0 else torch.full_like(rate, 1 / len(rate))
        slope = gramian(tracked) @ share + self.rho * share
        share = onto_simplex(share - self.gamma / (signals.step + 1) ** self.gamma_power * slope)
        self.share[index] = share * mass
        return Direction(share.to(rows) @ tracked, share)


def at_length(rows: Float[Tensor, "tasks params"], wanted: Float[Tensor, " tasks"]) -> Float[Tensor, "tasks params"]:
    """Each row at the wanted length; a vanished one is zero."""
    length = lengths(rows, [rows.shape[1]])[:, 0]
    is_live = length > VANISHED * length.max()
    # In two factors: one alone may lie beyond float32.
    unit = rows / torch.where(is_live, length, 1.0).to(rows)[:, None]
    return unit.mul_(torch.where(is_live, wanted, 0.0).to(rows)[:, None])


def onto_simplex(point: Float[Tensor, " tasks"]) -> Float[Tensor, " tasks"]:
    """The nearest point whose entries are at least 0 and sum to 1.

    Example:
        >>> onto_simplex(torch.tensor([0.5, 0.9, -2.0]))
        tensor([0.3000, 0.7000, 0.0000])
    """
    point = point - point.max()
    descending = point.sort(descending=True).values
    excess = (descending.cumsum(0) - 1) / torch.arange(1, len(point) + 1, dtype=point.dtype)
    num_kept = int((descending > excess).sum())
    return (point - excess[num_kept - 1]).clamp_min(0)
