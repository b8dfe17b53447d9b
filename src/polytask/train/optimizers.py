"""Optimisers by name, and the learning rate over time."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from polytask.balance import BALANCERS, Balancer
from polytask.errors import ConfigError, nearest
from polytask.gradients import Engine
from polytask.train.adatask import AdaTask
from polytask.train.m_config import MConFIG
from polytask.train.settings import Training
from polytask.train.task_optimizer import TaskOptimizer

#: torch's optimisers that no model here can use: LBFGS needs a closure, SparseAdam sparse gradients only, and Muon
#: refuses all but matrices, where every layer has a bias.
LEFT_OUT = frozenset({"LBFGS", "SparseAdam", "Muon"})
#: torch's optimisers by their names in small letters, and ours, which take each task's gradient apart.
OPTIMIZERS: dict[str, Any] = {
    name.lower(): cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls)
    and issubclass(cls, torch.optim.Optimizer)
    and cls is not torch.optim.Optimizer
    and name not in LEFT_OUT
} | {"adatask": AdaTask, "m_config": MConFIG}


def optimizer_class(settings: Training) -> Any:
    """The class that the settings name.

    Raises:
        ConfigError: an unknown optimiser; names the nearest.
    """
    name, _ = _named(settings)
    if name not in OPTIMIZERS:
        raise ConfigError(f"train.optimizer: unknown optimizer {name!r}; {nearest(name, OPTIMIZERS)}")
    return OPTIMIZERS[name]


def check_balancer(settings: Training, balancer: type[Balancer], num_processes: int = 1) -> None:
    """Raises ConfigError where an optimiser that takes each task's gradient apart stands beside a balancer, or in
    several processes.
    """
    name, _ = _named(settings)
    cls = OPTIMIZERS.get(name)
    if cls is None or not issubclass(cls, TaskOptimizer):
        return
    if num_processes > 1:
        raise ConfigError(
            f"train.optimizer: {settings.optimizer} takes the gradients of one process: start it without torchrun, "
            "or choose another optimizer, such as adamw"
        )
    if balancer is not BALANCERS["sum"]:
        raise ConfigError(
            f"train.optimizer: {name} stands in the place of a balancer, so {balancer.__name__} would have no effect: "
            "write balancer: sum, or choose another optimizer, such as adamw"
        )


def make_optimizer(
    parameters: Iterable[nn.Parameter],
    settings: Training,
    *,
    shared: Sequence[nn.Parameter] = (),
    tasks: Sequence[str] = (),
    engine: Engine = Engine(),
) -> torch.optim.Optimizer:
    """The optimiser that the settings name.

    Args:
        parameters: all that train.
        settings: of the training.
        shared: those that tasks share, for optimisers that take each task's gradient apart.
        tasks: names of all tasks, for the same.
        engine: how they take gradients.

    Raises:
        ConfigError: an unknown optimiser or setting of it; names the nearest.
    """
    cls = optimizer_class(settings)
    name, own = _named(settings)
    takes_tasks = issubclass(cls, TaskOptimizer)
    given = {"shared": shared, "tasks": tasks, "engine": engine} if takes_tasks else {}
    if takes_tasks and (settings.clip_norm is not None or settings.clip_value is not None):
        raise ConfigError(
            f"train.optimizer: {name} sees no sum of gradients that clip_norm or clip_value could cut; leave them out"
        )
    known = set(inspect.signature(cls).parameters) - {"params", "lr", *given}
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
        return cast(torch.optim.Optimizer, cls(list(parameters), lr=settings.learning_rate, **given, **arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"train.optimizer.{name}: {error}") from None


def _named(settings: Training) -> tuple[str, Mapping[str, Any] | None]:
    """Name and own settings of the optimiser, however it is written."""
    chosen = settings.optimizer
    if not isinstance(chosen, Mapping):
        return chosen, {}
    if len(chosen) != 1:
        raise ConfigError(f"train.optimizer: one name with its settings ({{sgd: {{momentum: 0.9}}}}), got {chosen!r}")
    ((name, own),) = chosen.items()
    return name, own


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
