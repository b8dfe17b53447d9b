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
    undecayed: Iterable[nn.Parameter] = (),
    rates: Mapping[float, Iterable[nn.Parameter]] | None = None,
    shared: Sequence[nn.Parameter] = (),
    tasks: Sequence[str] = (),
    engine: Engine = Engine(),
) -> torch.optim.Optimizer:
    """The optimiser that the settings name.

    Args:
        parameters: all that train.
        settings: of the training.
        undecayed: those of them that weight decay leaves alone.
        rates: those that learn at a rate of their own: the factor on the learning rate -> these.
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
    trained: list[Any] = list(parameters)
    has_decay = bool(arguments.get("weight_decay", _default_decay(cls)))
    groups = _groups(trained, undecayed if has_decay else (), rates or {}, settings.learning_rate)
    if groups and takes_tasks:
        raise ConfigError(
            f"train.optimizer: {name} decays all weights alike and moves them at one rate, but some of this sharing do "
            "not decay or have a rate of their own: set weight_decay: 0 and no such rate, or choose another optimizer, "
            "such as adamw"
        )
    try:
        return cast(torch.optim.Optimizer, cls(groups or trained, lr=settings.learning_rate, **given, **arguments))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"train.optimizer.{name}: {error}") from None


def _groups(
    trained: Sequence[nn.Parameter],
    undecayed: Iterable[nn.Parameter],
    rates: Mapping[float, Iterable[nn.Parameter]],
    learning_rate: float,
) -> list[dict[str, Any]]:
    """Groups of parameters that are treated alike, those with nothing of their own first; none where all are such."""
    spared = {id(p) for p in undecayed}
    factors = {id(p): factor for factor, parameters in rates.items() for p in parameters}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, False): []}
    for p in trained:
        groups.setdefault((factors.get(id(p), 1.0), id(p) in spared), []).append(p)
    if len(groups) == 1:
        return []
    return [
        {"params": members, "lr": factor * learning_rate, **({"weight_decay": 0.0} if is_spared else {})}
        for (factor, is_spared), members in groups.items()
    ]


def _default_decay(cls: Any) -> float:
    """An optimiser's weight decay where none is set; 0 where it has none."""
    decay = inspect.signature(cls).parameters.get("weight_decay")
    return 0.0 if decay is None else float(decay.default)


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
