"""Learning from positive and unlabelled rows: the non-negative risk of nnPU."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

#: Losses of a margin z: σ(−z), and log(1 + exp(−z)).
Surrogate = Literal["sigmoid", "logistic"]


def positive_unlabelled_risk(
    logits: Float[Tensor, " rows"],
    positive: Bool[Tensor, " rows"],
    weight: Float[Tensor, " rows"],
    prior: float,
    surrogate: Surrogate = "sigmoid",
) -> Float[Tensor, ""]:
    """π R_p⁺ + max(0, R_u⁻ − π R_p⁻): the risk of rows of which only some positive ones are known.

    R_p⁺ is the positive rows' mean loss as positives, R_p⁻ as negatives, R_u⁻ the unlabelled rows' as negatives. Where
    the bracket is negative, its own gradient is followed upwards, alone, as the paper's algorithm does for β = 0 and
    γ = 1.

    Args:
        logits: of positive.
        positive: which rows are known to be; the others are unlabelled.
        weight: of the rows, 0 where they do not count.
        prior: π in (0, 1), the share of positives among unlabelled rows.
        surrogate: the loss.

    Deviates: a batch without unlabelled rows has no bracket, one without positive rows no terms of them.
    """
    as_positive, as_negative = _losses(logits, surrogate), _losses(-logits, surrogate)
    of_positive, of_unlabelled = torch.where(positive, weight, 0.0), torch.where(positive, 0.0, weight)
    risk = prior * _mean(as_positive, of_positive)
    bracket = _mean(as_negative, of_unlabelled) - prior * _mean(as_negative, of_positive)
    bracket = torch.where(of_unlabelled.sum() > 0, bracket, torch.zeros_like(bracket))
    value = risk + bracket.clamp_min(0)
    followed = torch.where(bracket < 0, -bracket, risk + bracket)
    return followed + (value - followed).detach()


def _losses(margin: Tensor, surrogate: Surrogate) -> Tensor:
    return (-margin).sigmoid() if surrogate == "sigmoid" else functional.softplus(-margin)


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    return (losses * weight).sum() / weight.sum().clamp_min(torch.finfo(losses.dtype).tiny)
