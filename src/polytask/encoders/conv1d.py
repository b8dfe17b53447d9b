"""Conv1d: convolutions along a token list or a series; a feature for every place, and by pooling one for the row."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders.base import Encoder
from polytask.encoders.default import unreadable
from polytask.encoders.mlp import check_layers
from polytask.feature import Feature, Inputs, InputSpec, SequenceSpec, mask_of


class PlaceStage(nn.Module):
    """Each place of a sequence by itself: a token's embedding, or a linear map of its numbers."""

    def __init__(self, column: str, each: SequenceSpec, width: int, dropout: float) -> None:
        super().__init__()
        self.column = column
        self.embedding: nn.Module
        if each.num_codes:
            self.embedding = nn.Embedding(each.num_codes, width, padding_idx=0)
        else:
            self.embedding = nn.Linear(each.channels, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Inputs) -> Feature:
        """`[B, L, C]`, 0 at padding."""
        mask = inputs[mask_of(self.column)]
        values = self.dropout(self.embedding(inputs[self.column]))
        return Feature(values * mask.unsqueeze(-1).to(values.dtype), mask)


class ConvolutionStage(nn.Module):
    """A convolution over an odd number of places, ReLU and dropout; padding stays 0 and is seen as nothing."""

    def __init__(self, before: int, after: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(before, after, kernel, padding=kernel // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, feature: Feature) -> Feature:
        """`[B, L, C]`."""
        values: Float[Tensor, "batch length channels"] = self.convolution(feature.values.transpose(1, 2)).transpose(
            1, 2
        )
        values = self.dropout(torch.relu(values))
        if feature.mask is not None:
            values = values * feature.mask.unsqueeze(-1).to(values.dtype)
        return Feature(values, feature.mask)


class Conv1d(Encoder):
    """Convolutions along one sequence column, of tokens or of numbers, of any length.

    Stage 0 gives every place a vector of its own; each further stage looks at `kernel` places around it. Heads that
    want one vector a row get the mean over its places. What a row gives does not depend on how it is padded.

    Args:
        spec: one sequence column and nothing else.
        embedding: channels of a place in stage 0.
        widths: of the convolutions, first to last.
        kernel: places that a convolution sees, an odd number.
        dropout: behind every stage, in [0, 1).

    Raises:
        ValueError: the spec has other columns, or none; a setting that cannot be.

    Example:
        >>> spec = InputSpec(sequences={"words": SequenceSpec(num_codes=100)})
        >>> Conv1d(spec, widths=(64,)).widths
        (64, 64)

    Paper: Collobert et al.: Natural language processing (almost) from scratch. JMLR 2011, arXiv 1103.0398 (the sentence
        approach: one network of words and convolutions for several tagging tasks).
    """

    paper: ClassVar[str] = "collobert2011"
    width_settings: ClassVar[tuple[str, ...]] = ("embedding", "widths")

    def __init__(
        self,
        spec: InputSpec,
        *,
        embedding: int = 64,
        widths: tuple[int, ...] = (128, 128),
        kernel: int = 5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(spec)
        check_layers((embedding, *widths), dropout)
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"conv1d: kernel is an odd number of places >= 1, got {kernel}")
        if spec.has_table or spec.images or len(spec.sequences) != 1:
            raise unreadable("conv1d", "one sequence column alone", spec)
        ((column, each),) = spec.sequences.items()
        self.widths = (embedding, *widths)
        pairs = zip(self.widths, self.widths[1:], strict=False)
        stages = [ConvolutionStage(before, after, kernel, dropout) for before, after in pairs]
        self.stages = nn.ModuleList([PlaceStage(column, each, embedding, dropout), *stages])
