"""MMoE: experts that all tasks share, and a gate for each task."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.feature import MakeEncoder
from polytask.sharing.gates import SoftmaxGate, check_share
from polytask.sharing.load_balance import check_factor, importance
from polytask.sharing.mixture import Form, Mixture


class MMoE(Mixture):
    """Multi-gate mixture of experts: every task weighs the same experts in its own way.

    f_t = Σ_i g_t(z)_i e_i(h), g_t = softmax(W_t z + b_t), h being the feature behind a stem of `split` stages, z its
    mean over positions or pixels, an expert e_i a copy of the stages that follow. Gates start at the plain mean.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        experts: how many, at least 1.
        split: stages of the shared stem: 1 to the number of stages less one.
        dropout: of a gate's weights in training, in [0, 1): the rest is renormalised (about 0.1 keeps gates from
            choosing one expert for good).
        balance: factor of the importance loss over all tasks' gates together, ≥ 0.
        is_normalised: whether experts' features are normalised before they are mixed.

    Raises:
        ValueError: no experts, a split that leaves no stage, a setting out of its range.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = MMoE(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator(), experts=4)
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["price"])["price"][-1].values.shape
        torch.Size([3, 128])

    Paper: Ma, Zhao, Yi, Chen, Hong, Chi: Modeling task relationships in multi-task learning with multi-gate
        mixture-of-experts. KDD 2018.

    Deviates: a stem of at least one stage (embeddings, a first convolution) is shared, and gates read its pooled
        feature, not the raw input, which has no fixed size for pictures and texts.
    """

    paper: ClassVar[str] = "ma2018"
    use_when: ClassVar[str] = "tasks are related to different degrees, and rows are many"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        experts: int = 8,
        split: int = 1,
        dropout: float = 0.0,
        balance: float = 0.0,
        is_normalised: bool = False,
    ) -> None:
        check_share("mmoe", "dropout", dropout)
        check_factor("mmoe", "balance", balance)
        form = Form("mmoe", split=split, levels=1, shared=experts, own=0, is_normalised=is_normalised)
        super().__init__(
            make_encoder,
            tasks,
            generator,
            form,
            lambda channels, size, _: SoftmaxGate(channels, size, dropout=dropout),
        )
        self.balance = balance

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """The importance loss, where it has a factor."""
        gates = self.last_gates()
        return {"importance": self.balance * importance(gates)} if self.balance and gates else {}
