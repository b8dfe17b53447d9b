"""Experts: several copies of a part of the chain, run together."""

from collections.abc import Collection, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.encoders import StackedStage
from polytask.feature import Feature, Inputs

#: What the next stage of all experts takes: the inputs or one feature, the same for all; a feature each; or, between
#: stages that run together, one tensor `[experts, B, C]`.
Source = Inputs | Feature | Sequence[Feature] | Tensor


class Experts(nn.Module):
    """Copies of some stages; those made of linear layers run as one batched multiplication.

    Args:
        chains: the stages of each expert, all alike.
    """

    def __init__(self, chains: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        self.num_experts = len(chains)
        self.stages = nn.ModuleList(
            [
                StackedStage(copies) if StackedStage.can_stack(copies) else nn.ModuleList(copies)
                for copies in zip(*chains, strict=True)
            ]
        )

    def forward(
        self, source: Inputs | Feature | Sequence[Feature], depth: int, read: Collection[int]
    ) -> dict[int, Feature]:
        """What all experts give after the stages that are read.

        Args:
            source: what every expert takes; or a feature for each of them.
            depth: how many of the stages to run.
            read: the stages, counted from the experts' first, whose features are wanted.

        Returns:
            Stage -> the experts' features, `values` being `[experts, B, …]`.
        """
        found: dict[int, Feature] = {}
        now: Source = source
        for place, stage in enumerate(self.stages[:depth]):
            now = self._run(stage, now)
            if place in read:
                found[place] = Feature(now) if isinstance(now, Tensor) else _stacked(now)
        return found

    def _run(self, stage: nn.Module, source: Source) -> list[Feature] | Tensor:
        if isinstance(stage, StackedStage):
            rows = _rows_of_one(source)
            if stage.runs_together(rows.shape[0], rows.device):
                return stage(_entered(stage, source))
            members = stage.members()
        else:
            members = list(cast(nn.ModuleList, stage))
        each = _each(source, self.num_experts)
        return [member(cast(Feature, one)) for member, one in zip(members, each, strict=True)]


def _rows_of_one(source: Source) -> Tensor:
    """What one of the experts takes, rows first. (Not their number: it is a symbol where a graph is exported.)"""
    if isinstance(source, Tensor):
        return source[0]
    return source.values if isinstance(source, Feature) else _first(source)


def _first(source: Inputs | Sequence[Feature]) -> Tensor:
    return next(iter(source.values())) if isinstance(source, dict) else source[0].values


def _each(source: Source, num_experts: int) -> Sequence[Inputs] | Sequence[Feature]:
    """What each expert takes."""
    if isinstance(source, Tensor):
        return [Feature(values) for values in source.unbind(0)]
    if isinstance(source, Feature):
        return [source] * num_experts
    return [source] * num_experts if isinstance(source, dict) else source


def _entered(stage: StackedStage, source: Source) -> Tensor:
    """The vectors that a stacked stage takes: `[B, C]` where all take the same one, else `[experts, B, C]`."""
    if isinstance(source, Tensor):
        return source
    if isinstance(source, Feature):
        return stage.enter(source)
    return torch.stack([stage.enter(feature) for feature in cast(Sequence[Feature], source)])


def _stacked(features: Sequence[Feature]) -> Feature:
    return Feature(torch.stack([feature.values for feature in features]), features[0].mask)


def mix(parts: Sequence[Feature], weights: Float[Tensor, "batch experts"] | Float[Tensor, " experts"]) -> Feature:
    """The weighted sum of experts' features.

    Args:
        parts: features of some experts each, `values` being `[experts, B, …]`.
        weights: of all experts, in the order of the parts: a row each, or the same for all rows.
    """
    values = torch.cat([part.values for part in parts]) if len(parts) > 1 else parts[0].values
    flat = values.flatten(2)
    if weights.ndim == 1:
        mixed = torch.mm(weights.unsqueeze(0), flat.flatten(1))
    else:
        mixed = torch.bmm(weights.unsqueeze(1), flat.transpose(0, 1))
    return Feature(mixed.reshape(values.shape[1:]), parts[0].mask)


def normalised(feature: Feature) -> Tensor:
    """Every expert's feature with mean 0 and variance 1 over its channels: `[experts, B, …]`.

    So no expert dies, or outweighs the others, by its scale alone.

    Paper: Wang et al.: HoME: hierarchy of multi-gate experts for multi-task learning at Kuaishou. 2024. arXiv
        2408.05430.
    """
    values = feature.values
    if values.ndim == 5:
        return functional.layer_norm(values.movedim(2, -1), values.shape[2:3]).movedim(-1, 2)
    return functional.layer_norm(values, values.shape[-1:])
