"""M-ConFIG: one task's gradient a step, and a step that conflicts with none of their averages."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from polytask.balance import ConFIG, Signals
from polytask.gradients import Engine, gramian
from polytask.train.task_optimizer import TaskOptimizer, keep_moments, moments_of


class MConFIG(TaskOptimizer):
    """Adam around ConFIG: first moments by task, combined without conflict, over one second moment for all.

    In step k one task, each in turn, gives its gradient: m_i ← β₁m_i + (1 − β₁)g_i. Then u = ConFIG(m̂) over all
    tasks, and the gradient that Adam would have needed for it is f_k = u(1 − β₁^k), φ = (f_k − β₁f_(k−1))/(1 − β₁);
    s ← β₂s + (1 − β₂)φ², θ ← θ − η u/(√ŝ + ε). So a step costs one backward pass through shared layers, whatever
    the number of tasks, as that of a plain sum does. Shared parameters stand still until every task was seen.

    A task that trains no more goes on pulling by its last average: it is for tasks that stay.

    Args:
        params: all parameters.
        lr: η, above 0.
        shared: those of them that tasks share.
        tasks: names of all tasks that may be in a step.
        engine: how gradients are taken.
        betas: β₁ and β₂.
        eps: ε, at least 0.
        weight_decay: apart from the gradients, as in AdamW.

    Raises:
        ValueError: settings that cannot be.

    Example:
        >>> trunk, heads = nn.Linear(2, 3), nn.ModuleDict({name: nn.Linear(3, 1) for name in ("a", "b")})
        >>> parameters = [*trunk.parameters(), *heads.parameters()]
        >>> optimizer = MConFIG(parameters, lr=0.01, shared=trunk.parameters(), tasks=["a", "b"])
        >>> for _ in range(2):
        ...     features = trunk(torch.ones(4, 2))
        ...     optimizer.zero_grad()
        ...     print(optimizer.backward({name: head(features).square().mean() for name, head in heads.items()}))
        ...     optimizer.step()
        {'a': 1.0, 'b': 0.0}
        {'a': 0.0, 'b': 1.0}

    Paper: Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks,
    ICLR 2025, 2408.11104.

    Deviates: the paper's networks have no heads; here they take the gradients of all tasks in every step, by Adam.
    The task whose turn it is may be absent: then the next one that is there takes it.
    """

    paper: ClassVar[str | None] = "liu2025"
    use_when: ClassVar[str] = "Conflict, but no time for a gradient a task: one task a step, the others remembered."
    extra_passes: ClassVar[str] = "none"

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        shared: Iterable[nn.Parameter] = (),
        tasks: Sequence[str] = (),
        engine: Engine = Engine(),
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, shared, tasks, betas, eps, weight_decay, engine)
        self.combine = ConFIG(self.tasks)
        # In the group, which a saved state holds: whose turn it is, the tasks' steps, and steps with all of them.
        self.param_groups[0] |= {"turn": 0, "counts": [0] * len(self.tasks), "combined": 0}

    def _chosen(self, names: Sequence[str]) -> Sequence[str]:
        turn, num_tasks = self.param_groups[0]["turn"], len(self.tasks)
        return [min(names, key=lambda name: (self.tasks.index(name) - turn) % num_tasks)]

    def _move_shared(self, group: dict[str, Any], index: Tensor, parts: Sequence[Tensor]) -> None:
        first = group["betas"][0]
        for place in index.tolist():
            group["counts"][place] += 1
        group["turn"] = (int(index[-1]) + 1) % len(self.tasks)
        moved = [
            (p, rows)
            for (p, is_reached), rows in zip(self._reached_parameters(group), parts, strict=True)
            if is_reached or self.state[p]
        ]
        for p, rows in moved:
            self._remember(p, rows, index, first)
        if not (moved and all(group["counts"])):
            return
        group["combined"] += 1
        weights = self._weights([p for p, _ in moved], group)
        for p, _ in moved:
            self._move(p, self._scaled(self.state[p], weights, group), group)

    def _remember(self, p: Tensor, rows: Tensor, index: Tensor, first: float) -> None:
        state = self.state[p]
        if not state:
            state["mean"] = torch.zeros(len(self.tasks), rows.shape[1], dtype=rows.dtype, device=rows.device)
            state["last"] = torch.zeros_like(state["mean"][0])
            state["square"] = torch.zeros_like(state["last"])
        mean = moments_of(state, index, "mean").lerp_(rows, 1 - first)
        keep_moments(state, index, mean=mean)

    def _weights(self, moved: Sequence[Tensor], group: dict[str, Any]) -> Tensor:
        """ConFIG's weights on m̂, as weights on m."""
        scale = 1 / (1 - group["betas"][0] ** torch.tensor(group["counts"], dtype=torch.float64))
        found = torch.stack([gramian(self.state[p]["mean"]) for p in moved]).sum(dim=0) * scale * scale[:, None]
        num_tasks = len(self.tasks)
        signals = Signals(
            names=self.tasks,
            index=torch.arange(num_tasks),
            step=group["combined"],
            epoch=None,
            scores=torch.full((num_tasks,), torch.nan, dtype=torch.float64),
            reads=self.combine.reads,
            losses=torch.full((num_tasks,), torch.nan, dtype=torch.float64),
            gramian=lambda: found,
        )
        return torch.as_tensor(self.combine(signals)) * scale

    @staticmethod
    def _scaled(state: dict[str, Any], weights: Tensor, group: dict[str, Any]) -> Tensor:
        """u/(√ŝ + ε)."""
        (first, second), k = group["betas"], group["combined"]
        direction = weights.to(state["mean"]) @ state["mean"]
        moment = direction * (1 - first**k)
        fake = (moment - first * state["last"]) / (1 - first)
        state["last"] = moment
        state["square"] = second * state["square"] + (1 - second) * fake * fake
        return torch.as_tensor(direction / ((state["square"] / (1 - second**k)).sqrt() + group["eps"]))
