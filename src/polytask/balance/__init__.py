"""Who yields when tasks disagree. The folders say what a method sees, which is also its cost class."""

from polytask.balance.base import Balancer
from polytask.balance.from_gramian import CAGrad, PCGrad
from polytask.balance.from_losses import DWA, Fixed, Sum, Uncertainty
from polytask.gradients import Engine, Signals

#: Every balancer by its catalogue name.
BALANCERS: dict[str, type[Balancer]] = {
    "sum": Sum,
    "fixed": Fixed,
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "pcgrad": PCGrad,
    "cagrad": CAGrad,
}

__all__ = [
    "BALANCERS",
    "DWA",
    "Balancer",
    "CAGrad",
    "Engine",
    "Fixed",
    "PCGrad",
    "Signals",
    "Sum",
    "Uncertainty",
]
