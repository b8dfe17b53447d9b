"""Momentum on the weights of any other balancer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polytask.balance.base import Balancer
from polytask.config import Choice, as_choice
from polytask.gradients import Engine, Processes, Signals


class Smooth(Balancer):
    """w_k = βw_(k−1) + (1 − β)ŵ_k, with ŵ_k what another balancer gives in step k.

    Weights solved from one batch's gradients are correlated with these gradients, so that on average their sum is
    no longer a common descent direction; averaged weights are less so. It reads and scales what the other does, its
    weights are like the other's, and it costs the same. A task's first weights are taken as they are; an absent
    task keeps its own until it is back. Weights that sum to 1 (or T) still do while all tasks are present; where
    some are absent the others keep theirs, and sum to less.

    Args:
        tasks, generator: as for every `Balancer`; the other is built with them.
        engine: how gradients are taken, by either.
        of: the other balancer: `PCGrad`, `CAGrad.with_(c=0.2)`, `"pcgrad"`, `{"cagrad": {"c": 0.2}}`; in YAML
            `smooth: {of: pcgrad}`.
        momentum: β, at least 0 and below 1; 0 is the other balancer itself.

    Raises:
        ValueError: no balancer to smooth, one that gives no weights, or a momentum that cannot be.
        ConfigError: an unknown balancer, or settings it does not have.

    Example:
        >>> balancer = Smooth(["a", "b"], of="uw_o", momentum=0.5)
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> for loss in (1.0, 0.5):
        ...     weights = balancer.backward({"a": loss * w, "b": w}, shared=[w])
        >>> weights  # of a: 1, then half of 1 and half of 2
        {'a': 1.5, 'b': 1.0}

    Paper: Zhou, Zhang, Jiang, Zhong, Gu and Zhu, On the Convergence of Stochastic Multi-Objective Gradient
    Manipulation and Beyond, NeurIPS 2022 (there CR-MOGM).

    Deviates: β is constant, where the paper's theorem lets it grow as the learning rate falls. The first average
    is the first weights, not 1/T, since not every balancer's weights sum to 1. β = 0.9 is ours.
    """

    #: At most; an object reads and scales what `of` does, and has its other traits.
    reads: ClassVar[frozenset[str]] = frozenset({"losses", "gramian", "jacobian", "probe"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    paper: ClassVar[str | None] = "zhou2022"
    use_when: ClassVar[str] = (
        "Another balancer's weights jump from batch to batch; what it promises of one step is lost."
    )
    extra_passes: ClassVar[str] = "as the other"
    weights: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        of: Choice[Balancer] | type[Balancer] | str | Mapping[str, Any] | None = None,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        if of is None:
            raise ValueError("smooth: it needs the balancer whose weights it averages: of=pcgrad")
        if not 0 <= momentum < 1:
            raise ValueError(f"smooth: momentum={momentum}, a number from 0 to below 1 is wanted, such as 0.9")
        self.momentum = momentum
        choice = as_choice(of, self.catalogue(), "balancer")
        if choice.constructor.gives_direction:
            raise ValueError(
                f"smooth: {choice.constructor.__name__} gives a direction of its own and no weights to average; "
                "smooth one that gives weights, such as pcgrad"
            )
        self.of = choice(tasks, generator, engine=engine)
        self.reads = self.of.reads  # type: ignore[misc]  # what it wraps says what it needs
        self.scales = self.of.scales  # type: ignore[misc]
        self.weights_like = self.of.weights_like  # type: ignore[misc]
        self.is_impartial = self.of.is_impartial  # type: ignore[misc]
        self.looks_after = self.of.looks_after  # type: ignore[misc]
        self.looks_ahead = self.of.looks_ahead  # type: ignore[misc]
        self.levels = self.of.levels  # type: ignore[misc]
        self.degree = self.of.degree
        self.register_buffer("weights", torch.full((len(self.tasks),), torch.nan, dtype=torch.float64))

    def _check_engine(self, engine: Engine) -> None:
        """The other one is asked, when it is built."""

    def _check_processes(self, processes: Processes | None, shared: Sequence[nn.Parameter]) -> None:
        self.of._check_processes(processes, shared)

    def watched(self, shared: Sequence[nn.Parameter], losses: Mapping[str, Tensor]) -> Sequence[nn.Parameter]:
        """The other's."""
        return self.of.watched(shared, losses)

    def loss_factors(
        self, index: Int[Tensor, " present"], losses: Float[Tensor, " present"]
    ) -> Float[Tensor, " present"] | None:
        """The other's: heads are scaled as they would be without momentum."""
        return self.of.loss_factors(index, losses)

    def after_step(self, losses: Mapping[str, Tensor] | None) -> None:
        """The other's."""
        self.of.after_step(losses)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The averaged weights of the tasks present."""
        losses = signals.losses if "losses" in self.reads else torch.full_like(signals.scores, torch.nan)
        factors = self.loss_factors(signals.index, losses)  # before the other moves them
        fresh, before = self.of(signals), self.weights[signals.index]
        if factors is not None:  # the average is of what the raw gradients are weighted by
            before = before / factors
        after = self.momentum * before + (1 - self.momentum) * fresh
        weights = torch.where(before.isnan(), fresh, after)
        self.weights[signals.index] = weights if factors is None else weights * factors
        return weights
