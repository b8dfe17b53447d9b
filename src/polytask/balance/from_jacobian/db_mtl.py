"""DB-MTL: losses on a logarithmic scale, averaged gradients at the length of the longest."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.from_jacobian.lengths import lengths
from polytask.balance.from_jacobian.memory import TaskRows
from polytask.gradients import VANISHED, Direction, Engine, Signals


class DBMTL(Balancer):
    """Σ w_i m_i with w_i = max_j ‖m_j‖/‖m_i‖, where m averages the gradients of log(L_i + 1e-8) over steps.

    m_i ← g_i + β/k^σ (m_i − g_i), g_i the gradient of log(L_i + 1e-8), which is that of L_i divided by it. So the
    unit of a loss does not matter, to shared parameters nor to heads, which train on the logarithms too; and every
    task moves the shared parameters by as much as the one with the longest gradient.

    The update has the length of a *sum* of the gradients of the logarithms. `backward` returns w_i/(L_i + 1e-8).

    Args:
        tasks, generator, engine: as for every `Balancer`.
        beta: β, at least 0 and below 1; 0 remembers nothing.
        beta_power: σ, at least 0: how fast the memory fades out.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> balancer = DBMTL(["a", "b"])
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> weights = balancer.backward({"a": w[0], "b": 100 * w[1]}, shared=[w])  # log gradients of length 1, 1/2
        >>> w.grad
        tensor([1., 1.])

    Paper: Lin, Jiang, Ye, Zhang, Chen, Chen, Liu, Tsang and Kwok, Dual-Balancing for Multi-Task Learning, 2023,
    2308.12029.

    Deviates: m starts at the first gradient, where the paper starts at zero and its first step is shrunk by 1 − β; k
    counts the task's own steps. A gradient that vanished beside the longest has the weight 1; otherwise nothing is
    added to the lengths that divide (1e-8 in the authors' code). Losses below 0 are taken as 0.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian", "losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "lin2023"
    use_when: ClassVar[str] = "Units of losses and lengths of gradients both differ; keeps a gradient a task."
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    gives_direction: ClassVar[bool] = True
    count: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        beta: float = 0.9,
        beta_power: float = 0.0,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 <= beta < 1:
            raise ValueError(f"db_mtl: beta={beta}, a number from 0 to below 1 is wanted, such as 0.9")
        if not 0 <= beta_power < float("inf"):
            raise ValueError(f"db_mtl: beta_power={beta_power}, a number of at least 0 is wanted, such as 0")
        self.beta, self.beta_power = beta, beta_power
        self.register_buffer("count", torch.zeros(len(self.tasks), dtype=torch.int64))
        self.average = TaskRows(len(self.tasks), "db_mtl")

    def loss_factors(
        self, index: Int[Tensor, " present"], losses: Float[Tensor, " present"]
    ) -> Float[Tensor, " present"]:
        """1/(L + 1e-8): the slope of the logarithm."""
        return 1 / (losses.clamp_min(0) + 1e-8)

    def forward(self, signals: Signals) -> Direction:
        """The averaged gradients of the logarithms, all at the length of the longest."""
        rows = signals.jacobian
        if self.beta:
            rows = self._averaged(rows, signals.index)
        length = lengths(rows, [rows.shape[1]])[:, 0]
        is_live = length > VANISHED * length.max()
        weights = torch.where(is_live, length.max() / torch.where(is_live, length, 1.0), 1.0)
        return Direction(weights.to(rows) @ rows, weights)

    def _averaged(self, rows: Float[Tensor, "present params"], index: Tensor) -> Float[Tensor, "present params"]:
        self.count[index] += 1
        before, count = self.average.read(index, rows), self.count[index]
        kept = torch.where(count == 1, 0.0, self.beta / count.to(torch.float64) ** self.beta_power)
        average = torch.lerp(rows, before, kept.to(rows)[:, None])
        self.average.write(index, average)
        return average
