"""GradDrop: at every coordinate one sign is drawn, and gradients of the other are dropped."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.draws import Draws
from polytask.balance.per_task import per_task
from polytask.gradients import Direction, Engine, Signals


class GradDrop(Balancer):
    """The sum of the gradients after at each coordinate all of one sign, drawn by chance, were dropped.

    With v_i the tasks' entries at a coordinate, P = (1 + Σv_i/Σ|v_i|)/2 is the chance that positive entries are
    kept; U is uniform, one number a coordinate for all tasks: v_i > 0 is kept where P > U, v_i < 0 where not. So no
    two tasks pull a coordinate in opposite directions, and points that are stable are those where each task is at
    rest. A task with leak l keeps that share of what it would lose.

    The update has the length of a *sum* of the gradients where they do not conflict. `backward` returns the share of
    each task's gradient (by squared length) that was kept.

    Args:
        tasks, engine: as for every `Balancer`.
        generator: draws U; its state at the start is copied.
        leaks: l, task -> number from 0 to 1, or a list in the order of `tasks`; 0 where not given.

    Raises:
        ValueError: leaks that cannot be.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(3))
        >>> losses = {"a": w[0] + 2 * w[1], "b": w[2] - w[1]}
        >>> weights = GradDrop(["a", "b"]).backward(losses, shared=[w])
        >>> w.grad  # at the second coordinate 2 is kept with chance 2/3, -1 with 1/3
        tensor([ 1., -1.,  1.])

    Paper: Chen, Ngiam, Huang, Luong, Kretzschmar, Chai and Anguelov, Just Pick a Sign: Optimizing Deep Multitask
    Models with Gradient Sign Dropout, NeurIPS 2020, 2010.06808.

    Deviates: signs are drawn for the coordinates of the shared parameters, as the paper defines it for a gradient of
    any kind; its experiments draw them for activations of the last shared layer (times their sign, summed over the
    batch). The chance is P itself, the paper's default of its monotone functions of P.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "chen2020"
    use_when: ClassVar[str] = "Tasks pull single parameters in opposite directions, and noise does no harm."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "sum"
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})
    gives_direction: ClassVar[bool] = True
    leaks: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        leaks: dict[str, float] | list[float] | None = None,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        found = per_task(leaks, self.tasks, "leaks", "graddrop", default=0.0, least=0.0)
        if (found > 1).any():
            name = self.tasks[int(found.argmax())]
            raise ValueError(f"graddrop: the leak of task {name!r} is {found.max():g}, a number from 0 to 1 is wanted")
        self.register_buffer("leaks", found)
        self.draws = Draws(generator)

    def forward(self, signals: Signals) -> Direction:
        """The sum of what is kept."""
        rows = signals.jacobian
        with self.draws.drawing() as generator:
            drawn = torch.rand(rows.shape[1], generator=generator).to(rows.device)
        leaks = self.leaks[signals.index].to(rows)[:, None]
        kept = torch.where((chance(rows) > drawn) == (rows > 0), 1.0, leaks)
        return Direction((kept * rows).sum(dim=0), _share(kept, rows))


def chance(rows: Float[Tensor, "tasks params"]) -> Float[Tensor, " params"]:
    """P of every coordinate: 1 where all entries are positive, 1/2 where they cancel or are zero.

    Example:
        >>> chance(torch.tensor([[2.0, 0.0], [-1.0, 0.0]]))
        tensor([0.6667, 0.5000])
    """
    total = rows.abs().sum(dim=0)
    return (1 + rows.sum(dim=0) / torch.where(total > 0, total, 1.0)) / 2


def _share(factors: Float[Tensor, "tasks params"], rows: Float[Tensor, "tasks params"]) -> Float[Tensor, " tasks"]:
    """Σ factor g²/Σ g² of each row, 1 for a gradient of zero."""
    found = torch.ones(len(rows), dtype=torch.float64)
    for k, (factor, row) in enumerate(zip(factors, rows, strict=True)):
        largest = row.abs().max() if len(row) else 0.0
        if largest > 0:
            squares = (row / largest).square()
            found[k] = (squares @ factor) / squares.sum()
    return found
