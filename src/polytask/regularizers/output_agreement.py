"""Output agreement: the tasks' predicted distributions are brought together."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.feature import OutputSpec
from polytask.regularizers.base import Regularizer, checked_weight, chosen_tasks


class OutputAgreement(Regularizer):
    """weight · the mean, over pairs of present tasks, of the Jensen-Shannon divergence of their predictions.

    JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2, in nats: 0 where they agree, at most ln 2. Predictions are
    softmax outputs (of two classes: by the sigmoid); tasks that never share a forward are never compared.

    Args:
        outputs: task -> what its head gives for a row.
        heads: task -> its head.
        tasks: which are compared, two or more; all where not given.
        over: "rows": the predictions of each row, then the mean; "batch": the mean predictions of the batch, so that
            the tasks only need to predict their classes alike often.
        weight: at least 0.

    Raises:
        ValueError: tasks that are no classifications of the same classes, a weight below 0.

    Example:
        >>> binary = OutputSpec((), "softmax")
        >>> penalty = OutputAgreement({"a": binary, "b": binary}, {}, weight=1.0)
        >>> one = torch.tensor([0.5, 0.9]).logit()
        >>> penalty({"a": one, "b": one}, {}).item()
        0.0

    Paper: Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37, 1991 (the
    divergence; that tasks' predictions are held together by it is ours, as is the weight of 0.1).
    """

    name: ClassVar[str] = "output_agreement"
    paper: ClassVar[str] = "lin1991"
    use_when: ClassVar[str] = "tasks predict the same classes, as several raters or sources of one label"

    def __init__(
        self,
        outputs: Mapping[str, OutputSpec],
        heads: Mapping[str, nn.Module],
        *,
        tasks: Sequence[str] | None = None,
        over: Literal["rows", "batch"] = "rows",
        weight: float = 0.1,
    ) -> None:
        super().__init__(outputs, heads)
        self.tasks = chosen_tasks(self.name, tasks, outputs)
        self.weight = checked_weight(self.name, weight)
        if over not in ("rows", "batch"):
            raise ValueError(f"output_agreement: over is 'rows' or 'batch', got {over!r}")
        self.over = over
        first = self.tasks[0]
        for task in self.tasks:
            if outputs[task].link != "softmax":
                raise ValueError(f"output_agreement: task {task!r} is no classification; name those that are in tasks")
            if (outputs[task].shape, outputs[task].classes) != (outputs[first].shape, outputs[first].classes):
                raise ValueError(
                    f"output_agreement: tasks {first!r} and {task!r} have different classes "
                    f"({_classes(outputs[first])}; {_classes(outputs[task])}); name tasks of the same classes in tasks"
                )

    def forward(
        self, outputs: Mapping[str, Float[Tensor, "batch ..."]], heads: Mapping[str, nn.Module]
    ) -> Float[Tensor, ""] | None:
        """The weighted mean; None where fewer than two of the tasks are present."""
        logs = [log_probabilities(outputs[task]) for task in self.tasks if task in outputs]
        if not self.weight or len(logs) < 2:
            return None
        if self.over == "batch":
            logs = [one.logsumexp(dim=0, keepdim=True) - math.log(len(one)) for one in logs]
        return self.weight * torch.stack([divergence(p, q) for p, q in combinations(logs, 2)]).mean()


def log_probabilities(output: Float[Tensor, "batch ..."]) -> Float[Tensor, "rows classes"]:
    """The log p of every row (and place), classes last: of one logit a row, of two classes."""
    if output.ndim == 1:
        return torch.stack([functional.logsigmoid(-output), functional.logsigmoid(output)], dim=1)
    last = output.movedim(1, -1) if output.ndim == 4 else output
    return last.log_softmax(dim=last.ndim - 1).flatten(0, -2)


def divergence(p: Float[Tensor, "rows classes"], q: Float[Tensor, "rows classes"]) -> Float[Tensor, ""]:
    """The Jensen-Shannon divergence of rows given as log p and log q, the mean over rows."""
    middle = torch.logaddexp(p, q) - math.log(2)
    halves = [(one.exp() * (one - middle)).sum(dim=1) for one in (p, q)]
    return ((halves[0] + halves[1]).mean() / 2).clamp_min(0)  # rounding may leave a little less


def _classes(spec: OutputSpec) -> str:
    return ", ".join(spec.classes[:4]) + (" …" if len(spec.classes) > 4 else "") if spec.classes else str(spec.shape)
