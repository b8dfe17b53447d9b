"""Residual adapters: a small linear map beside the identity, for each task behind each stage."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import mapped
from polytask.sharing.conditioned_chain import ConditionedChain, conditioned_stages


class Adapter(nn.Module):
    """h + A h, or h + U ReLU(D h + d) + u, over the channels of every position, behind a stage.

    Args:
        width: channels.
        down: the start of D; None for one map without a bottleneck.
    """

    def __init__(self, width: int, down: Tensor | None) -> None:
        super().__init__()
        layers: list[nn.Linear] = []
        if down is not None:
            layers.append(_linear(down.clone(), has_bias=True))
        inner = width if down is None else len(down)
        layers.append(_linear(torch.zeros(width, inner), has_bias=down is not None))
        self.layers = nn.Sequential(*(layers if down is None else (layers[0], nn.ReLU(), layers[1])))

    def forward(self, stage: nn.Module, source: Inputs | Feature) -> Feature:
        """The stage's feature and what the adapter makes of it."""
        feature: Feature = stage(source)
        return feature._replace(values=feature.values + mapped(self.layers, feature.values))


class ResidualAdapters(Sharing):
    """One trunk for all tasks; behind each conditioned stage every task adds a small map of its own.

    h_t <- h_t + A_t h_t, A_t a matrix over the channels (a 1 × 1 convolution); with a `bottleneck` of b channels
    h_t <- h_t + U_t ReLU(D_t h_t). A_t and U_t are 0 at the start: hard sharing, bit for bit; D is alike for all tasks.
    What lies before the first conditioned stage runs once, all else once a task asked for.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the start of D.
        stages: the conditioned stages, 0 the first, -1 the last; all but the first where not given.
        bottleneck: b, at least 1: 2 b numbers a channel and task in place of one for every channel. None: none.

    Raises:
        ValueError: stages that the encoder does not have, or none; a bottleneck that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = ResidualAdapters(lambda copy: MLP(spec, widths=(8, 4)), tasks, torch.Generator(), bottleneck=2)
        >>> [tuple(p.shape) for p in sharing.task_parameters("sold")]
        [(2, 8), (2,), (8, 2), (8,), (2, 4), (2,), (4, 2), (4,)]

    Paper: Rebuffi, Bilen, Vedaldi: Learning multiple visual domains with residual adapters. NeurIPS 2017. arXiv
        1705.08045. The bottleneck: Houlsby et al.: Parameter-efficient transfer learning for NLP. ICML 2019. arXiv
        1902.00751.

    Deviates: one adapter a stage, in series, not one a convolution: the parallel form (Rebuffi et al. 2018, arXiv
        1803.10082) needs what enters each layer. No batch norm in it (see `task_norm`), and trunk and adapters train
        together.
    """

    paper: ClassVar[str] = "rebuffi2017"
    use_when: ClassVar[str] = (
        "tasks want the same features mixed anew: C² numbers a stage and task, few with a bottleneck"
    )

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
        bottleneck: int | None = None,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        if bottleneck is not None and bottleneck < 1:
            raise ValueError(f"sharing 'residual_adapters': bottleneck={bottleneck}, 1 or more is wanted, or null")
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        conditioned = conditioned_stages("residual_adapters", stages, len(self.widths))
        downs: dict[int, Tensor | None] = dict.fromkeys(conditioned)
        if bottleneck is not None:
            for stage in conditioned:
                bound = 1 / sqrt(self.widths[stage])
                downs[stage] = torch.empty(bottleneck, self.widths[stage]).uniform_(-bound, bound, generator=generator)
        self.chain = ConditionedChain(
            encoder.stages,
            {task: self.depth(task) for task in self.tasks},
            conditioned,
            lambda stage: Adapter(self.widths[stage], downs[stage]),
        )

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, adapted for each task."""
        found: dict[str, list[Feature]] = self.chain(inputs, tasks)
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's adapters, and stages that no other task's head needs."""
        return self.chain.parameters_of(task, self.own_stages(task))


def _linear(weight: Tensor, *, has_bias: bool) -> nn.Linear:
    """A linear layer that starts with this weight and no offset, and draws nothing."""
    after, before = weight.shape
    layer = nn.utils.skip_init(nn.Linear, before, after, bias=has_bias)
    layer.weight = nn.Parameter(weight)
    if has_bias:
        nn.init.zeros_(layer.bias)
    return layer
