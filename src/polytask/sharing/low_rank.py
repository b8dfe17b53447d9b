"""Changes of low rank to the weight matrices of a stage, without touching the stage."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from polytask.feature import Feature, Inputs

#: Layers whose weight is a matrix, or a kernel that is one once flattened: [out, in · k · k].
MATRIX_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def matrices(stage: nn.Module) -> dict[str, tuple[int, int]]:
    """Name of every weight matrix of linear and convolutional layers -> its (rows, columns)."""
    found: dict[str, tuple[int, int]] = {}
    for name, module in stage.named_modules():
        if isinstance(module, MATRIX_LAYERS):
            rows, columns = module.weight.flatten(1).shape
            found[f"{name}.weight".lstrip(".")] = (rows, columns)
    return found


def run_changed(
    stage: nn.Module, changes: Mapping[str, Float[Tensor, "rows columns"]], source: Inputs | Feature
) -> Feature:
    """Runs a stage with W + change in place of each of these weights; all else of it is as ever, buffers too."""
    weights = {}
    for name, change in changes.items():
        weight = stage.get_parameter(name)
        weights[name] = weight + change.view_as(weight)
    found: Feature = functional_call(stage, weights, (source,))
    return found


def with_matrices(scheme: str, stages: tuple[int, ...], trunk: nn.ModuleList) -> tuple[int, ...]:
    """Those of the stages that have a weight matrix.

    Raises:
        ValueError: none has.
    """
    found = tuple(stage for stage in stages if matrices(trunk[stage]))
    if not found:
        raise ValueError(
            f"sharing {scheme!r} changes the weights of linear layers and convolutions, but the encoder has none in "
            f"the conditioned stages {list(stages)}; condition others (stages=…), or sharing 'film' would work"
        )
    return found


def check_rank(scheme: str, rank: int, alpha: float) -> None:
    """Raises ValueError for a rank or a scale that cannot be."""
    if rank < 1:
        raise ValueError(f"sharing {scheme!r}: rank={rank}, 1 or more is wanted, such as 4")
    if not 0 < alpha < float("inf"):
        raise ValueError(f"sharing {scheme!r}: alpha={alpha}, a number above 0 is wanted, such as {rank}")


def drawn(*shape: int, std: float, generator: torch.Generator) -> Tensor:
    """Normal numbers from our own generator."""
    return torch.empty(shape).normal_(std=std, generator=generator)
