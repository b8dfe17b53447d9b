"""What acts on the channels of a feature, whatever its form."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.feature import Feature


def along_channels(
    vector: Float[Tensor, " channels"], values: Float[Tensor, "batch ..."]
) -> Float[Tensor, "channels ..."]:
    """A number a channel, in the shape that multiplies `values`: `[B, C]`, `[B, L, C]` or `[B, C, H, W]`."""
    return vector.view(-1, 1, 1) if values.ndim == 4 else vector


def joined(features: list[Float[Tensor, "batch ..."]]) -> Float[Tensor, "batch ..."]:
    """The channels of all, one behind another."""
    return torch.cat(features, dim=1 if features[0].ndim == 4 else -1)


def mapped(layer: Callable[[Tensor], Tensor], values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """A layer over the last axis, run over the channels of every position: a linear one is a 1 × 1 convolution."""
    return layer(values.movedim(1, -1)).movedim(-1, 1) if values.ndim == 4 else layer(values)


class ChannelNorm(nn.Module):
    """Batch normalisation of every channel, over rows and positions; padding neither counts nor stays.

    A training batch that has a single value a channel (one row of a vector) has no variance: the running statistics
    stand in for it, as they do in evaluation, and are left as they are.

    Args:
        channels: how many.
        momentum: of the running statistics, in (0, 1].
    """

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.layer = nn.BatchNorm1d(channels, momentum=momentum)

    def forward(self, feature: Feature) -> Float[Tensor, "batch ..."]:
        """The normalised values."""
        values = feature.values
        if values.ndim == 4:
            return self._normalise(values)
        if values.ndim == 3 and feature.mask is not None:
            if self.training:
                kept = self._normalise(values[feature.mask])
                return kept.new_zeros(values.shape).index_put((feature.mask,), kept)
            normal = self._normalise(values.flatten(0, -2)).view(values.shape)
            return normal.masked_fill(~feature.mask.unsqueeze(-1), 0)
        return self._normalise(values.flatten(0, -2)).view(values.shape)

    def _normalise(self, values: Float[Tensor, "rows channels ..."]) -> Float[Tensor, "rows channels ..."]:
        layer = self.layer
        if self.training and values.numel() > values.shape[1]:
            layer.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            uses_batch = True
        else:
            uses_batch = False
        return functional.batch_norm(
            values,
            layer.running_mean,
            layer.running_var,
            layer.weight,
            layer.bias,
            uses_batch,
            layer.momentum or 0.0,
            layer.eps,
        )
