"""PLE: experts of all tasks beside experts of each, mixed level by level."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from polytask.feature import MakeEncoder
from polytask.sharing.gates import SoftmaxGate, check_share
from polytask.sharing.mixture import Form, Mixture


class PLE(Mixture):
    """Progressive layered extraction: at every level a task mixes experts of its own with those of all tasks.

    x^t ← softmax(W_t x^t) · [E^t_1..K(x^t); E^s_1..S(x^s)], and the shared stream, not at the last level,
    x^s ← softmax(W_s x^s) · all T K + S experts. A level is one stage of the encoder behind a shared stem.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        experts: experts of all tasks at every level, S ≥ 0.
        task_experts: experts of each task at every level, K ≥ 0; K + S ≥ 1.
        split: stages of the shared stem: 1 to the number of stages less one.
        levels: how many, the last one holding all stages that are left; None: one for every stage.
        dropout: of a gate's weights in training, in [0, 1).
        is_normalised: whether experts' features are normalised before they are mixed.

    Raises:
        ValueError: no experts, more levels than stages, a setting out of its range.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> sharing = PLE(lambda copy: MLP(spec), {"price": (-1,), "sold": (-1,)}, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 2)}, ["price"])["price"][-1].values.shape
        torch.Size([3, 128])

    Paper: Tang, Liu, Zhao, Gong: Progressive layered extraction (PLE): a novel multi-task learning model for
        personalized recommendations. RecSys 2020.

    Deviates: gates start at the plain mean. The paper's decaying task weights are a balancer's matter.
    """

    paper: ClassVar[str] = "tang2020"
    use_when: ClassVar[str] = (
        "sharing helps some tasks and hurts others: each keeps experts of its own beside those of all"
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
        levels: int | None = None,
        dropout: float = 0.0,
        is_normalised: bool = False,
    ) -> None:
        check_share("ple", "dropout", dropout)
        form = Form("ple", split, levels, shared=experts, own=task_experts, is_normalised=is_normalised)
        super().__init__(
            make_encoder,
            tasks,
            generator,
            form,
            lambda channels, size, _: SoftmaxGate(channels, size, dropout=dropout),
        )
