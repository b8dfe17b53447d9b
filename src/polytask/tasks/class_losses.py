"""Losses of classes and of yes-or-no labels: cross entropy, smoothed or focal; and logits adjusted by the prior."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polytask.feature import Feature


def check_losses(
    task: str, *, beta: float, gamma: float, alpha: float | None, logit_adjustment: float, label_smoothing: float
) -> None:
    """Raises ValueError for a setting of these losses that cannot be, naming it."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"task {task!r}: label_smoothing is in [0, 1), got {label_smoothing}")
    if not 0 <= beta < 1:
        raise ValueError(f"task {task!r}: beta is in [0, 1), got {beta}")
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"task {task!r}: gamma is a number >= 0, got {gamma}")
    if alpha is not None and not 0 < alpha < 1:
        raise ValueError(f"task {task!r}: alpha is in (0, 1) or None, got {alpha}")
    if not 0 <= logit_adjustment < float("inf"):
        raise ValueError(f"task {task!r}: logit_adjustment is a number >= 0, got {logit_adjustment}")


def papers_of(task: Any) -> tuple[str, ...]:
    """Keys of the papers of the losses that a task's settings ask for."""
    asked = {
        "cui2019": task.class_weight == "effective",
        "lin2017": task.criterion == "focal",
        "kiryo2017": task.criterion == "nnpu",
        "menon2021": task.logit_adjustment > 0,
    }
    return tuple(key for key, is_asked in asked.items() if is_asked)


def yes_or_no_losses(
    logits: Float[Tensor, "..."], target: Float[Tensor, "..."], gamma: float = 0.0, alpha: float | None = None
) -> Float[Tensor, "..."]:
    """−α y (1−p)^γ log p − (1−α) (1−y) p^γ log(1−p), p = σ(logit); cross entropy where γ is 0 and α None.

    Args:
        logits: of yes.
        target: y in [0, 1].
        gamma: γ >= 0.
        alpha: α in (0, 1); None: both factors are 1.
    """
    if gamma == 0 and alpha is None:
        return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    of_yes, of_no = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    # Powers from logarithms: their gradients stay finite where a probability is 0.
    return -of_yes * target * (gamma * no).exp() * yes - of_no * (1 - target) * (gamma * yes).exp() * no


def class_losses(
    logits: Float[Tensor, "rows classes"],
    target: Int[Tensor, " rows"],
    gamma: float = 0.0,
    label_smoothing: float = 0.0,
) -> Float[Tensor, " rows"]:
    """−Σ_c q_c (1−p_c)^γ log p_c, p = softmax(logits) and q the smoothed class; cross entropy where γ is 0."""
    if gamma == 0:
        return functional.cross_entropy(logits, target, reduction="none", label_smoothing=label_smoothing)
    log_p, number = logits.log_softmax(dim=1), logits.shape[1]
    smooth = functional.one_hot(target, number) * (1 - label_smoothing) + label_smoothing / number
    others = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return -(smooth * others.pow(gamma) * log_p).sum(dim=1)


def log_prior(counts: Sequence[int]) -> Float[Tensor, " classes"]:
    """Logarithms of the classes' frequencies; one without a cell has that of half a cell."""
    numbers = torch.tensor(counts, dtype=torch.float64).clamp_min(0.5)
    return (numbers / numbers.sum()).log().float()


class AdjustedHead(nn.Module):
    """A head whose logits are moved in training, and only there.

    With τ log π added while it learns, π being the classes' frequencies, the logits that it has afterwards favour
    classes by what the inputs say alone: they are those of balanced classes.

    Args:
        head: gives the logits.
        offset: what is added in training: τ log π, of a logit of yes τ log(π / (1 − π)).

    Paper: Menon and others: Long-tail learning via logit adjustment. ICLR 2021. arXiv 2007.07314.
    """

    offset: Tensor

    def __init__(self, head: nn.Module, offset: Float[Tensor, "..."]) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("offset", offset)

    def forward(self, features: list[Feature]) -> Float[Tensor, "batch ..."]:
        """The logits."""
        output: Tensor = self.head(features)
        return output + self.offset.to(output.dtype) if self.training else output
