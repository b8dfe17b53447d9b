"""Encoders: one modality, or several fused, in; a chain of stages out."""

from polytask.encoders.base import Encoder, run_stages
from polytask.encoders.conv1d import Conv1d
from polytask.encoders.default import default_encoder
from polytask.encoders.fusion import IMAGE_ENCODERS, SEQUENCE_ENCODERS, TABLE_ENCODERS, Fusion
from polytask.encoders.images import LeNet
from polytask.encoders.layered import StackedStage
from polytask.encoders.mlp import MLP
from polytask.encoders.resnet import ResNet

#: Every encoder by the name it has in YAML.
ENCODERS: dict[str, type[Encoder]] = {
    **TABLE_ENCODERS,
    **IMAGE_ENCODERS,
    **SEQUENCE_ENCODERS,
    "fusion": Fusion,
}

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
