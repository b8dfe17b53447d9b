"""Encoders: one modality, or several fused, in; a chain of stages out."""

from polytask.encoders.base import Encoder, run_stages
from polytask.encoders.fusion import IMAGE_ENCODERS, TABLE_ENCODERS, Fusion
from polytask.encoders.images import LeNet
from polytask.encoders.layered import StackedStage
from polytask.encoders.mlp import MLP
from polytask.encoders.resnet import ResNet
from polytask.feature import InputSpec

#: Every encoder by the name it has in YAML.
ENCODERS: dict[str, type[Encoder]] = {**TABLE_ENCODERS, **IMAGE_ENCODERS, "fusion": Fusion}


def default_encoder(spec: InputSpec) -> str:
    """The name of the encoder that is taken where none is chosen.

    Example:
        >>> default_encoder(InputSpec(numbers=("age",)))
        'mlp'
        >>> default_encoder(InputSpec(numbers=("age",), images={"scan": (1, 64, 64)}))
        'fusion'
    """
    if not spec.images:
        return "mlp"
    return "lenet" if len(spec.images) == 1 and not spec.has_table else "fusion"


__all__ = ["ENCODERS", "MLP", "Encoder", "Fusion", "LeNet", "ResNet", "StackedStage", "default_encoder", "run_stages"]
