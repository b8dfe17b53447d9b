"""AdaTask: each task has adaptive learning rates of its own on every shared parameter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from polytask.gradients import Engine
from polytask.train.task_optimizer import TaskOptimizer, adam_terms, keep_moments, moments_of


class AdaTask(TaskOptimizer):
    """Adam's moments for every task and shared parameter, and their steps summed: θ ← θ − η Σ_i m̂_i/(√v̂_i + ε).

    In one Adam for the sum, the second moments are those of the task with the largest gradients, and the others
    hardly move a parameter; here every task moves each parameter by about the same, whatever the unit of its loss.
    The rule may also be AdaGrad's or RMSProp's. It needs T times the memory of the rule's moments; steps are up to T
    times as long as Adam's with the same learning rate.

    Args:
        params: all parameters.
        lr: η, above 0.
        shared: those of them that tasks share.
        tasks: names of all tasks that may be in a step.
        engine: how gradients are taken.
        rule: "adam", "adagrad" or "rmsprop", for all parameters.
        betas: decay of the moments; "rmsprop" uses the second one, "adagrad" none.
        eps: ε, at least 0.
        weight_decay: apart from the gradients, as in AdamW.

    Raises:
        ValueError: settings that cannot be.

    Example:
        >>> trunk, heads = nn.Linear(2, 3), nn.ModuleDict({name: nn.Linear(3, 1) for name in ("a", "b")})
        >>> parameters = [*trunk.parameters(), *heads.parameters()]
        >>> optimizer = AdaTask(parameters, lr=0.01, shared=trunk.parameters(), tasks=["a", "b"])
        >>> features = trunk(torch.ones(4, 2))
        >>> optimizer.zero_grad()
        >>> optimizer.backward({name: head(features).square().mean() for name, head in heads.items()})
        {'a': 1.0, 'b': 1.0}
        >>> optimizer.step()

    Paper: Yang, Pan, Wang, Yu, Shen, Chen, Xiao, Jiang and Guo, AdaTask: A Task-aware Adaptive Learning Rate Approach
    to Multi-task Learning, AAAI 2023, 2211.15055.

    Deviates: moments are freed of their start at zero by the task's own number of steps on a parameter, and an absent
    task adds nothing; the paper has every task in every step.
    """

    paper: ClassVar[str | None] = "yang2023"
    use_when: ClassVar[str] = (
        "Adam, and tasks of which one's gradients drown the others'; moments for every task are kept."
    )

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        shared: Iterable[nn.Parameter] = (),
        tasks: Sequence[str] = (),
        engine: Engine = Engine(),
        *,
        rule: Literal["adam", "adagrad", "rmsprop"] = "adam",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"AdaTask: rule={rule!r}, 'adam', 'adagrad' or 'rmsprop' is wanted")
        super().__init__(params, lr, shared, tasks, betas, eps, weight_decay, engine)
        self.rule = rule

    def _move_shared(self, group: dict[str, Any], index: Tensor, parts: Sequence[Tensor]) -> None:
        for (p, is_reached), rows in zip(self._reached_parameters(group), parts, strict=True):
            if is_reached:
                terms = RULES[self.rule](self.state[p], rows, index, len(self.tasks), group)
                self._move(p, terms.sum(dim=0), group)

    def _own_update(self, p: Tensor, row: Tensor, group: Mapping[str, Any]) -> Tensor:
        return RULES[self.rule](self.state[p], row, torch.zeros(1, dtype=torch.int64), 1, group)[0]


def adagrad_terms(
    state: dict[str, Any], rows: Tensor, index: Tensor, num_rows: int, group: Mapping[str, Any]
) -> Tensor:
    """g/(√Σg² + ε) for each row."""
    return _by_squares(state, rows, index, num_rows, group, kept=1.0, taken=1.0)


def rmsprop_terms(
    state: dict[str, Any], rows: Tensor, index: Tensor, num_rows: int, group: Mapping[str, Any]
) -> Tensor:
    """g/(√v + ε) for each row, v ← βv + (1 − β)g²."""
    second = group["betas"][1]
    return _by_squares(state, rows, index, num_rows, group, kept=second, taken=1 - second)


def _by_squares(
    state: dict[str, Any],
    rows: Tensor,
    index: Tensor,
    num_rows: int,
    group: Mapping[str, Any],
    *,
    kept: float,
    taken: float,
) -> Tensor:
    if not state:
        state["square"] = torch.zeros(num_rows, rows.shape[1], dtype=rows.dtype, device=rows.device)
    square = moments_of(state, index, "square")
    square.mul_(kept).addcmul_(rows, rows, value=taken)
    keep_moments(state, index, square=square)
    return rows / square.sqrt().add_(group["eps"])


#: What each rule makes of the tasks' gradients on one parameter.
RULES = {"adam": adam_terms, "adagrad": adagrad_terms, "rmsprop": rmsprop_terms}
