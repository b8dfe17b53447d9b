"""Optimisers by name, and the learning rate over time."""

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from polytask.errors import ConfigError, nearest
from polytask.train.settings import Training

#: torch's optimisers that no model here can use: LBFGS needs a closure, SparseAdam sparse gradients only, and Muon
#: refuses all but matrices, where every layer has a bias.
LEFT_OUT = frozenset({"LBFGS", "SparseAdam", "Muon"})
#: torch's optimisers by their names in small letters.
OPTIMIZERS: dict[str, Any] = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls)
    and issubclass(cls, torch.optim.Optimizer)
    and cls is not torch.optim.Optimizer
    and name not in LEFT_OUT
}


def make_optimizer(parameters: Iterable[nn.Parameter], settings: Training) -> torch.optim.Optimizer:
    """The optimiser that the settings name.

    Raises:
        ConfigError: an unknown optimiser or setting of it; names the nearest.
    """
    chosen = settings.optimizer
    if isinstance(chosen, Mapping):
        if len(chosen) != 1:
            raise ConfigError(
                f"train.optimizer: one name with its settings ({{sgd: {{momentum: 0.9}}}}), got {chosen!r}"
            )
        ((name, own),) = chosen.items()
    else:
        name, own = chosen, {}
    if name not in OPTIMIZERS:
        raise ConfigError(f"train.optimizer: unknown optimizer {name!r}; {nearest(name, OPTIMIZERS)}")
    known = set(inspect.signature(OPTIMIZERS[name]).parameters) - {"params", "lr"}
    arguments: dict[str, Any] = dict(own or {})
    for key in arguments:
        if key not in known:
            hint = "it is train.learning_rate" if key == "lr" else nearest(key, known)
            raise ConfigError(f"train.optimizer.{name}: unknown setting {key!r}; {hint}")
    if settings.weight_decay is not None:
        if "weight_decay" in arguments:
            raise ConfigError(f"train.weight_decay and train.optimizer.{name}.weight_decay are both given; keep one")
        if "weight_decay" not in known:
            raise ConfigError(f"train.weight_decay: the optimizer {name} has no weight decay; leave it out")
        arguments["weight_decay"] = settings.weight_decay
    try:
        return OPTIMIZERS[name](list(parameters), lr=settings.learning_rate, **arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"train.optimizer.{name}: {error}") from None


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: Training, steps_per_epoch: int
) -> LRScheduler | ReduceLROnPlateau | None:
    """The learning rate over time: stepped after every step, or for `"plateau"` after every epoch; None: constant."""
    if settings.schedule == "plateau":
        if settings.warmup:
            raise ConfigError("train.warmup has no effect with schedule: plateau; use cosine or constant")
        stopping = settings.early_stopping
        return ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=0.1,
            patience=max(1, stopping.patience // 2) if stopping.patience else 5,
            threshold=stopping.min_gain,  # a gain is what early stopping calls one: torch's own is relative, and
            threshold_mode="abs",  # takes a fall for a gain where skill is negative
        )
    if settings.schedule == "constant" and not settings.warmup:
        return None
    steps = settings.epochs * steps_per_epoch
    warm = round(settings.warmup * steps)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        if settings.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return LambdaLR(optimizer, factor)
