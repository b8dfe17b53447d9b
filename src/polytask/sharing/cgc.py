"""CGC: experts of all tasks beside experts of each, mixed once."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from polytask.feature import MakeEncoder
from polytask.sharing.gates import SoftmaxGate, check_share
from polytask.sharing.mixture import Form, Mixture


class CGC(Mixture):
    """Customised gate control: a task mixes experts of its own with those of all tasks, at the end of the chain.

    f_t = softmax(W_t h) · [E^t_1..K(h); E^s_1..S(h)], h being the feature behind a shared stem, an expert a copy of all
    stages that follow. It is one level of `ple`.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        experts: experts of all tasks, S ≥ 0.
        task_experts: experts of each task, K ≥ 0; K + S ≥ 1.
        split: stages of the shared stem: 1 to the number of stages less one.
        dropout: of a gate's weights in training, in [0, 1).
        is_normalised: whether experts' features are normalised before they are mixed.

    Raises:
        ValueError: no experts, a split that leaves no stage, a setting out of its range.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = CGC(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["price"])["price"][-1].values.shape
        torch.Size([3, 128])

    Paper: Tang, Liu, Zhao, Gong: Progressive layered extraction (PLE): a novel multi-task learning model for
        personalized recommendations. RecSys 2020.

    Deviates: gates start at the plain mean.
    """

    paper: ClassVar[str] = "tang2020"
    use_when: ClassVar[str] = (
        "as ple with one level, for encoders of few stages: no other task touches a task's own experts"
    )

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        experts: int = 1,
        task_experts: int = 1,
        split: int = 1,
        dropout: float = 0.0,
        is_normalised: bool = False,
    ) -> None:
        check_share("cgc", "dropout", dropout)
        form = Form("cgc", split, levels=1, shared=experts, own=task_experts, is_normalised=is_normalised)
        super().__init__(
            make_encoder,
            tasks,
            generator,
            form,
            lambda channels, size, _: SoftmaxGate(channels, size, dropout=dropout),
        )
