"""LeNet: the small convolutional network for pictures of digits."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders.base import Encoder
from polytask.encoders.default import unreadable
from polytask.encoders.layered import LayeredStage
from polytask.encoders.mlp import check_layers
from polytask.feature import Feature, Inputs, InputSpec

#: The smallest height and width that two rounds of convolution and pooling leave a pixel of.
SMALLEST = 12


class ConvStage(nn.Module):
    """Convolution 5 × 5, ReLU, max-pooling 2 × 2; with a column's name it reads that column of the inputs."""

    def __init__(self, before: int, after: int, *, padding: int, column: str | None = None) -> None:
        super().__init__()
        self.column = column
        self.layers = nn.Sequential(nn.Conv2d(before, after, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, source: Inputs | Feature) -> Feature:
        """A picture of half the size."""
        values = source.values if isinstance(source, Feature) else source[str(self.column)]
        return Feature(self.layers(values))


class FlatStage(LayeredStage):
    """Flattens a picture and maps it by fully connected layers with ReLU (and dropout)."""

    def __init__(self, before: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(before, width), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
            before = width
        self.layers = nn.Sequential(*layers)

    @staticmethod
    def enter(feature: Feature) -> Float[Tensor, "batch before"]:
        """All pixels of all channels."""
        return feature.values.flatten(1)


class LeNet(Encoder):
    """LeNet-5 as it is used today, with ReLU and max-pooling, for one image column.

    The image has any number of channels and is 12 x 12 pixels or larger. Stages: convolution and pooling (the picture
    keeps its size but for the pooling), convolution and pooling, fully connected layers.

    Args:
        spec: one image column and nothing else.
        channels: of the two convolutions.
        widths: of the fully connected layers, at least one.
        dropout: behind each of them, in [0, 1).

    Raises:
        ValueError: the spec is not one image column, or it is too small; a setting that cannot be.

    Example:
        >>> LeNet(InputSpec(images={"digit": (1, 28, 28)})).widths
        (6, 16, 84)

    Paper: LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition.
        Proceedings of the IEEE 1998.
    """

    paper: ClassVar[str] = "lecun1998"
    width_settings: ClassVar[tuple[str, ...]] = ("channels", "widths")

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: tuple[int, int] = (6, 16),
        widths: tuple[int, ...] = (120, 84),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(spec)
        _refuse(spec)
        check_layers((*channels, *widths), dropout)
        if not widths:
            raise ValueError("lenet's widths name at least one fully connected layer, got none")
        ((column, (colours, height, width)),) = spec.images.items()
        first, second = channels
        # The first convolution keeps the size; the second takes four off; each pooling halves it.
        pixels = ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
        self.widths = (first, second, widths[-1])
        self.stages = nn.ModuleList(
            [
                ConvStage(colours, first, padding=2, column=column),
                ConvStage(first, second, padding=0),
                FlatStage(second * pixels, widths, dropout),
            ]
        )


def _refuse(spec: InputSpec) -> None:
    if spec.has_table or spec.sequences or len(spec.images) != 1:
        raise unreadable("lenet", "one image column alone", spec)
    ((column, (_, height, width)),) = spec.images.items()
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"encoder 'lenet' needs images of {SMALLEST} x {SMALLEST} pixels or more, but column {column!r} "
            f"has {height} x {width}; enlarge them, or give their pixels as number columns to encoder 'mlp'"
        )
