"""DSelect-k: experts chosen by a smooth binary code that ends in a sparse choice."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from polytask.feature import MakeEncoder
from polytask.sharing.gates_sparse import DSelectKGate
from polytask.sharing.load_balance import check_factor
from polytask.sharing.mixture import Form, Mixture


class DSelectK(Mixture):
    """A mixture like MMoE whose gates end with at most k experts a task, reached by plain gradient descent.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the gates' start.
        experts: how many, at least 1; a power of two leaves no code without an expert.
        k: how many a task has in the end at most, 1 to `experts`.
        split: stages of the shared stem: 1 to the number of stages less one.
        gamma: width of the smooth step, > 0: the wider, the later gates decide.
        entropy: factor of the selectors' entropy, ≥ 0: the larger, the sooner they decide.
        is_per_row: whether every row has a choice of its own; else a task has one for all rows.

    Raises:
        ValueError: k beyond the experts, no experts, a split that leaves no stage, a setting out of its range.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = DSelectK(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator(), experts=4)
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["sold"])["sold"][-1].values.shape
        torch.Size([3, 128])

    Paper: Hazimeh, Zhao, Chowdhery, Sathiamoorthy, Chen, Mazumder, Hong, Chi: DSelect-k: differentiable selection in
        the mixture of experts with applications to multi-task learning. NeurIPS 2021. arXiv 2106.03760.
    """

    paper: ClassVar[str] = "hazimeh2021"
    use_when: ClassVar[str] = "tasks fall into groups that nobody knows: each ends with few experts of its own choice"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        experts: int = 8,
        k: int = 2,
        split: int = 1,
        gamma: float = 1.0,
        entropy: float = 1e-6,
        is_per_row: bool = False,
    ) -> None:
        if experts < 1:
            raise ValueError(f"dselect_k: experts={experts}: at least one is wanted")
        if not 1 <= k <= experts:
            raise ValueError(f"dselect_k: k={k} of {experts} experts: a task takes 1 to {experts} of them")
        if not 0 < gamma < float("inf"):
            raise ValueError(f"dselect_k: gamma is the width of the smooth step, above 0, got {gamma}")
        check_factor("dselect_k", "entropy", entropy)
        super().__init__(
            make_encoder,
            tasks,
            generator,
            Form("dselect_k", split=split, levels=1, shared=experts, own=0),
            lambda channels, size, draws: DSelectKGate(
                channels, size, draws, k=k, gamma=gamma, entropy=entropy, is_per_row=is_per_row
            ),
        )
