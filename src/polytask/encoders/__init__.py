"""Encoders: one modality, or several fused, in; a chain of stages out."""

from polytask.encoders.base import Encoder, run_stages
from polytask.encoders.conv1d import Conv1d
from polytask.encoders.fusion import IMAGE_ENCODERS, SEQUENCE_ENCODERS, TABLE_ENCODERS, Fusion
from polytask.encoders.images import LeNet
from polytask.encoders.layered import StackedStage
from polytask.encoders.mlp import MLP
from polytask.encoders.resnet import ResNet
from polytask.feature import InputSpec

#: Every encoder by the name it has in YAML.
ENCODERS: dict[str, type[Encoder]] = {
    **TABLE_ENCODERS,
    **IMAGE_ENCODERS,
    **SEQUENCE_ENCODERS,
    "fusion": Fusion,
}


def default_encoder(spec: InputSpec) -> str:
    """The name of the encoder that is taken where none is chosen.

    Example:
        >>> default_encoder(InputSpec(numbers=("age",)))
        'mlp'
        >>> default_encoder(InputSpec(numbers=("age",), images={"scan": (1, 64, 64)}))
        'fusion'
    """
    if not spec.images and not spec.sequences:
        return "mlp"
    if spec.has_table or len(spec.images) + len(spec.sequences) > 1:
        return "fusion"
    return "lenet" if spec.images else "conv1d"


__all__ = [
    "ENCODERS",
    "MLP",
    "Conv1d",
    "Encoder",
    "Fusion",
    "LeNet",
    "ResNet",
    "StackedStage",
    "default_encoder",
    "run_stages",
]
