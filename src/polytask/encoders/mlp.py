"""MLP: fully connected layers over a table."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders.base import Encoder
from polytask.encoders.default import unreadable
from polytask.encoders.layered import LayeredStage
from polytask.encoders.tabular import Numbers, TableEmbedding
from polytask.feature import Feature, InputSpec

#: What stands between two linear layers.
Activation = Literal["relu", "gelu", "silu"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class DenseStage(LayeredStage):
    """Linear, batch norm where asked, activation, dropout, over the pooled feature."""

    def __init__(
        self,
        before: int,
        after: int,
        *,
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(before, after)]
        if batch_norm:
            layers.append(nn.BatchNorm1d(after))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers)

    @staticmethod
    def enter(feature: Feature) -> Float[Tensor, "batch before"]:
        """The feature pooled."""
        return feature.pooled()


def check_layers(widths: Sequence[int], dropout: float, activation: str = "relu") -> None:
    """Raises ValueError for layers that cannot be."""
    if any(width < 1 for width in widths):
        raise ValueError(f"widths are whole numbers >= 1, got {list(widths)}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is in [0, 1), got {dropout}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is one of {list(ACTIVATIONS)}, got {activation!r}")


class MLP(Encoder):
    """Fully connected layers over a table's numbers, categories and vectors: stage 0 embeds them, then one stage a
    layer.

    Args:
        spec: the columns; numbers, categories and vectors only.
        widths: of the hidden layers, first to last; none: the embedding alone.
        dropout: behind every layer, in [0, 1).
        activation: "relu", "gelu" or "silu".
        batch_norm: between each layer and its activation; training batches then need two rows or more.
        numbers: how numbers enter: "linear" as they are, "periodic" or "plr" (see `TableEmbedding`).
        embedding_dim: channels of each category, and of each number under "plr".
        frequencies: a number under "periodic" and "plr".
        frequency_scale: σ of their start.

    Raises:
        ValueError: the spec has images, sequences or no column at all; a setting that cannot be.

    Example:
        >>> MLP(InputSpec(numbers=("age", "hours"), categories=(("job", 5),)), widths=(32, 16)).widths
        (10, 32, 16)
    """

    width_settings: ClassVar[tuple[str, ...]] = ("widths",)

    def __init__(
        self,
        spec: InputSpec,
        *,
        widths: tuple[int, ...] = (256, 128),
        dropout: float = 0.1,
        activation: Activation = "relu",
        batch_norm: bool = False,
        numbers: Numbers = "linear",
        embedding_dim: int = 8,
        frequencies: int = 16,
        frequency_scale: float = 0.1,
    ) -> None:
        super().__init__(spec)
        if spec.images or spec.sequences or not spec.has_table:
            raise unreadable("mlp", "a table's columns", spec)
        check_layers(widths, dropout, activation)
        embedding = TableEmbedding(
            spec,
            numbers=numbers,
            embedding_dim=embedding_dim,
            frequencies=frequencies,
            frequency_scale=frequency_scale,
        )
        self.widths = (embedding.width, *widths)
        layers = [
            DenseStage(before, after, activation=activation, dropout=dropout, batch_norm=batch_norm)
            for before, after in zip(self.widths, self.widths[1:], strict=False)
        ]
        self.stages = nn.ModuleList([embedding, *layers])
