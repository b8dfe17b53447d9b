"""Sparse top-k experts: every row takes the k experts that its gate likes best."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.feature import MakeEncoder
from polytask.sharing.gates_sparse import TopKGate
from polytask.sharing.load_balance import check_factor, importance, switch_load
from polytask.sharing.mixture import Form, Mixture


class TopK(Mixture):
    """A mixture like MMoE whose gates give weight to k experts a row: a softmax over the k largest logits.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for gates that start at random.
        experts: how many, at least 1.
        k: how many a row takes, 1 to `experts`.
        split: stages of the shared stem: 1 to the number of stages less one.
        is_noisy: whether logits are noisy in training, by an amount that is learnt, so that other experts are tried.
        balance: what keeps loads even over all tasks' gates together: "importance" (squared coefficient of variation
            of total weights) or "switch" (E Σ f P).
        balance_weight: factor of that loss, ≥ 0; the papers' are .1 and .01.

    Raises:
        ValueError: k beyond the experts, no experts, a split that leaves no stage, a setting out of its range.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = TopK(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator(), k=2)
        >>> features = sharing({NUMBERS: torch.ones(3, 2)}, ["price", "sold"])
        >>> round(sum(sharing.records()["gates"].values[0]), 3)
        1.0

    Paper: Shazeer, Mirhoseini, Maziarz, Davis, Le, Hinton, Dean: Outrageously large neural networks: the
        sparsely-gated mixture-of-experts layer. ICLR 2017. arXiv 1701.06538. Balance "switch": Fedus, Zoph, Shazeer:
        Switch transformers. JMLR 2022. arXiv 2101.03961.

    Deviates: all experts run for all rows, in one batched multiplication, and weights of 0 drop what is not wanted: the
        result is the same, and there is nothing to save before experts are far larger than here.
    """

    paper: ClassVar[str] = "shazeer2017"
    use_when: ClassVar[str] = "as mmoe, where rows differ in kind and should not all use the same experts"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        experts: int = 8,
        k: int = 2,
        split: int = 1,
        is_noisy: bool = True,
        balance: Literal["importance", "switch"] = "importance",
        balance_weight: float = 0.1,
    ) -> None:
        if experts < 1:
            raise ValueError(f"top_k: experts={experts}: at least one is wanted")
        if not 1 <= k <= experts:
            raise ValueError(f"top_k: k={k} of {experts} experts: a row takes 1 to {experts} of them")
        check_factor("top_k", "balance_weight", balance_weight)
        super().__init__(
            make_encoder,
            tasks,
            generator,
            Form("top_k", split=split, levels=1, shared=experts, own=0),
            lambda channels, size, draws: TopKGate(channels, size, draws, k=k, is_noisy=is_noisy),
        )
        self.balance, self.balance_weight = balance, balance_weight

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """The balance of loads, where it has a factor."""
        gates = self.last_gates()
        if not gates or not self.balance_weight:
            return {}
        loss = switch_load(gates) if self.balance == "switch" else importance(gates)
        return {self.balance: self.balance_weight * loss}
