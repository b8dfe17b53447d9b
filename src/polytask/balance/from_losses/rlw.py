"""Random loss weighting: new weights in every step, from a distribution that knows nothing of the tasks."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.balance.draws import Draws
from polytask.gradients import Engine, Signals


class RLW(Balancer):
    """Weights drawn anew in every step: what a balancer has to beat to show that it looked at anything.

    Over the tasks present; the weights sum to 1, each 1/T on average:

    - `normal`: softmax of N(0, 1); `uniform`: softmax of U(0, 1);
    - `dirichlet`: Dirichlet(1, …, 1), uniform on the simplex;
    - `bernoulli`: each task in or out by a fair coin (drawn again if all are out), those in share equally;
    - `constrained_bernoulli`: one task takes all.

    A task of weight 0 is as absent in that step: what it alone reaches has no gradient.

    Args:
        tasks, engine: as for every `Balancer`.
        generator: draws the weights; its state at the start is copied.
        distribution: of the weights.

    Raises:
        ValueError: an unknown distribution.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> weights = RLW(["a", "b"], distribution="dirichlet").backward({"a": 2 * w, "b": w}, shared=[w])
        >>> round(sum(weights.values()), 6)
        1.0

    Paper: Lin, Ye, Zhang and Tsang, Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning, TMLR 2022, 2111.10603.

    Deviates: the authors' LibMTL once left Bernoulli weights at 1 a task and put a softmax on Dirichlet's; here
    all five sum to 1.
    """

    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "lin2022"
    use_when: ClassVar[str] = "As a control: a method that does not beat random weights has not shown that it looks."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def __init__(
        self,
        tasks: Sequence[str],
        generator: torch.Generator | None = None,
        *,
        engine: Engine = Engine(),
        distribution: Literal["normal", "uniform", "dirichlet", "bernoulli", "constrained_bernoulli"] = "normal",
    ) -> None:
        super().__init__(tasks, generator, engine=engine)
        known = ("normal", "uniform", "dirichlet", "bernoulli", "constrained_bernoulli")
        if distribution not in known:
            raise ValueError(f"rlw: distribution={distribution!r}, one of {', '.join(known)} is wanted")
        self.distribution = distribution
        self.draws = Draws(generator)

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """A draw for the tasks present."""
        with self.draws.drawing() as generator:
            return self._draw(len(signals.names), generator)

    def _draw(self, num_present: int, generator: torch.Generator) -> Float[Tensor, " present"]:
        empty = torch.empty(num_present, dtype=torch.float64)
        if self.distribution == "normal":
            return torch.softmax(empty.normal_(generator=generator), dim=0)
        if self.distribution == "uniform":
            return torch.softmax(empty.uniform_(generator=generator), dim=0)
        if self.distribution == "dirichlet":
            weights = empty.exponential_(generator=generator)  # normalised, they are Dirichlet(1, …, 1)
        elif self.distribution == "bernoulli":
            weights = empty.bernoulli_(0.5, generator=generator)
            while not weights.any():
                weights = empty.bernoulli_(0.5, generator=generator)
        else:
            weights = torch.zeros_like(empty)
            weights[torch.randint(num_present, (), generator=generator)] = 1
        return weights / weights.sum()
