"""Joining the features of several chains into one."""

from collections.abc import Sequence

import torch

from polytask.feature import Feature
from polytask.sharing.channels import joined as joined_channels


def joined(features: Sequence[Feature]) -> Feature:
    """These features as one with all their channels, in this order.

    Maps and sequences of equal size stay such; where sizes or kinds differ, each is pooled first: `[B, sum of widths]`.
    A sequence's mask is the first one's; chains that read the same rows have the same.
    """
    sizes = {(f.values.ndim, f.values.shape[2:] if f.values.ndim == 4 else f.values.shape[1:-1]) for f in features}
    if len(sizes) > 1:
        return Feature(torch.cat([feature.pooled() for feature in features], dim=1))
    return Feature(joined_channels([feature.values for feature in features]), features[0].mask)
