"""Optimisers that take each task's gradient apart: what replaces Adam and the balancer both."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from polytask.gradients import Engine, add_gradient, check_names, check_rows_finite, loss_values


class TaskOptimizer(torch.optim.Optimizer, ABC):
    """An optimiser whose step on shared parameters is made of the tasks' gradients, not of their sum.

    `backward(losses)` stands in the place of a balancer's, then comes `step()`; all else is as for any optimiser of
    torch, its state included. Shared parameters are the first of its two groups; all others (heads, own stages) move
    by Adam on the sum of their gradients. Several `backward` before a step add up. Shared parameters have no `.grad`
    but from a penalty, which is added to their step as it is, and weight decay is apart from gradients, as in AdamW.
    Losses are not scaled: it works with bfloat16, not with a GradScaler.

    Args:
        params: all parameters.
        lr: learning rate.
        shared: those of them that tasks share; others are left out.
        tasks: names of all tasks that may be in a step, in any order.
        betas: decay of the first and of the second moments.
        eps: what is added to the root of a second moment.
        weight_decay: each step takes this times the learning rate of every parameter that it moves.
        engine: how gradients are taken.

    Raises:
        ValueError: settings that cannot be, no tasks, or parameter groups in place of parameters.
    """

    #: In place of a balancer it is handed J.
    reads: ClassVar[frozenset[str]] = frozenset({"jacobian"})
    #: Key of the paper in `polytask.papers`.
    paper: ClassVar[str | None] = None

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        shared: Iterable[nn.Parameter],
        tasks: Sequence[str],
        betas: Sequence[float],
        eps: float,
        weight_decay: float,
        engine: Engine,
    ) -> None:
        self.method = type(self).__name__
        self.tasks = tuple(tasks)
        listed = list(params)
        self._check_settings(lr, betas, eps, weight_decay, engine)
        if any(isinstance(given, dict) for given in listed):
            raise ValueError(f"{self.method}: params is a list of groups, plain parameters are wanted")
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"{self.method}: tasks={list(self.tasks)}: name each task once")
        known = {id(p) for p in shared}
        groups = [{"params": [p for p in listed if (id(p) in known) == is_shared]} for is_shared in (True, False)]
        super().__init__(groups, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})
        self.engine = engine
        self._rows: dict[int, Tensor] = {}
        self._reached: list[bool] = []

    def _check_settings(
        self, lr: float, betas: Sequence[float], eps: float, weight_decay: float, engine: Engine
    ) -> None:
        if not lr > 0:
            raise ValueError(f"{self.method}: lr={lr}, a number above 0 is wanted, such as 0.001")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{self.method}: betas={betas}, two numbers from 0 to below 1 are wanted: (0.9, 0.999)")
        if not eps >= 0 or not weight_decay >= 0:
            raise ValueError(f"{self.method}: eps={eps}, weight_decay={weight_decay}: at least 0 is wanted of both")
        if engine.level != "exact" or engine.every != 1:
            raise ValueError(
                f"{self.method}: level={engine.level!r}, every={engine.every}: it takes the exact gradients of every "
                "step: level='exact', every=1"
            )

    def backward(
        self, losses: Mapping[str, Tensor], *, penalty: Tensor | None = None, allow_unreached: bool = False
    ) -> dict[str, float]:
        """Takes the tasks' gradients, as `loss.backward()` would take the sum's.

        Args:
            losses: task -> scalar loss, of the tasks present; others keep their moments as they are.
            penalty: a scalar that is no task's (of a sharing scheme).
            allow_unreached: whether the losses may reach none of the shared parameters.

        Returns:
            task -> 1 where its gradient on shared parameters was taken, else 0.

        Raises:
            ValueError: an unknown task, a loss that cannot be differentiated, shared parameters that no loss reaches,
                losses or gradients that are not finite; names the task or parameter.
        """
        check_names(losses, self.tasks)
        loss_values(losses)
        chosen = self._chosen(tuple(losses))
        self._add_own([loss for name, loss in losses.items() if name not in chosen])
        found = self.engine.differentiate(
            {name: losses[name] for name in chosen},
            self.param_groups[0]["params"],
            retain_graph=penalty is not None,
            allow_unreached=allow_unreached,
        )
        rows = found.jacobian()
        check_rows_finite(rows, found.names)
        for name, row in zip(found.names, rows, strict=True):
            place = self.tasks.index(name)
            self._rows[place] = self._rows[place] + row if place in self._rows else row
        before = self._reached or [False] * len(found.reached)
        self._reached = [a or b for a, b in zip(before, found.reached, strict=True)]
        found.accumulate_own()
        if penalty is not None and penalty.requires_grad:
            penalty.backward()
        return {name: float(name in chosen) for name in losses}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, the tasks' too."""
        super().zero_grad(set_to_none)
        self._rows, self._reached = {}, []

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient, and its moments."""
        if closure is not None:
            raise ValueError(f"{self.method}: it takes no closure: call backward(losses), then step()")
        shared, own = self.param_groups
        if not self._rows and any(p.grad is not None for p in shared["params"]):
            raise ValueError(f"{self.method}: call its backward(losses) before step(): it needs each task's gradient")
        if self._rows:
            places = sorted(self._rows)
            rows = torch.stack([self._rows[place] for place in places])
            parts = rows.split([p.numel() for p in shared["params"] if p.requires_grad], dim=1)
            self._move_shared(shared, torch.tensor(places), parts)
        for p in shared["params"]:
            if p.grad is not None:
                p.add_(p.grad, alpha=-shared["lr"])
        for p in own["params"]:
            if p.grad is not None:
                row = (p.grad.to_dense() if p.grad.is_sparse else p.grad).reshape(1, -1)
                self._move(p, self._own_update(p, row, own), own)
        self._rows, self._reached = {}, []

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As every optimiser's; moments keep the type they were saved in, which may be wider than the parameter's."""
        super().load_state_dict(state_dict)
        places = [k for group in state_dict["param_groups"] for k in group["params"]]
        known = [p for group in self.param_groups for p in group["params"]]
        for place, p in zip(places, known, strict=True):
            for what, saved in state_dict["state"].get(place, {}).items():
                if isinstance(saved, Tensor):
                    self.state[p][what] = saved.detach().clone().to(self.state[p][what].device)

    def _own_update(self, p: Tensor, row: Tensor, group: Mapping[str, Any]) -> Tensor:
        return adam_terms(self.state[p], row, torch.zeros(1, dtype=torch.int64), 1, group)[0]

    def _chosen(self, names: Sequence[str]) -> Sequence[str]:
        """The tasks whose gradients on shared parameters this step takes."""
        return names

    @abstractmethod
    def _move_shared(self, group: dict[str, Any], index: Tensor, parts: Sequence[Tensor]) -> None:
        """One step of the shared parameters.

        Args:
            group: its settings and parameters.
            index: the tasks whose gradients are there.
            parts: these gradients, [tasks, coordinates], of each parameter that is not frozen.
        """

    def _reached_parameters(self, group: Mapping[str, Any]) -> list[tuple[Tensor, bool]]:
        """Each parameter that is not frozen, and whether any task reached it."""
        return list(zip((p for p in group["params"] if p.requires_grad), self._reached, strict=True))

    def _move(self, p: Tensor, update: Tensor, group: Mapping[str, Any]) -> None:
        if group["weight_decay"]:
            p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(update.view(p.shape).to(p.dtype), alpha=-group["lr"])

    def _add_own(self, losses: Sequence[Tensor]) -> None:
        """The gradients of these losses on what no tasks share; nothing is propagated through shared layers."""
        own = [p for p in self.param_groups[1]["params"] if p.requires_grad]
        if losses and own:
            found = torch.autograd.grad(torch.stack(list(losses)).sum(), own, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(own, found, strict=True):
                if gradient is not None:
                    add_gradient(parameter, gradient.clone())


def adam_terms(state: dict[str, Any], rows: Tensor, index: Tensor, num_rows: int, group: Mapping[str, Any]) -> Tensor:
    """Adam's m̂/(√v̂ + ε) for each row, with moments and steps of its own; those not in `index`, which is in order,
    stand still.
    """
    first, second = group["betas"]
    if not state:
        state["step"] = torch.zeros(num_rows)
        state["mean"] = torch.zeros(num_rows, rows.shape[1], dtype=rows.dtype, device=rows.device)
        state["square"] = torch.zeros_like(state["mean"])
    state["step"][index] += 1
    count = state["step"][index].to(torch.float64)[:, None]
    mean, square = moments_of(state, index, "mean"), moments_of(state, index, "square")
    mean.lerp_(rows, 1 - first)
    square.mul_(second).addcmul_(rows, rows, value=1 - second)
    keep_moments(state, index, mean=mean, square=square)
    root = (square / (1 - second**count).to(rows)).sqrt_().add_(group["eps"])
    return (mean / (1 - first**count).to(rows)).div_(root)


def moments_of(state: dict[str, Any], index: Tensor, what: str) -> Tensor:
    """The rows at `index`, to be changed in place: all of them themselves, or a copy of some."""
    return state[what] if len(index) == len(state[what]) else state[what][index.to(state[what].device)]


def keep_moments(state: dict[str, Any], index: Tensor, **changed: Tensor) -> None:
    """Stores what became of `moments_of`."""
    for what, rows in changed.items():
        if rows is not state[what]:
            state[what][index.to(rows.device)] = rows
