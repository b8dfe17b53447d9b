"""Batches made by hand, and tasks whose targets have a place."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch

from polytask.data import Batch
from polytask.tasks import Regression


class Masks(Regression):
    """A label a pixel."""

    spatial: ClassVar[Any] = "mask"


class Boxes(Regression):
    """Boxes, padded."""

    spatial: ClassVar[Any] = "boxes"


class Keypoints(Regression):
    """Points, padded."""

    spatial: ClassVar[Any] = "keypoints"


class Tags(Regression):
    """A tag a place."""

    spatial: ClassVar[Any] = "places"


@pytest.fixture
def placed() -> dict[str, Any]:
    return {"mask": Masks("mask"), "boxes": Boxes("boxes"), "points": Keypoints("points"), "tags": Tags("tags")}


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A batch of these inputs and targets, all present unless said otherwise."""

    def make(inputs: dict[str, Any], targets: dict[str, Any], present: dict[str, Any] | None = None) -> Batch:
        everywhere = {name: torch.ones_like(value, dtype=torch.bool) for name, value in targets.items()}
        there = {**everywhere, **(present or {})}
        weight = {name: mask.float() for name, mask in there.items()}
        labelled = tuple(name for name, mask in there.items() if mask.any())
        return Batch(inputs, targets, there, weight, labelled, len(next(iter(inputs.values()))))

    return make


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
