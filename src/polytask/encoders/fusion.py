"""Fusion: a table, pictures and sequences in one chain of stages."""

from typing import Any, ClassVar

import torch
from torch import nn

from polytask.config import as_choice
from polytask.encoders.base import Encoder
from polytask.encoders.conv1d import Conv1d
from polytask.encoders.default import unreadable
from polytask.encoders.images import LeNet
from polytask.encoders.mlp import MLP, Activation, DenseStage, check_layers
from polytask.encoders.resnet import ResNet
from polytask.feature import Feature, Inputs, InputSpec

#: The encoders that one modality alone may have inside a fusion.
TABLE_ENCODERS: dict[str, type[Encoder]] = {"mlp": MLP, "resnet": ResNet}
IMAGE_ENCODERS: dict[str, type[Encoder]] = {"lenet": LeNet}
SEQUENCE_ENCODERS: dict[str, type[Encoder]] = {"conv1d": Conv1d}


class JoinStage(nn.Module):
    """Runs each modality's own encoder to its end and joins their pooled features: `[B, sum of widths]`."""

    def __init__(self, encoders: list[Encoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.width = sum(encoder.widths[-1] for encoder in encoders)

    def forward(self, inputs: Inputs) -> Feature:
        """The joined features."""
        return Feature(torch.cat([encoder(inputs)[-1].pooled() for encoder in self.encoders], dim=1))


class Fusion(Encoder):
    """A table and any number of image and sequence columns: each has an encoder of its own, and stages over all of
    them follow.

    Stage 0 runs the table's encoder and one encoder a column of the others (a copy each), pools what they end in and
    joins it; then comes one fully connected stage a width.

    Args:
        spec: the columns: any mixture, at least one.
        table: encoder of the numbers, categories and vectors: its name, or `{name: settings}`.
        images: encoder of each image column: its name, or `{name: settings}`.
        sequences: encoder of each sequence column: its name, or `{name: settings}`.
        widths: of the layers over all modalities.
        dropout: behind each of these layers, in [0, 1).
        activation: "relu", "gelu" or "silu".

    Raises:
        ConfigError: an encoder or setting that is not known.
        ValueError: the spec is empty, or an image is too small; a setting that cannot be.

    Example:
        >>> spec = InputSpec(numbers=("age",), images={"left": (1, 28, 28), "right": (1, 28, 28)})
        >>> Fusion(spec, table={"mlp": {"widths": [32]}}, widths=(64,)).widths
        (200, 64)
    """

    width_settings: ClassVar[tuple[str, ...]] = ("table", "images", "sequences", "widths")

    def __init__(
        self,
        spec: InputSpec,
        *,
        table: str | dict[str, Any] = "mlp",
        images: str | dict[str, Any] = "lenet",
        sequences: str | dict[str, Any] = "conv1d",
        widths: tuple[int, ...] = (128,),
        dropout: float = 0.1,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(spec)
        check_layers(widths, dropout, activation)
        # Read even where the spec has no such column, so that a misspelt name is always answered.
        of_table = as_choice(table, TABLE_ENCODERS, "table encoder")
        of_image = as_choice(images, IMAGE_ENCODERS, "image encoder")
        of_sequence = as_choice(sequences, SEQUENCE_ENCODERS, "sequence encoder")
        parts = [of_table(spec.table)] if spec.has_table else []
        parts += [of_image(InputSpec(images={column: shape})) for column, shape in spec.images.items()]
        parts += [of_sequence(InputSpec(sequences={column: each})) for column, each in spec.sequences.items()]
        if not parts:
            raise unreadable("fusion", "at least one column", spec)
        join = JoinStage(parts)
        self.widths = (join.width, *widths)
        layers = [
            DenseStage(before, after, activation=activation, dropout=dropout)
            for before, after in zip(self.widths, self.widths[1:], strict=False)
        ]
        self.stages = nn.ModuleList([join, *layers])
