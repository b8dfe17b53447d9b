"""Encoders of pictures."""

from polytask.encoders.images.lenet import LeNet

__all__ = ["LeNet"]
