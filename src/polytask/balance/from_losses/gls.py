"""The geometric mean of the losses."""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from polytask.balance.base import Balancer
from polytask.gradients import Signals


class GLS(Balancer):
    """(Π L_i)^(1/T) over the T tasks present: w_i = GLS/(T L_i).

    All tasks' losses fall by the same share of themselves, whatever their units; the update has the length of
    the geometric mean. Computed as exp(mean log L), so that forty losses neither overflow nor vanish. Losses
    are clamped at 1e-8. The weights sum to at least 1 (to 1 where all losses are equal).

    Args:
        tasks, generator, engine: as for every `Balancer`.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor(1.0))
        >>> GLS(["a", "b"]).backward({"a": 2 * w, "b": w / 2}, shared=[w])
        {'a': 0.25, 'b': 1.0}

    Paper: Chennupati, Sistu, Yogamani and Rawashdeh, MultiNet++: Multi-Stream Feature Aggregation and Geometric
    Loss Strategy for Multi-Task Learning, CVPR Workshops 2019.

    Deviates: losses of 0 or below are clamped.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"losses"})
    scales: ClassVar[Literal["losses", "gradients"]] = "losses"
    paper: ClassVar[str | None] = "chennupati2019"
    use_when: ClassVar[str] = "Every loss should fall by the same share of itself, and none of them nears 0."
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "mean"

    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The slopes of the geometric mean."""
        losses = signals.losses.clamp_min(1e-8)
        return losses.log().mean().exp() / (len(losses) * losses)
