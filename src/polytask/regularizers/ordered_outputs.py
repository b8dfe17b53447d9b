"""Ordered outputs: what comes later on a path is no likelier than what comes before it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import OutputSpec
from polytask.regularizers.base import Regularizer, checked_weight, chosen_tasks
from polytask.sharing import excess


class OrderedOutputs(Regularizer):
    """weight · Σ_t mean max(p_t − p_{t−1}, 0) over neighbours in `order` that are present, for tasks of two classes.

    p_t is the probability of the class that sorts last (true, 1, "yes").

    Args:
        outputs: task -> what its head gives for a row.
        heads: task -> its head.
        order: two tasks of two classes or more, the likeliest first; it has to be given.
        weight: at least 0.

    Raises:
        ValueError: no order, a task that is not there or not of two classes, a weight below 0.

    Example:
        >>> import torch
        >>> binary = OutputSpec((), "softmax")
        >>> penalty = OrderedOutputs({"click": binary, "buy": binary}, {}, order=["click", "buy"], weight=1.0)
        >>> outputs = {"click": torch.tensor([0.2]).logit(), "buy": torch.tensor([0.7]).logit()}
        >>> round(penalty(outputs, {}).item(), 4)
        0.5

    Paper: Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task Learning
    in Targeted Display Advertising, KDD 2021, arXiv 2105.08489 (there a part of AITM).

    Deviates: a mean over rows, where the paper's is a sum, so that the weight does not grow with the batch.
    """

    name: ClassVar[str] = "ordered_outputs"
    paper: ClassVar[str] = "xi2021"
    use_when: ClassVar[str] = "one thing happens only after another: its probability may not be the larger"

    def __init__(
        self,
        outputs: Mapping[str, OutputSpec],
        heads: Mapping[str, nn.Module],
        *,
        order: Sequence[str] | None = None,
        weight: float = 0.6,
    ) -> None:
        super().__init__(outputs, heads)
        if order is None:
            raise ValueError("ordered_outputs: order is missing: the tasks, the likeliest first: order: [click, buy]")
        self.order = chosen_tasks(self.name, order, outputs)
        self.weight = checked_weight(self.name, weight)
        for task in self.order:
            if not outputs[task].is_binary:
                raise ValueError(f"ordered_outputs: task {task!r} is no classification of two classes; take it out")

    def forward(
        self, outputs: Mapping[str, Float[Tensor, "batch ..."]], heads: Mapping[str, nn.Module]
    ) -> Float[Tensor, ""] | None:
        """The weighted sum; None where fewer than two of the tasks are present."""
        found = excess({task: outputs[task] for task in self.order if task in outputs}, self.order)
        return None if found is None or not self.weight else self.weight * found
