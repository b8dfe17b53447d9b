"""Sparse gates: a task takes few of the experts."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.sharing.gates import Gate


class TopKGate(Gate):
    """A softmax over the k largest logits of each row; noise in training, whose size is learnt, lets others be tried.

    H_i = (W_g z)_i + N(0, 1) · softplus((W_n z)_i). With noise both matrices start at 0, as in the paper; without it
    W_g starts at random, as equal logits would send every row to the same experts.

    Args:
        channels: of the vectors that it reads.
        num_experts: how many it weighs.
        generator: for the start without noise.
        k: how many experts a row takes, 1 to `num_experts`.
        is_noisy: whether logits are noisy in training.

    Paper: Shazeer, Mirhoseini, Maziarz, Davis, Le, Hinton, Dean: Outrageously large neural networks: the
        sparsely-gated mixture-of-experts layer. ICLR 2017. arXiv 1701.06538.
    """

    def __init__(
        self, channels: int, num_experts: int, generator: torch.Generator, *, k: int, is_noisy: bool = True
    ) -> None:
        super().__init__(num_experts)
        self.k = k
        self.linear = nn.Linear(channels, num_experts, bias=False)
        self.noise = nn.Linear(channels, num_experts, bias=False) if is_noisy else None
        if self.noise is not None or k == num_experts:
            nn.init.zeros_(self.linear.weight)
        else:
            nn.init.kaiming_uniform_(self.linear.weight, a=math.sqrt(5), generator=generator)
        if self.noise is not None:
            nn.init.zeros_(self.noise.weight)

    def forward(self, vectors: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch experts"]:
        """A row of weights for every row, at most k of them above 0."""
        logits = self.linear(vectors)
        if self.noise is not None and self.training:
            logits = logits + torch.randn_like(logits) * functional.softplus(self.noise(vectors))
        # Over all experts: the balance of loads is a function of it.
        self.last.values["smooth"] = logits.softmax(dim=1)
        if self.k < self.num_experts:
            top = logits.topk(self.k, dim=1)
            logits = torch.full_like(logits, -torch.inf).scatter(1, top.indices, top.values)
        weights = self.last.values["weights"] = logits.softmax(dim=1)
        return weights


class DSelectKGate(Gate):
    """Σ_j≤k softmax(w)_j r(z_j): k single-expert selectors, each a smooth binary code of the expert's number.

    r(z)_i = Π_b S(z_b) where bit b of i is set, else 1 − S(z_b); S(t) is 0 below −γ/2, 1 above γ/2, between them
    −2t³/γ³ + 3t/(2γ) + 1/2. Once every |z_b| ≥ γ/2 at most k experts have weight, exactly, and no gradient moves z
    any more: the choice is final. With one expert its weight is 1.

    Args:
        channels: of the vectors that it reads.
        num_experts: how many it weighs, E.
        generator: for the start: z from U(±γ/100), w from U(±0.05).
        k: how many selectors: an upper bound on the experts that are taken in the end.
        gamma: γ, the width of the smooth step, > 0.
        entropy: of each selector, as a penalty that hastens the choice: its factor, ≥ 0.
        is_per_row: whether z and w are linear in the row's vector; else they are the task's own, the same for all rows.

    Paper: Hazimeh, Zhao, Chowdhery, Sathiamoorthy, Chen, Mazumder, Hong, Chi: DSelect-k: differentiable selection in
        the mixture of experts with applications to multi-task learning. NeurIPS 2021. arXiv 2106.03760.

    Deviates: per row, penalties are means over rows, not sums: their size does not hang on the batch.
    """

    codes: Tensor

    def __init__(
        self,
        channels: int,
        num_experts: int,
        generator: torch.Generator,
        *,
        k: int,
        gamma: float = 1.0,
        entropy: float = 1e-6,
        is_per_row: bool = False,
    ) -> None:
        super().__init__(num_experts)
        self.k, self.gamma, self.entropy = k, gamma, entropy
        self.is_per_row = is_per_row and num_experts > 1
        self.num_bits = math.ceil(math.log2(num_experts))
        bits = torch.arange(num_experts).unsqueeze(1) >> torch.arange(self.num_bits - 1, -1, -1)
        self.register_buffer("codes", (bits & 1).bool(), persistent=False)
        if num_experts == 1:
            return
        if self.is_per_row:
            self.code_layer = nn.Linear(channels, k * self.num_bits)
            self.weight_layer = nn.Linear(channels, k)
            starts = [(p, gamma / 100) for p in self.code_layer.parameters()]
            starts += [(p, 0.05) for p in self.weight_layer.parameters()]
        else:
            self.code = nn.Parameter(torch.empty(k * self.num_bits))
            self.weight = nn.Parameter(torch.empty(k))
            starts = [(self.code, gamma / 100), (self.weight, 0.05)]
        for parameter, bound in starts:
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, vectors: Float[Tensor, "batch channels"]) -> Float[Tensor, "..."]:
        """`[experts]`, or `[B, experts]` per row."""
        if self.num_experts == 1:
            weights = self.last.values["weights"] = vectors.new_ones(1)
            return weights
        code, weight = (
            (self.code_layer(vectors), self.weight_layer(vectors)) if self.is_per_row else (self.code, self.weight)
        )
        step = smooth_step(code, self.gamma).unflatten(-1, (self.k, 1, self.num_bits))
        selectors = self.last.values["selectors"] = torch.where(self.codes, step, 1 - step).prod(dim=-1)
        weights = self.last.values["weights"] = (weight.softmax(dim=-1).unsqueeze(-1) * selectors).sum(dim=-2)
        return weights

    def penalty(self) -> Float[Tensor, ""] | None:
        """The selectors' entropy; where E is no power of two, also what keeps them on experts that exist."""
        selectors = self.last.values.get("selectors")
        if selectors is None:
            return None
        found = self.entropy * torch.special.entr(selectors.clamp_min(1e-12)).sum(dim=(-1, -2)).mean()
        if self.num_experts != 2**self.num_bits:
            found = found + (1 / selectors.sum(dim=-1).clamp_min(1e-6)).sum(dim=-1).mean()
        return found


def smooth_step(values: Tensor, gamma: float) -> Tensor:
    """0 below −γ/2, 1 above γ/2, a cubic between.

    Example:
        >>> smooth_step(torch.tensor([-1.0, 0.0, 0.25, 0.5]), 1.0)
        tensor([0.0000, 0.5000, 0.8438, 1.0000])
    """
    bound = values.clamp(-gamma / 2, gamma / 2)
    return -2 * bound**3 / gamma**3 + 3 * bound / (2 * gamma) + 0.5
