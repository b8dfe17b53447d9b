"""Auto-λ: weights that lower the validation losses after the step they would lead to."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.task_adam import TaskAdam
from polytask.errors import nearest
from polytask.gradients import Engine, Signals, length

#: How far the parameters are moved to either side for the difference of losses.
REACH = 0.01


class AutoLambda(Balancer):
    """w = λ, learned so that Σ L_val of the primary tasks falls at θ′ = θ − η ∇ Σ λ_i L_i, where a step would lead.

    The slope is −η ⟨∇L_i(θ), d⟩ with d = ∇ Σ L_val(θ′), taken as a difference of the training losses at θ ± εd,
    ε = 0.01/‖d‖; λ takes a step of Adam along it and is then used. A task whose gradient helps the primary tasks on
    rows that do not train gains weight; one that hurts them loses it, down to 0.

    Costs four more forward passes a step and two more backward: of the batch at θ with its gradient, of the validation
    batch at θ′ with its gradient, of the batch at θ ± εd. **The validation rows steer the training**: scores on them
    no longer tell how the model does on new rows. θ′ moves all trainable parameters of the probe's modules; penalties
    have no part in it.

    Args:
        tasks, generator, engine: as for every `Balancer`.
        primary: the tasks whose validation losses count, the others being there to help; all where not given.
        learning_rate: of λ, above 0.
        start: λ of every task at first, above 0.

    Raises:
        ValueError: a setting that cannot be; a step without a probe; names the task.

    Example:
        >>> from polytask.gradients import Probe
        >>> model, theirs = torch.nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [2.0]])
        >>> def losses(x=torch.tensor([[1.0], [3.0]])):
        ...     y = model(x)
        ...     return {"wanted": (y - 2 * x).square().mean(), "against": (y + 2 * x).square().mean()}
        >>> balancer = AutoLambda(["wanted", "against"], primary=["wanted"], learning_rate=0.01)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> for _ in range(20):
        ...     probe = Probe(model, losses=losses, validation=lambda: losses(theirs), learning_rate=0.01)
        ...     optimizer.zero_grad()
        ...     weights = balancer.backward(losses(), shared=model.parameters(), probe=probe)
        ...     optimizer.step()
        >>> weights["wanted"] > 0.2, weights["against"] < 0.01
        (True, True)

    Paper: Liu, James, Davison and Johns, Auto-Lambda: Disentangling Dynamic Task Relationships, TMLR 2022, 2202.03091.

    Deviates: λ stays at 0 or above; below it a loss would be driven up without end. θ′ is a step of plain gradient
    descent; the authors' code adds momentum and weight decay, which do not depend on λ. It draws the validation
    batch from the training rows in another order; here it is what the probe gives. An absent task keeps its λ. λ
    stays as it is in a step whose validation batch has no primary task.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"probe"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "liushikun2022"
    use_when: ClassVar[str] = "It is unknown which tasks help the primary ones, and there are validation rows to spend."
    extra_passes: ClassVar[str] = "4 forward, 2 backward"
    looks_ahead: ClassVar[bool] = True
    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        primary: list[str] | None = None,
        learning_rate: float = 1e-4,
        start: float = 0.1,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if not 0 < start < float("inf"):
            raise ValueError(f"auto_lambda: start={start}, a number above 0 is wanted, such as 0.1")
        for name in primary or ():
            if name not in self.tasks:
                raise ValueError(f"auto_lambda: the unknown task {name!r} in primary; {nearest(name, self.tasks)}")
        if primary is not None and not primary:
            raise ValueError(f"auto_lambda: primary is empty: name a task, primary={[self.tasks[0]]}, or leave it out")
        self.primary = self.tasks if primary is None else tuple(primary)
        self.is_impartial = set(self.primary) == set(self.tasks)  # type: ignore[misc]
        self.register_buffer("weights", torch.full((len(self.tasks),), start, dtype=torch.float64))
        self.adam = TaskAdam(len(self.tasks), learning_rate, "auto_lambda")

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """λ of the tasks present, after its step."""
        index = signals.index
        slope = self._slope(signals, self.weights[index])
        if slope is not None:
            self.weights[index] = (self.weights[index] + self.adam(index, slope)).clamp_min(0.0)
        return self.weights[index]

    def _slope(self, signals: Signals, weights: Float[Tensor, " present"]) -> Float[Tensor, " present"] | None:
        """Of the validation losses in λ; None where they say nothing."""
        probe = signals.probe
        step = probe.gradient(dict(zip(signals.names, weights.tolist(), strict=True)))
        with probe.moved(step, -probe.learning_rate):
            direction = probe.validation_gradient(self.primary)
        if direction is None or (norm := length(direction)) == 0:
            return None
        if not norm < float("inf"):
            raise ValueError(
                f"auto_lambda: the gradient of the validation losses of {list(self.primary)} is not finite after a "
                "step: lower the learning rate, or look for extreme values in the validation rows"
            )
        sides = []
        for by in (REACH / norm, -REACH / norm):
            with probe.moved(direction, by):
                losses = probe.losses()
            sides.append(torch.stack([losses[name].cpu().to(torch.float64) for name in signals.names]))
        for name, is_finite in zip(signals.names, (sides[0] - sides[1]).isfinite().tolist(), strict=True):
            if not is_finite:
                raise ValueError(f"task {name!r}: its loss is not finite {REACH} away: lower the learning rate")
        return -probe.learning_rate * norm * (sides[0] - sides[1]) / (2 * REACH)
